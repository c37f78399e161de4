"""What people do to tasks: pause and resume them, whatever queues their jobs are in. The commands call these."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async

from . import pauses
from .aliases import redis_backend
from .broker import inspect
from .broker.keys import pause_of_task
from .broker.replies import Pause
from .exceptions import InvalidOption
from .task_definition import Task

# As long as the column.
LONGEST_TASK = 200


def pause(
    task: Task[..., Any] | str,
    *,
    until: datetime | timedelta | None = None,
    reason: str = "",
    by: str = "",
    backend: str | None = None,
) -> None:
    """Let no job of a task start, in any queue; what runs goes on, its retries wait.

    It lasts until ``resume``, or until a time by the server's clock. A second call changes its end, reason and name.

    Args:
        task: the task, or the name that its jobs bear.
        until: a time, or a duration from now on.
        backend: the alias of TASKS; by default the first of ours.

    Raises:
        InvalidOption: no task has this name, or the end is not in the future.
        BrokerUnavailable: Redis is down. Where there is a job table, the pause begins when Redis is back.
    """
    end = pauses.end_of(until)
    pauses.begin(_name(task), redis_backend(backend), end, reason, by)


def resume(task: Task[..., Any] | str, *, backend: str | None = None) -> bool:
    """Let the jobs of a task start again; tell whether it was paused.

    Raises:
        InvalidOption: no task has this name.
        BrokerUnavailable: Redis is down. Where there is a job table, the pause ends when Redis is back.
    """
    return pauses.end(_name(task), redis_backend(backend))


def paused(*, backend: str | None = None) -> dict[str, Pause]:
    """Return the tasks that are paused now, with since when, until when, why and by whom.

    Raises:
        BrokerUnavailable: Redis is down.
    """
    return inspect.paused_tasks(redis_backend(backend).broker)


async def apause(
    task: Task[..., Any] | str,
    *,
    until: datetime | timedelta | None = None,
    reason: str = "",
    by: str = "",
    backend: str | None = None,
) -> None:
    """See ``pause``."""
    await sync_to_async(pause)(task, until=until, reason=reason, by=by, backend=backend)


async def aresume(task: Task[..., Any] | str, *, backend: str | None = None) -> bool:
    """See ``resume``."""
    return await sync_to_async(resume)(task, backend=backend)


async def apaused(*, backend: str | None = None) -> dict[str, Pause]:
    """See ``paused``."""
    return await sync_to_async(paused)(backend=backend)


def problem(name: str) -> str:
    """Return what is wrong with the name of a task that is to be paused, empty where it is a good one."""
    # Of a job that waits aside Redis keeps the name before a bar.
    if 0 < len(name) <= LONGEST_TASK and name.isprintable() and not {*'|"\\'} & {*name}:
        return ""
    return f'a task that is to be paused has 1 to {LONGEST_TASK} printable characters without | " \\, not {name!r}'


def _name(task: Task[..., Any] | str) -> str:
    name = task if isinstance(task, str) else task.job_name
    if found := problem(name):
        raise InvalidOption(found)
    return pause_of_task(name)
