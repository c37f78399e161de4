"""Job ids: UUID version 7 (RFC 9562), made by the client, known before the commit."""

from __future__ import annotations

import hashlib
import os
import time
import uuid

# How many ids' random bytes come from one call of the system.
MANY = 256
RANDOM_BYTES = 10


class _Randomness:
    """The random part of ids as text, made from the system's randomness for many ids at once.

    Needs no lock, for ``list.pop`` is one step. A forked process would repeat its parent's ids, so it starts afresh; it
    is known by its process id, because not every server that forks tells Python of it.
    """

    def __init__(self) -> None:
        self._ready: list[str] = []
        self._process = 0

    def take(self) -> str:
        """Return the last 19 of an id's 36 characters but two hyphens: version, variant and 74 random bits."""
        if self._process != os.getpid():
            # In this order: a thread that sees the new process must not see the old list.
            self._ready = []
            self._process = os.getpid()
        try:
            return self._ready.pop()
        except IndexError:
            first, *others = _random_parts(MANY)
            self._ready.extend(others)
            return first


def _random_parts(count: int) -> list[str]:
    data = os.urandom(RANDOM_BYTES * count)
    return [_random_part(data[at : at + RANDOM_BYTES]) for at in range(0, len(data), RANDOM_BYTES)]


def _random_part(random: bytes) -> str:
    digits = random.hex()
    variant = "89ab"[random[-1] & 3]
    return f"7{digits[:3]}-{variant}{digits[3:6]}-{digits[6:18]}"


_randomness = _Randomness()


def new_key() -> str:
    """Return a new UUIDv7 as the 36 characters that django.tasks and the admin show.

    48 bits of milliseconds, then random bits (RFC 9562, section 5.7).
    """
    milliseconds = f"{time.time_ns() // 1_000_000:012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-{_randomness.take()}"


def derived_key(job_id: str, *parts: str) -> str:
    """Return an id that is always the same for a job's id and some words: the time of the job's, then their hash."""
    digest = hashlib.sha256("\0".join((job_id, *parts)).encode(errors="surrogatepass")).digest()
    time_of_job = job_id[:13] if is_id(job_id) else "00000000-0000"
    return f"{time_of_job}-{_random_part(digest[:RANDOM_BYTES])}"


def key_at(milliseconds: int, *parts: str) -> str:
    """Return an id that is always the same for a time and some words."""
    digest = hashlib.sha256("\0".join(parts).encode(errors="surrogatepass") + b"%d" % milliseconds).digest()
    start = f"{milliseconds:012x}"
    return f"{start[:8]}-{start[8:12]}-{_random_part(digest[:RANDOM_BYTES])}"


def new_id() -> uuid.UUID:
    """Return a new job id as a value."""
    return uuid.UUID(new_key())


def short(job_id: str) -> str:
    """Return the last eight characters of an id: its random part, enough to tell jobs apart in a terminal."""
    return job_id[-8:]


def is_id(text: str) -> bool:
    """Tell whether a text can be the id of a job."""
    try:
        return str(uuid.UUID(text)) == text
    except (ValueError, AttributeError, TypeError):
        return False
