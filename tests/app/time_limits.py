"""Tasks with a hard timeout."""

from __future__ import annotations

import asyncio
import os
import re
import time

from django_backie import task
from django_backie.exceptions import TaskTimeout

# Each letter more doubles the time that a match takes, and the module keeps the interpreter's lock meanwhile.
_ENDLESS = "a" * 60 + "b"


def _note(path: str, text: str) -> None:
    with open(path, "a") as file:  # noqa: PTH123
        file.write(f"{text}\n")


@task(hard_timeout=0.5, max_attempts=2, backoff=[0.01])
def hold_the_gil(path: str) -> None:
    """Keep everything else of the process from running, for ever."""
    _note(path, "held")
    re.match(r"(a+)+$", _ENDLESS)


@task(timeout=0.1, hard_timeout=3, max_attempts=1)
def heed_nothing(path: str) -> None:
    """Go on whatever is raised."""
    _note(path, "begun")
    while True:
        try:
            time.sleep(0.01)
        except TaskTimeout:
            _note(path, "asked")


@task(hard_timeout=0.5, max_attempts=1)
async def block_the_loop(path: str) -> None:
    """Sleep where nobody may."""
    _note(path, "blocked")
    time.sleep(600)


@task(hard_timeout=600)
def wait_in_thread(gate: str, path: str) -> None:
    """Wait for the gate in a thread."""
    _note(path, "thread")
    while not os.path.exists(gate):  # noqa: PTH110
        time.sleep(0.01)


@task(hard_timeout=600)
async def wait_beside(gate: str, path: str) -> None:
    """Wait for the gate in the event loop."""
    _note(path, "loop")
    while not os.path.exists(gate):  # noqa: PTH110
        await asyncio.sleep(0.01)
