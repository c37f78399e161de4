"""The tasks of these programs, and of the lifecycle tests that have to see who runs what."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

from django_backie import task

from .marks import gate, tell


@task(max_attempts=5)
def held(name: str, seconds: float = 300.0) -> int:
    """Run until released, at most the given seconds; return the process that ran it."""
    tell(_directory(), "begin", name)
    deadline = time.monotonic() + seconds
    gates = (gate(_directory(), name), gate(_directory(), name, os.getpid()))
    while time.monotonic() < deadline and not any(each.exists() for each in gates):
        time.sleep(0.02)
    tell(_directory(), "end", name)
    return os.getpid()


@task(max_attempts=5)
def hold_gil(name: str, seconds: float) -> int:
    """Sleep in C without giving up the interpreter's lock, as a careless extension does."""
    tell(_directory(), "begin", name)
    ctypes.PyDLL(None).usleep(ctypes.c_uint(round(seconds * 1_000_000)))
    tell(_directory(), "end", name)
    return os.getpid()


@task
def nothing() -> None:
    """Do nothing."""


def _directory() -> Path:
    return Path(os.environ["BACKIE_LIFECYCLE_DIR"])
