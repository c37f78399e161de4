"""What people do with schedules: look at them, pause them, go on, run one now."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.apps import apps
from django.conf import settings

from . import registry
from .backend import RedisBackend
from .clock import SYSTEM
from .core.timetable import Schedule
from .core.unique import Unique
from .exceptions import UnknownTask
from .moments import moment
from .result import TaskResult
from .task_definition import Task


@dataclass(frozen=True, slots=True)
class Entry:
    """A task with its rule; ``last`` is None where no worker has seen it yet."""

    task: str
    rule: str
    coming: tuple[datetime, ...]
    last: datetime | None = None
    is_paused: bool = False


def overview(backend: RedisBackend, count: int = 3) -> list[Entry]:
    """Return the schedules in the code, with their next times."""
    return [_entry(task, schedule, backend, count) for task, schedule in scheduled(backend)]


def pause(name: str, backend: RedisBackend) -> None:
    """Make no more jobs by a task's schedule until it is resumed; jobs that are made already run.

    Raises:
        UnknownTask: no task of this name has a schedule.
    """
    _set_paused(name, backend, is_paused=True)


def resume(name: str, backend: RedisBackend) -> None:
    """Go on after ``pause``; of the times since, the schedule's ``missed`` decides.

    Raises:
        UnknownTask: no task of this name has a schedule.
    """
    _set_paused(name, backend, is_paused=False)


def run(name: str, backend: RedisBackend) -> TaskResult[Any]:
    """Make a job of a scheduled task now, beside its times.

    Raises:
        UnknownTask: no task of this name has a schedule.
    """
    found: TaskResult[Any] = _find(name, backend).delay()
    return found


def database_of(task: Task[..., Any], backend: RedisBackend) -> str:
    """Return the alias whose table has the row of a task's schedule."""
    return task.database or backend.config.databases[0]


def for_slots(task: Task[..., Any], schedule: Schedule) -> Task[..., Any]:
    """Return a task as the jobs of its schedule have it, which may not overlap.

    ``"skip"`` is one job until its end; ``"queue"`` is one that waits, and one that runs.
    """
    if schedule.overlap == "skip":
        return replace(task, schedule=None, coalesce=False, unique=Unique(by=()))
    if schedule.overlap == "queue":
        return replace(task, schedule=None, coalesce=False, unique=Unique(by=(), until="start"), concurrency=1)
    return task


def scheduled(backend: RedisBackend) -> Iterator[tuple[Task[..., Any], Schedule]]:
    """Yield the tasks of a backend that have a schedule, and it."""
    for name in registry.names():
        task = registry.get(name)
        if task.schedule is not None and task.backend == backend.alias:
            yield task, task.schedule


def _find(name: str, backend: RedisBackend) -> Task[..., Any]:
    known = {task.job_name: task for task, _ in scheduled(backend)}
    if name not in known:
        have = ", ".join(sorted(known)) or "none has"
        msg = f"no task {name!r} has a schedule in {backend.alias!r}; these have: {have}"
        raise UnknownTask(msg)
    return known[name]


def _entry(task: Task[..., Any], schedule: Schedule, backend: RedisBackend, count: int) -> Entry:
    slots = schedule.timetable.slots(SYSTEM.now(), settings.TIME_ZONE)
    coming = tuple(moment(slot) for slot in itertools.islice(slots, count))
    row = rows_of(task, backend).filter(rule=str(schedule)).first()
    if row is None:
        return Entry(task.job_name, str(schedule), coming)
    return Entry(task.job_name, str(schedule), coming, row.last_slot, row.is_paused)


def _set_paused(name: str, backend: RedisBackend, *, is_paused: bool) -> None:
    task = _find(name, backend)
    # One that no worker has seen yet can be paused before it begins.
    row_of(task, backend, SYSTEM.now())
    rows_of(task, backend).update(is_paused=is_paused)


def row_of(task: Task[..., Any], backend: RedisBackend, now: float) -> Any:
    """Return the row of a task with its present rule; a new one begins now, in seconds since 1970."""
    row, _ = rows_of(task, backend).get_or_create(
        backend=backend.alias, task=task.job_name, rule=str(task.schedule), defaults={"last_slot": moment(now)}
    )
    return row


def rows_of(task: Task[..., Any], backend: RedisBackend) -> Any:
    """Return the rows of a task, one for each rule that it has ever had, as a queryset."""
    rows = apps.get_model("django_backie", "Schedule")._default_manager.using(database_of(task, backend))
    return rows.filter(backend=backend.alias, task=task.job_name, name="")
