"""Tasks of the test project."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

from django.db import connection
from django.utils import timezone, translation

from django_backie import task


@task
def echo(*args: Any, **kwargs: Any) -> dict[str, Any]:
    """Return the arguments."""
    return {"args": list(args), "kwargs": kwargs}


@task
def add(a: int, b: int) -> int:
    """Return the sum."""
    return a + b


@task(max_attempts=3, backoff=[0.01])
def fail(message: str = "boom") -> None:
    """Raise."""
    raise ValueError(message)


@task
async def aadd(a: int, b: int) -> int:
    """Return the sum, in the event loop."""
    await asyncio.sleep(0)
    return a + b


@task(takes_context=True)
def attempt_of(context: Any) -> dict[str, Any]:
    """Return what the context tells."""
    return {"attempt": context.attempt, "id": context.task_result.id}


@task
def nap(seconds: float) -> float:
    """Sleep."""
    time.sleep(seconds)
    return seconds


@task(sensitive=["pin"])
def pay(amount: int, pin: str, api_token: str = "") -> int:
    """Take secrets."""
    return amount


@task(max_attempts=2, backoff=[0.05])
def mark(path: str, text: str, seconds: float = 0.0) -> None:
    """Append a line to a file, after a while; what the file holds is what has run."""
    time.sleep(seconds)
    with open(path, "a") as file:  # noqa: PTH123
        file.write(f"{text}\n")


@task
def mark_behind(gate: str, path: str, text: str) -> None:
    """Append a line to a file once another file, the gate, is there."""
    while not os.path.exists(gate):  # noqa: PTH110
        time.sleep(0.01)
    mark.func(path, text)


@task
async def amark(path: str, text: str, seconds: float = 0.0) -> None:
    """Do the same in the event loop."""
    await asyncio.sleep(seconds)
    with open(path, "a") as file:  # noqa: PTH123
        file.write(f"{text}\n")


@task
def kill_worker(path: str) -> None:
    """Kill the process that runs this, as the kernel does when memory is short."""
    with open(path, "a") as file:  # noqa: PTH123
        file.write("killed\n")
    os.kill(os.getpid(), signal.SIGKILL)


_hoard: list[bytearray] = []


@task
def hoard(megabytes: int) -> None:
    """Keep memory for ever."""
    _hoard.append(bytearray(os.urandom(1)) * (megabytes * 1024 * 1024))


@task(timeout=0.3, max_attempts=1)
def overrun() -> None:
    """Run longer than allowed."""
    for _ in range(500):
        time.sleep(0.01)


@task
def leave_mess() -> None:
    """Leave a transaction, a language and a time zone behind."""
    connection.set_autocommit(False)
    connection.ensure_connection()
    translation.activate("de")
    timezone.activate("Asia/Tokyo")


@task
def look_around() -> dict[str, Any]:
    """Return what a job finds of what others left."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return {
        "autocommit": connection.get_autocommit(),
        "language": translation.get_language(),
        "zone": timezone.get_current_timezone_name(),
    }
