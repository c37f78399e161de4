"""Job ids: UUID version 7 (RFC 9562), made by the client, known before the commit."""

from __future__ import annotations

import os
import time
import uuid


def new_id() -> uuid.UUID:
    """Return a new UUIDv7: 48 bits of milliseconds, then random bits (RFC 9562, section 5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    value = int.from_bytes(milliseconds.to_bytes(6, "big") + os.urandom(10), "big")
    value &= ~(0xF << 76) & ~(0x3 << 62)
    return uuid.UUID(int=value | (0x7 << 76) | (0x2 << 62))


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
