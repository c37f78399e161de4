"""Schedules that people write as rows: the name of an exposed task, a rule as text, arguments of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.apps import apps
from django.db import OperationalError, connections, transaction

from . import registry
from .backend import RedisBackend
from .calls import named_arguments
from .clock import SYSTEM, Clock
from .core.timetable import Missed, Overlap, adjusted, read
from .exceptions import InvalidArguments, InvalidOption
from .moments import moment
from .schedule_settings import Plan
from .task_definition import Task
from .task_options import refuse_overlap_beside

# More than there will be writers of one name: of those who wait for each other, all but one go on.
TRIES = 10


def write(
    name: str,
    backend: RedisBackend,
    *,
    task: str,
    rule: str,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    queue: str = "",
    priority: int | None = None,
    zone: str = "",
    missed: Missed = "latest",
    overlap: Overlap = "allow",
    jitter: float = 0.0,
    clock: Clock = SYSTEM,
) -> Any:
    """Write a schedule under a name, or change the one of this name, which then begins anew; return its row.

    Args:
        task: the name of a task with ``expose=True``.
        rule: a cron expression, or an interval such as ``every 5 minutes``.
        queue, priority: of the jobs; by default the task's.
        zone, missed, overlap, jitter: as in ``cron()``.

    Raises:
        UnknownTask: no task has this name.
        InvalidOption: the task is not exposed, the rule cannot be read, ``overlap`` stands beside an option of the same
            kind, the code or the settings have a schedule of this name.
        InvalidArguments: they do not fit the task, or are no JSON.
        OperationalError: in a transaction of the caller's, the database has ended it for a deadlock; try that again.
    """
    # Not every process that writes one has met its task.
    registry.discover(backend.config.task_modules)
    if problem := name_problem(name, backend):
        raise InvalidOption(problem)
    values: dict[str, Any] = {"task": task, "rule": " ".join(rule.split()), "zone": zone, "missed": missed}
    values |= {"overlap": overlap, "jitter": jitter, "args": list(args), "kwargs": dict(kwargs or {})}
    values |= {"queue": queue, "priority": priority, "last_slot": moment(clock.now())}
    plan_of(rows(backend).model(backend=backend.alias, name=name, **values), backend)
    is_outermost = not connections[database_of(backend)].in_atomic_block
    for _ in range(TRIES - 1 if is_outermost else 0):
        try:
            return _written(name, backend, values)
        except OperationalError as error:
            if not _is_deadlock(error):
                raise
    return _written(name, backend, values)


def _written(name: str, backend: RedisBackend, values: dict[str, Any]) -> Any:
    database = database_of(backend)
    with transaction.atomic(using=database):
        row = _locked(name, backend, values["last_slot"])
        for field, value in values.items():
            setattr(row, field, value)
        # Whether it is paused is for others to say.
        row.save(using=database, update_fields=[*values])
    return row


def _is_deadlock(error: OperationalError) -> bool:
    """Tell whether the database chose this transaction to end a deadlock.

    InnoDB locks entries of an index before their rows, a change of a row the other way round; its manual says to be
    ready to try again: https://dev.mysql.com/doc/refman/8.4/en/innodb-deadlocks-handling.html.
    """
    return error.args[:1] == (1213,) or getattr(error.__cause__, "sqlstate", "") == "40P01"


def _locked(name: str, backend: RedisBackend, now: datetime) -> Any:
    """Return the row of a name, an empty one where there is none, that nobody else changes in this transaction."""
    found = rows(backend).filter(name=name)
    # An update that changes nothing locks in every database, SQLite too, where a read before it could only fail.
    if found.update(name=name):
        return found.first()
    # The same for all who write the name, whatever its rule: the second waits here for the end of the first. An upsert,
    # for several plain inserts of one key may deadlock on MariaDB.
    new = found.model(backend=backend.alias, name=name, task="", rule="", last_slot=now)
    has_target = connections[found.db].features.supports_update_conflicts_with_target
    target = ("backend", "task", "rule", "name", "in_settings") if has_target else None
    found.bulk_create([new], update_conflicts=True, update_fields=["name"], unique_fields=target)
    others = found.exclude(task="", rule="")
    if others.update(name=name):
        found.filter(task="", rule="").delete()
        return others.first()
    return found.get()


def name_problem(name: str, backend: RedisBackend) -> str:
    """Return what is wrong with the name of a new schedule, empty where it is a good one.

    One that stands elsewhere has its name for itself: people would not know which of the two they pause.
    """
    if not name or len(name) > 100:
        return f"a schedule has a name of 1 to 100 characters, not {name!r}"
    if name in backend.config.schedules:
        return f"the settings have a schedule {name!r}; choose another name"
    if name in registry.names() and registry.get(name).schedule is not None:
        return f"the task {name!r} has a schedule of its own, which is known by this name; choose another name"
    return ""


def plan_of(row: Any, backend: RedisBackend) -> Plan:
    """Return what a row means.

    Raises:
        UnknownTask, InvalidOption, InvalidArguments: see ``write``; the row is broken.
    """
    task = registry.get(row.task)
    _refuse_task(task, backend)
    _refuse_arguments(task, row.args, row.kwargs)
    schedule = adjusted(read(row.rule, zone=row.zone), missed=row.missed, overlap=row.overlap, jitter=row.jitter)
    refuse_overlap_beside(task.job_name, schedule, task)
    database = database_of(backend)
    queue = row.queue or None
    return Plan(
        row.name,
        task.using(queue_name=queue, priority=row.priority, database=database, durability="outbox"),
        schedule,
        (tuple(row.args), dict(row.kwargs)),
        # Not the name, which people may change, and which the settings may have, too.
        ("row", str(row.pk)),
    )


def rows(backend: RedisBackend) -> Any:
    """Return the rows that people wrote for a backend, as a queryset."""
    found = apps.get_model("django_backie", "Schedule")._default_manager.using(database_of(backend))
    return found.filter(backend=backend.alias, in_settings=False).exclude(name="")


def database_of(backend: RedisBackend) -> str:
    """Return the alias whose table has the rows of a backend."""
    return backend.config.databases[0]


def _refuse_task(task: Any, backend: RedisBackend) -> None:
    if not getattr(task, "expose", False):
        msg = f"the task {task.job_name!r} is not exposed to rows; set expose=True on it"
        raise InvalidOption(msg)
    if task.backend != backend.alias:
        msg = f"the task {task.job_name!r} is of {task.backend!r}, the schedule of {backend.alias!r}"
        raise InvalidOption(msg)
    if task.database not in {None, database_of(backend)}:
        msg = f"the jobs of {task.job_name!r} are in {task.database!r}, rows of schedules in {database_of(backend)!r}"
        raise InvalidOption(msg)


def _refuse_arguments(task: Task[..., Any], args: Any, kwargs: Any) -> None:
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        msg = f"{task.job_name}: arguments are a list, and an object of those by name, not {args!r} and {kwargs!r}"
        raise InvalidArguments(msg)
    try:
        json.dumps([args, kwargs], allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = f"{task.job_name}: the arguments of a schedule must be JSON: {error}"
        raise InvalidArguments(msg) from error
    named_arguments(task, args, kwargs)
