"""Tasks that notice that somebody wants them cancelled, or do not."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group

from django_backie import task


def _tell(path: str, text: str) -> None:
    with Path(path).open("a") as file:
        file.write(f"{text}\n")


def _wait(context: Any, path: str) -> None:
    _tell(path, "began")
    deadline = time.monotonic() + 30
    while not context.cancelled and time.monotonic() < deadline:
        time.sleep(0.005)


@task(takes_context=True, max_attempts=3, backoff=[0.01])
def notice(context: Any, path: str, then: str = "raise") -> str:
    """Wait until somebody wants this cancelled."""
    _wait(context, path)
    _tell(path, f"noticed:{context.cancel_reason}")
    if then == "raise":
        context.raise_if_cancelled()
    if then == "fail":
        raise ValueError(then)
    return then


@task(takes_context=True, atomic=True, max_attempts=3, backoff=[0.01])
def notice_atomically(context: Any, path: str, then: str = "raise") -> str:
    """Do the same after an effect in the database."""
    Group.objects.create(name="effect")
    return notice.func(context, path, then)


@task(takes_context=True, max_attempts=3, backoff=[0.01])
async def anotice(context: Any, path: str, then: str = "raise") -> str:
    """Be interrupted."""
    _tell(path, "began")
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        _tell(path, f"noticed:{context.cancel_reason}")
        if then == "raise":
            raise
    return then


@task
def stay(path: str, gate: str) -> str:
    """Notice nothing until a file is there."""
    _tell(path, "began")
    deadline = time.monotonic() + 60
    while not Path(gate).exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    return "stayed"


@task(takes_context=True)
def ask_oneself(context: Any, reason: str) -> list[Any]:
    """Cancel the job that runs; tell what is seen of it."""
    before = context.cancelled
    answer = context.task_result.task.get_backend().cancel(context.task_result.id, reason)
    seen = [before, answer, context.cancelled, context.cancel_reason]
    context.raise_if_cancelled()
    return seen


@task(takes_context=True)
async def aask_oneself(context: Any, reason: str) -> None:
    """Cancel the job that runs, and be interrupted by that."""
    await context.task_result.acancel(reason)
    await asyncio.sleep(30)
