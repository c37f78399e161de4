"""Job ids: UUID version 7 (RFC 9562), made by the client, known before the commit."""

from __future__ import annotations

import os
import threading
import time
import uuid


class _Sequence:
    """Milliseconds and a 12-bit counter that together only grow, so that ids of one process sort as they were made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        """Return 48 bits of time and 12 bits of counter; the counter borrows from the time when it overflows."""
        now = (time.time_ns() // 1_000_000) << 12
        with self._lock:
            self._last = max(self._last + 1, now)
            return self._last


_sequence = _Sequence()


def new_id() -> uuid.UUID:
    """Return a new UUIDv7: milliseconds, a counter, random bits (RFC 9562, sections 5.7 and 6.2, method 1)."""
    sequence = _sequence.next()
    random = int.from_bytes(os.urandom(8), "big") >> 2
    return uuid.UUID(int=(sequence >> 12 << 80) | (0x7 << 76) | ((sequence & 0xFFF) << 64) | (0x2 << 62) | random)


def new_key() -> str:
    """Return a new job id as the 36 characters that django.tasks and the admin show."""
    return str(new_id())


def short(job_id: str) -> str:
    """Return the last eight characters of an id: its random part, enough to tell jobs apart in a terminal."""
    return job_id[-8:]


def is_id(text: str) -> bool:
    """Tell whether a text can be the id of a job."""
    try:
        return str(uuid.UUID(text)) == text
    except (ValueError, AttributeError, TypeError):
        return False
