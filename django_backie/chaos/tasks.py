"""The tasks of a campaign. Each writes down that it runs; what it does besides is its kind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import AbstractContextManager
from typing import Any

from django.db import connection, transaction

from ..core.timetable import every
from ..core.unique import Unique
from ..decorator import task
from . import executions, tables
from .facts import Order
from .kinds import KINDS
from .layout import EVERY, SIDE, Layout

_EXECUTIONS = Layout.read().executions
# Many short ones: a campaign takes the database away for seconds, and that is not what is to end these jobs.
PATIENT: dict[str, Any] = {"max_attempts": 30, "backoff": [0.3, 0.6, 1.2]}


def _recorded(context: Any) -> AbstractContextManager[None]:
    return executions.recorded(_EXECUTIONS, context.task_result.id, context.attempt)


@task(takes_context=True)
def quick(context: Any, number: int) -> int:
    """Do next to nothing."""
    with _recorded(context):
        return number + 1


@task(takes_context=True)
async def swift(context: Any, number: int) -> int:
    """Do next to nothing in the event loop."""
    with _recorded(context):
        await asyncio.sleep(0.01)
        return number + 1


@task(takes_context=True)
def slow(context: Any, seconds: float) -> None:
    """Take a while, in the middle of which anything may happen."""
    with _recorded(context):
        time.sleep(seconds)


@task(takes_context=True, max_attempts=4, backoff=[0.2, 0.4, 0.8])
def unsteady(context: Any, failures: int) -> None:
    """Fail the first times."""
    with _recorded(context):
        if context.attempt <= failures:
            msg = f"attempt {context.attempt} fails"
            raise RuntimeError(msg)


@task(takes_context=True, max_attempts=2, backoff=[0.3])
def hopeless(context: Any) -> None:
    """Fail always."""
    with _recorded(context):
        msg = "as always"
        raise RuntimeError(msg)


@task(takes_context=True, concurrency=KINDS["limited"].most or 1, rate_limit="100/s")
def limited(context: Any, seconds: float) -> None:
    """Take a moment, of which few at once may have one."""
    with _recorded(context):
        time.sleep(seconds)


@task(takes_context=True, unique=Unique(by="key"))
def unique(context: Any, key: str, seconds: float) -> None:
    """Take a moment, of which each key has one job at a time."""
    with _recorded(context):
        time.sleep(seconds)


@task(takes_context=True, unique=Unique(by="key", conflict="replace"))
def latest(context: Any, key: str, seconds: float) -> None:
    """Take a moment, of which each key has one job at a time: that of the latest call."""
    with _recorded(context):
        time.sleep(seconds)


@task(takes_context=True, unique=Unique(by="key", until="start"))
def fresh(context: Any, key: str, seconds: float) -> None:
    """Take a moment, that begins after each call that led to it."""
    with _recorded(context):
        time.sleep(seconds)


@task(takes_context=True, unique=Unique(by="key", conflict="extend"))
def settled(context: Any, key: str, seconds: float) -> None:
    """Take a moment, as soon as nobody has called for a while."""
    with _recorded(context):
        time.sleep(seconds)


@task(takes_context=True, queue_name=SIDE)
def perishable(context: Any) -> None:
    """Do next to nothing, but not too late."""
    with _recorded(context):
        pass


@task(takes_context=True, queue_name=SIDE)
def held(context: Any) -> None:
    """Do next to nothing, but not while this task or its queue is paused."""
    with _recorded(context):
        pass


@task(takes_context=True)
def revocable(context: Any, seconds: float) -> None:
    """Take a moment, unless it is called off."""
    with _recorded(context):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.02)
            context.raise_if_cancelled()


@task(takes_context=True, schedule=every(seconds=EVERY["tick"], missed="all"))
def tick(context: Any) -> None:
    """Do next to nothing every now and then."""
    with _recorded(context):
        pass


@task(takes_context=True, expose=True)
def chime(context: Any, number: int) -> int:
    """Do next to nothing when a row says so."""
    with _recorded(context):
        return number


@task(takes_context=True)
def poison(context: Any) -> None:
    """Kill the process that runs this, as the kernel does when memory is short."""
    with _recorded(context):
        os.kill(os.getpid(), signal.SIGKILL)


@task(takes_context=True, **PATIENT)
def chain(context: Any) -> None:
    """Enqueue another job in a transaction; whoever runs this twice enqueues twice."""
    with _recorded(context), transaction.atomic():
        _enqueue_next(context)


@task(takes_context=True, atomic=True, **PATIENT)
def effect(context: Any) -> None:
    """Count, and write a row: both exactly once."""
    with _recorded(context), connection.cursor() as cursor:
        tables.take_effect(cursor, context.task_result.id)


@task(takes_context=True, atomic=True, **PATIENT)
def link(context: Any) -> None:
    """Do what ``effect`` does, and enqueue another job: that, too, exactly once."""
    with _recorded(context), connection.cursor() as cursor:
        tables.take_effect(cursor, context.task_result.id)
        _enqueue_next(context)


def _enqueue_next(context: Any) -> None:
    following = quick.delay(0)
    with connection.cursor() as cursor:
        tables.insert_orders(cursor, [Order(following.id, "quick", context.task_result.id)])
