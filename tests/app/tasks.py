"""Tasks of the test project."""

from __future__ import annotations

import asyncio
import time
from typing import Any

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
