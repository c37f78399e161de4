"""What the jobs of a task have in common: options resolved (call > task > settings), once for a task."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone

from . import compat
from .conf import Config
from .core.options import (
    DEFAULT_BACKOFF,
    DEFAULT_MAX_ATTEMPTS,
    DEFAULT_OPTIONS,
    OF_THE_TASK,
    Options,
    paths_of,
    seconds_of,
)
from .exceptions import InvalidOption
from .moments import epoch, moment
from .task_definition import Task


class Plan(NamedTuple):
    """What all jobs of a task have in common. It keeps the task alive, whose ``id()`` it is found by."""

    of: Task[..., Any]
    task: str
    queue: str
    priority: int
    options: Options
    database: str


def plan_of(task: Task[..., Any], config: Config) -> Plan:
    """Return the plan of a task.

    Raises:
        InvalidOption: the task names a database that holds no job table.
    """
    return Plan(
        of=task,
        task=task.job_name,
        queue=task.queue_name,
        priority=int(task.priority),
        options=_options(task, config),
        database=_database(task, config),
    )


def _options(task: Task[..., Any], config: Config) -> Options:
    attempts = task.max_attempts or config.max_attempts or (DEFAULT_MAX_ATTEMPTS if task.native else 1)
    backoff = task.backoff if task.backoff is not None else config.backoff
    timeout = task.timeout if task.timeout is not None else config.timeout
    hard_timeout = task.hard_timeout if task.hard_timeout is not None else config.hard_timeout
    options = Options(
        max_attempts=attempts,
        backoff=OF_THE_TASK if callable(backoff) else DEFAULT_BACKOFF if backoff is None else backoff,
        retry_for=paths_of(task.retry_for),
        discard_for=paths_of(task.discard_for),
        on_success=_name_of(task.on_success),
        on_failure=_name_of(task.on_failure),
        on_exhausted=_name_of(task.on_exhausted),
        timeout=_number(timeout),
        hard_timeout=_number(hard_timeout),
        atomic=task.atomic,
    )
    # The same object, by which the codec sees at a glance that there is nothing to write.
    return DEFAULT_OPTIONS if options == DEFAULT_OPTIONS else options


def _number(duration: float | timedelta | None) -> float | None:
    return seconds_of(duration) if isinstance(duration, timedelta) else duration


def _database(task: Task[..., Any], config: Config) -> str:
    databases = config.databases
    if task.database is None:
        return databases[0] if databases else "default"
    if databases and task.database not in databases:
        msg = f"database {task.database!r} of {task.job_name} is none of OPTIONS['DATABASES'], {databases}"
        raise InvalidOption(msg)
    return task.database


def _name_of(hook: Any) -> str:
    """Return the name of a hook that is a task; a function stays with the task that has it."""
    return adopted(hook).job_name if isinstance(hook, compat.Task) else ""


def adopted(task: Any) -> Task[..., Any]:
    """Return our kind of task for one that another backend's ``task_class`` has made."""
    if isinstance(task, Task):
        return task
    names = ("func", "priority", "backend", "queue_name", "run_after", "takes_context")
    return Task(**{name: getattr(task, name) for name in names})


def moment_of(name: str, when: datetime | timedelta | float | None, now: float) -> float | None:
    """Return a time or a duration from now on as seconds since the epoch.

    Raises:
        InvalidTask: it is no time that datetime knows; names the option.
    """
    if when is None:
        return None
    if name == "expires" and isinstance(when, datetime) and settings.USE_TZ and timezone.is_naive(when):
        msg = f"{name} must be an aware datetime, {when!r} is naive."
        raise compat.InvalidTask(msg)
    due = epoch(when) if isinstance(when, datetime) else now + seconds_of(when)
    try:
        moment(due)
    except (OverflowError, ValueError):
        msg = f"{name} must be a time that datetime knows, {when!r} is not."
        raise compat.InvalidTask(msg) from None
    return due
