"""Schedules that stand in the settings: a name, any task of the project, a rule, and what the jobs get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from . import compat, registry
from .backend import RedisBackend
from .calls import Call, named_arguments
from .core import jsonic
from .core.timetable import Cron, Schedule, adjusted, cron, read, schedule_of
from .exceptions import BackieError, InvalidArguments, InvalidOption, UnknownTask, did_you_mean
from .task_definition import Task
from .task_options import refuse_overlap_beside

KEYS = ("task", "schedule", "zone", "args", "kwargs", "queue", "priority", "missed", "overlap", "jitter")
ERRORS = (BackieError, compat.InvalidTask)
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule means: the task as its jobs have it, when, and with which arguments.

    The name is that of an entry in the settings or of a row; it is empty where the schedule stands in the code. The
    ``group`` is what its jobs have in common, where other schedules may name the same task.
    """

    name: str
    task: Task[..., Any]
    schedule: Schedule
    call: Call
    group: tuple[str, ...] = ()


def names(backend: RedisBackend) -> list[str]:
    """Return the names of the entries of a backend, in their order, also of those that are broken."""
    return [*backend.config.schedules]


def plan_of(name: str, backend: RedisBackend) -> Plan:
    """Return what an entry means.

    Raises:
        UnknownTask: there is no entry of this name, or no such task.
        InvalidOption, InvalidTask: a key is unknown, or has a wrong value.
        InvalidArguments, UnserializableValue: the arguments do not fit the task, or cannot travel.
    """
    if name not in backend.config.schedules:
        msg = f"SCHEDULES of {backend.alias!r} has no {name!r}{did_you_mean(name, map(str, names(backend)))}"
        raise UnknownTask(msg)
    entry = backend.config.schedules[name]
    _refuse_shape(name, entry)
    task = registry.get(entry["task"])
    _refuse_task(name, task, backend)
    schedule = _schedule(entry)
    refuse_overlap_beside(task.job_name, schedule, task)
    return Plan(name, _placed(task, entry), schedule, _call(task, entry), ("schedule", name))


def problems(backend: RedisBackend) -> Iterator[tuple[str, str]]:
    """Yield the name of each entry that is broken, and what is wrong with it."""
    for name in names(backend):
        try:
            plan_of(name, backend)
        except ERRORS as error:
            yield name, str(error)


def _refuse_shape(name: Any, entry: Any) -> None:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        msg = f"a schedule has a name of 1 to {LONGEST_NAME} printable characters, not {name!r}"
        raise InvalidOption(msg)
    if not isinstance(entry, Mapping):
        msg = f"a schedule is a mapping such as {{'task': 'shop.tasks.report', 'schedule': '@daily'}}, not {entry!r}"
        raise InvalidOption(msg)
    for key in entry:
        if key not in KEYS:
            msg = f"unknown key {key!r}{did_you_mean(str(key).lower(), KEYS)}; known are {', '.join(KEYS)}"
            raise InvalidOption(msg)
    for key in ("task", "schedule"):
        if key not in entry:
            msg = f"the key {key!r} is missing"
            raise InvalidOption(msg)
    for key in ("task", "queue", "zone"):
        if key in entry and not isinstance(entry[key], str):
            msg = f"{key} is {entry[key]!r}, it must be a string; leave the key out for the default"
            raise InvalidOption(msg)


def _refuse_task(name: str, task: Task[..., Any], backend: RedisBackend) -> None:
    if task.backend != backend.alias:
        msg = f"the task {task.job_name!r} is of {task.backend!r}; write its schedule in TASKS[{task.backend!r}]"
        raise InvalidOption(msg)
    if task.job_name == name and task.schedule is not None:
        msg = f"the task {name!r} has a schedule of its own, which is known by this name; choose another name"
        raise InvalidOption(msg)


def _schedule(entry: Mapping[str, Any]) -> Schedule:
    value, zone = entry["schedule"], entry.get("zone", "")
    if isinstance(value, str):
        found = read(value, zone=zone)
    elif isinstance(value, Schedule | timedelta):
        found = _on_clock(schedule_of(value), zone)
    else:
        msg = f"schedule is {value!r}, it must be a cron expression, 'every 5 minutes', every(...) or cron(...)"
        raise InvalidOption(msg)
    return adjusted(found, **{key: entry[key] for key in ("missed", "overlap", "jitter") if key in entry})


def _on_clock(schedule: Schedule, zone: str) -> Schedule:
    if not zone:
        return schedule
    if not isinstance(schedule.timetable, Cron):
        msg = f"{str(schedule)!r} has no time zone, its times are whole intervals since 1970 in UTC; leave zone out"
        raise InvalidOption(msg)
    return replace(schedule, timetable=cron(schedule.timetable.expression, zone=zone).timetable)


def _placed(task: Task[..., Any], entry: Mapping[str, Any]) -> Task[..., Any]:
    priority = entry.get("priority")
    if priority is not None and (isinstance(priority, bool) or not isinstance(priority, int)):
        msg = f"priority is {priority!r}, it must be a whole number"
        raise InvalidOption(msg)
    return task.using(queue_name=entry.get("queue"), priority=priority)


def _call(task: Task[..., Any], entry: Mapping[str, Any]) -> Call:
    args, kwargs = entry.get("args", ()), entry.get("kwargs", {})
    if not isinstance(args, list | tuple):
        msg = f"args is {args!r}, it must be a list"
        raise InvalidArguments(msg)
    if not isinstance(kwargs, Mapping) or not all(isinstance(key, str) for key in kwargs):
        msg = f"kwargs is {kwargs!r}, it must be a mapping of names to values"
        raise InvalidArguments(msg)
    call = (tuple(args), dict(kwargs))
    named_arguments(task, *call)
    jsonic.dumps([*args])
    jsonic.dumps(call[1])
    return call
