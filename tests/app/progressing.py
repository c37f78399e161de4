"""Tasks that say how far they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django_backie import TaskContext, task

# What a test wants to do in the middle of an attempt.
MEANWHILE: list[Callable[[Any], Any]] = []


def _meanwhile(context: Any) -> list[Any]:
    return [act(context) for act in MEANWHILE]


@task(takes_context=True)
def halfway(context: TaskContext, message: str = "") -> None:
    """Report that half is done, let the test look, and end."""
    context.progress(1, 2, message)
    _meanwhile(context)


@task(takes_context=True)
async def ahalfway(context: TaskContext) -> None:
    """See ``halfway``."""
    await context.aprogress(1, 2)
    _meanwhile(context)


@task(takes_context=True, max_attempts=2, backoff=[0.01])
def falter(context: TaskContext) -> None:
    """Report nothing at the first attempt, a third at the second; fail at both."""
    if context.attempt == 2:
        context.progress(1, 3, "at the second attempt")
    raise ValueError("boom")


@task(takes_context=True)
def walk(context: TaskContext, count: int) -> int:
    """Track a few numbers."""
    return sum(context.track(range(count), message="walking"))


@task(takes_context=True)
def overdo(context: TaskContext) -> None:
    """Report what cannot be."""
    context.progress(3, 2)


@task(takes_context=True, atomic=True)
def settle(context: TaskContext) -> None:
    """Report within a transaction."""
    context.progress(2, 2, "written")


@task(takes_context=True)
def silent(context: TaskContext) -> None:
    """Report nothing."""
    _meanwhile(context)
