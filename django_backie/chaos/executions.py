"""A file in which jobs write down that they run: it survives whatever becomes of the database and of Redis."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .facts import Execution

STARTED, SUCCEEDED, FAILED = "start", "ok", "error"


@contextmanager
def recorded(path: Path, job: str, attempt: int) -> Iterator[None]:
    """Write a line when the block begins, and one when it ends; a killed process leaves the first one only."""
    _write(path, STARTED, job, attempt)
    try:
        yield
    except BaseException:
        _write(path, FAILED, job, attempt)
        raise
    _write(path, SUCCEEDED, job, attempt)


def read(path: Path) -> tuple[Execution, ...]:
    """Return the executions that a file tells of."""
    return parse(path.read_text().splitlines()) if path.exists() else ()


def parse(lines: Iterable[str]) -> tuple[Execution, ...]:
    """Return the executions of lines. A process runs an attempt of a job once at a time: that joins start and end."""
    begun: dict[tuple[str, int, int], Execution] = {}
    found: list[Execution] = []
    for line in lines:
        what, job, attempt, pid, at = line.split()
        key = (job, int(attempt), int(pid))
        if what == STARTED:
            if key in begun:
                found.append(begun[key])
            begun[key] = Execution(job, int(attempt), int(pid), float(at))
        elif key in begun:
            start = begun.pop(key)
            found.append(Execution(*key, start.started, float(at), what == SUCCEEDED))
    return tuple(sorted([*found, *begun.values()], key=lambda execution: execution.started))


def _write(path: Path, what: str, job: str, attempt: int) -> None:
    # One write() of a file that is open for appending: lines of several processes do not mix.
    os.write(_open(path), f"{what} {job} {attempt} {os.getpid()} {time.monotonic():.4f}\n".encode())


@functools.cache
def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
