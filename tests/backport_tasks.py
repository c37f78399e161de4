"""Tasks of a third-party app that knows only the backport."""

from __future__ import annotations

from typing import Any

from django_tasks import task


@task
def old(value: int) -> int:
    """Return the value."""
    return value


@task(priority=5, queue_name="old", takes_context=True)
def old_context(context: Any, value: int) -> list[Any]:
    """Return what the context tells."""
    return [context.attempt, context.task_result.id, value]


@task()
async def aold(value: int) -> int:
    """Return the value, in the event loop."""
    return value
