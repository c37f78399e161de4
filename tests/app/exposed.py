"""Tasks that rows of schedules may name, and one that they may not."""

from __future__ import annotations

from django_backie import task


@task(expose=True)
def report(region: str, month: int = 1) -> str:
    """Write a report."""
    return f"{region} {month}"


@task
def hidden(region: str = "") -> None:
    """Nobody's business."""


def tidy() -> None:
    """Made a task with a schedule by the tests that need one."""
