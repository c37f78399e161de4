"""What people do with schedules: look at them, pause them, go on, run one now.

Those that stand in the code are known by their task, those in the settings and those that people wrote as rows by their
name.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.conf import settings

from . import registry, schedule_rows, schedule_settings
from .backend import RedisBackend
from .clock import SYSTEM
from .core.timetable import Schedule
from .core.unique import Unique
from .exceptions import UnknownTask, did_you_mean
from .moments import moment
from .result import TaskResult
from .schedule_settings import Plan
from .task_definition import Task


@dataclass(frozen=True, slots=True)
class Entry:
    """A task with its rule; ``last`` is None where no worker has seen it yet.

    ``name`` is that of the settings or of a row, ``problem`` tells why it makes no jobs. It ``stands_in`` the
    ``"code"``, the ``"settings"`` or the ``"table"``.
    """

    task: str
    rule: str
    coming: tuple[datetime, ...]
    last: datetime | None = None
    is_paused: bool = False
    name: str = ""
    problem: str = ""
    stands_in: str = "code"


def overview(backend: RedisBackend, count: int = 3) -> list[Entry]:
    """Return the schedules in the code, in the settings and in the table, with their next times."""
    found = [_entry(plan, backend, count) for plan in plans(backend)]
    for name, problem in schedule_settings.problems(backend):
        found.append(Entry("", "", (), name=str(name), problem=problem, stands_in="settings"))
    return found + [_entry_of(row, backend, count) for row in _written(backend)]


def pause(name: str, backend: RedisBackend) -> None:
    """Make no more jobs by a schedule until it is resumed; jobs that are made already run.

    Args:
        name: of the task whose schedule stands in the code, or of the schedule in the settings or in the table.

    Raises:
        UnknownTask: there is no such schedule.
        BackieError, InvalidTask: its entry in the settings is broken; says why.
    """
    _set_paused(name, backend, is_paused=True)


def resume(name: str, backend: RedisBackend) -> None:
    """Go on after ``pause``, whose errors it has; of the times since, the schedule's ``missed`` decides."""
    _set_paused(name, backend, is_paused=False)


def run(name: str, backend: RedisBackend) -> TaskResult[Any]:
    """Make a job of a schedule now, beside its times; for the name and the errors see ``pause``."""
    plan = find(name, backend)
    found: TaskResult[Any] = backend.submit(plan.task, [plan.call])[0]
    return found


def database_of(task: Task[..., Any], backend: RedisBackend) -> str:
    """Return the alias whose table has the row of a task's schedule."""
    return task.database or backend.config.databases[0]


def for_slot(plan: Plan, slot: float, key: str, database: str) -> Task[..., Any]:
    """Return a task as the job of a slot has it: in the outbox, and after its part of the jitter.

    Args:
        slot: in seconds since 1970.
        key: the id of the slot's job.
        database: the alias whose transaction moves the schedule on.
    """
    # Whatever the task's own durability: a slot comes but once.
    task = _for_overlap(plan).using(database=database, durability="outbox")
    if not plan.schedule.jitter:
        return task
    part = random.Random(key).random() * plan.schedule.jitter  # noqa: S311 - always the same for a slot
    return task.using(run_after=moment(slot) + timedelta(seconds=part))


def _for_overlap(plan: Plan) -> Task[..., Any]:
    """Return a task as jobs have it that may not overlap.

    ``"skip"`` is one job until its end; ``"queue"`` is one that waits, and one that runs.
    """
    overlap = plan.schedule.overlap
    if overlap == "allow":
        return plan.task
    # Schedules that name the same task do not hold each other up.
    by: Any = functools.partial(_key, plan.group) if plan.group else ()
    if overlap == "skip":
        return replace(plan.task, schedule=None, coalesce=False, unique=Unique(by=by))
    key = by if plan.group else False
    unique = Unique(by=by, until="start")
    return replace(plan.task, schedule=None, coalesce=False, unique=unique, concurrency=1, concurrency_key=key)


def _key(group: tuple[str, ...], *_: Any, **__: Any) -> list[str]:
    return [*group]


def of_code(task: Task[..., Any], schedule: Schedule) -> Plan:
    """Return what a schedule means that stands in the code."""
    return Plan("", task, schedule, ((), {}))


def plans(backend: RedisBackend) -> Iterator[Plan]:
    """Yield the schedules in the code and in the settings, but for broken ones."""
    for task, schedule in scheduled(backend):
        yield of_code(task, schedule)
    for name in schedule_settings.names(backend):
        try:
            yield schedule_settings.plan_of(name, backend)
        except schedule_settings.ERRORS:
            continue


def scheduled(backend: RedisBackend) -> Iterator[tuple[Task[..., Any], Schedule]]:
    """Yield the tasks of a backend that have a schedule in the code, and it."""
    for name in registry.names():
        task = registry.get(name)
        if task.schedule is not None and task.backend == backend.alias:
            yield task, task.schedule


def find(name: str, backend: RedisBackend) -> Plan:
    """Return a schedule by its name; for the errors see ``pause``."""
    known = {task.job_name: of_code(task, schedule) for task, schedule in scheduled(backend)}
    if name in known:
        return known[name]
    if name in backend.config.schedules:
        return schedule_settings.plan_of(name, backend)
    written = {row.name: row for row in _written(backend)}
    if name in written:
        return schedule_rows.plan_of(written[name], backend)
    have = [*sorted(known), *map(str, schedule_settings.names(backend)), *written]
    msg = f"no schedule {name!r} in {backend.alias!r}{did_you_mean(name, have)}; known: {', '.join(have) or 'none'}"
    raise UnknownTask(msg)


def _written(backend: RedisBackend) -> list[Any]:
    """Return the rows that people wrote; without a table there are none."""
    return [*schedule_rows.rows(backend).order_by("name")] if backend.config.databases else []


def _entry_of(row: Any, backend: RedisBackend, count: int) -> Entry:
    found = Entry(row.task, row.rule, (), row.last_slot, row.is_paused, row.name, stands_in="table")
    try:
        plan = schedule_rows.plan_of(row, backend)
    except schedule_settings.ERRORS as error:
        return replace(found, problem=str(error))
    return replace(found, rule=str(plan.schedule), coming=_coming(plan, count))


def _entry(plan: Plan, backend: RedisBackend, count: int) -> Entry:
    row = rows_of(plan, backend).filter(rule=str(plan.schedule)).first()
    found = Entry(plan.task.job_name, str(plan.schedule), _coming(plan, count), name=plan.name)
    found = replace(found, stands_in="settings" if plan.name else "code")
    return found if row is None else replace(found, last=row.last_slot, is_paused=row.is_paused)


def _coming(plan: Plan, count: int) -> tuple[datetime, ...]:
    slots = plan.schedule.timetable.slots(SYSTEM.now(), settings.TIME_ZONE)
    return tuple(moment(slot) for slot in itertools.islice(slots, count))


def _set_paused(name: str, backend: RedisBackend, *, is_paused: bool) -> None:
    # Also one that is broken. Where the settings have got its name since, that means theirs.
    written = [row.pk for row in _written(backend) if row.name == name]
    if written and not schedule_rows.name_problem(name, backend):
        schedule_rows.rows(backend).filter(pk__in=written).update(is_paused=is_paused)
        return
    plan = find(name, backend)
    # One that no worker has seen yet can be paused before it begins.
    row_of(plan, backend, SYSTEM.now())
    rows_of(plan, backend).update(is_paused=is_paused)


def row_of(plan: Plan, backend: RedisBackend, now: float) -> Any:
    """Return the row of a schedule with its present rule; a new one begins now, in seconds since 1970."""
    row, _ = rows_of(plan, backend).get_or_create(
        backend=backend.alias,
        task=plan.task.job_name,
        rule=str(plan.schedule),
        name=plan.name,
        in_settings=bool(plan.name),
        defaults={"last_slot": moment(now)},
    )
    return row


def put_in_force(row: Any, plan: Plan, backend: RedisBackend, begun: float) -> None:
    """Note that a worker has the rule of a row, and that the schedule's other rules have ended.

    What has come since the rule had ended, and before it was begun again, in seconds since 1970, was not missed.
    """
    rows = rows_of(plan, backend).filter(pk=row.pk)
    if row.is_ended:
        rows.filter(last_slot__lt=moment(begun)).update(last_slot=moment(begun))
        rows.update(is_ended=False)
        row.refresh_from_db(using=rows.db)
    # No transaction: two rules that two workers have at once would wait for each other's rows.
    others = _rows_of_rules(plan, backend).filter(is_ended=False).exclude(pk=row.pk)
    # Most have none, and SQLite would let all workers that start wait for each other.
    if others.exists():
        others.update(is_ended=True)


def _rows_of_rules(plan: Plan, backend: RedisBackend) -> Any:
    if not plan.name:
        return rows_of(plan, backend)
    # An entry of the settings stays what it is when it names another task.
    rows = apps.get_model("django_backie", "Schedule")._default_manager.using(database_of(plan.task, backend))
    return rows.filter(backend=backend.alias, name=plan.name, in_settings=True)


def rows_of(plan: Plan, backend: RedisBackend) -> Any:
    """Return the rows of a schedule, one for each rule that it has ever had, as a queryset."""
    rows = apps.get_model("django_backie", "Schedule")._default_manager.using(database_of(plan.task, backend))
    return rows.filter(backend=backend.alias, task=plan.task.job_name, name=plan.name, in_settings=bool(plan.name))
