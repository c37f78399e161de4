"""What is wrong with the options of a task, said where they are written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from . import compat
from .core.limits import Shared, limit_key_of, rate_of
from .core.options import HOOKS, TaskOptions, option_problem, seconds_of, timeouts_problem
from .core.timetable import Schedule, schedule_of
from .core.unique import Unique, checked_key, unique_of
from .exceptions import InvalidOption, did_you_mean

OWN_OPTIONS = tuple(TaskOptions.__annotations__)
# Options that False leaves out.
OFF = frozenset({"sensitive", "coalesce", "unique", "concurrency_key", "rate_key", "fair_by"})
# Options that may be functions.
_FUNCTIONS = (
    "backoff",
    "coalesce",
    "unique",
    "concurrency_key",
    "rate_key",
    "fair_by",
    "fair_weight",
    *HOOKS,
)
# Options that are read by functions of their own.
_READERS: dict[str, Callable[[object], Any]] = {
    "schedule": schedule_of,
    "unique": unique_of,
    "concurrency_key": limit_key_of,
    "rate_limit": rate_of,
    "rate_key": limit_key_of,
    "fair_by": checked_key,
}


def checked(where: str, name: str, value: Any) -> Any:
    """Return the value of an option, lists as tuples.

    Raises:
        InvalidOption: it cannot be what it is.
    """
    if name in _READERS:
        return _read(where, name, value, _READERS[name])
    if problem := option_problem(name, value):
        msg = f"{where}: {name} is {value!r}, it {problem}"
        raise InvalidOption(msg)
    if name in {"timeout", "hard_timeout"} and isinstance(value, timedelta):
        return seconds_of(value)
    return tuple(value) if isinstance(value, list | set | frozenset) else value


def _read(where: str, name: str, value: Any, read: Callable[[object], Any]) -> Any:
    try:
        return read(value)
    except InvalidOption as error:
        msg = f"{where}: {name}: {error}"
        raise InvalidOption(msg) from error


def refuse_late_kill(where: str, timeout: Any, hard_timeout: Any) -> None:
    """Refuse a hard timeout that leaves the soft one no time.

    Raises:
        InvalidOption: names both.
    """
    if problem := timeouts_problem(timeout, hard_timeout):
        msg = f"{where}: {problem}, so that the task can end by itself"
        raise InvalidOption(msg)


def refuse_what_needs_arguments(where: str, signature: inspect.Signature) -> None:
    """Refuse a task with a schedule that cannot be called without arguments.

    Raises:
        InvalidOption: names what is missing.
    """
    try:
        signature.bind()
    except TypeError as error:
        msg = f"{where}{signature}: a schedule calls its task without arguments: {error}; give them defaults"
        raise InvalidOption(msg) from None


def refuse_overlap_beside(where: str, schedule: Schedule, options: Any) -> None:
    """Refuse a schedule that is to avoid overlaps where the task's own options are of the same kind.

    Raises:
        InvalidOption: names the option.
    """
    if schedule.overlap == "allow":
        return
    for name in ("unique", "concurrency", "concurrency_key"):
        if getattr(options, name) not in {None, False}:
            msg = (
                f"{where}: overlap={schedule.overlap!r} of the schedule and {name} exclude each other; set one of them"
            )
            raise InvalidOption(msg)


def refuse_what_cannot_be_atomic(where: str, func: Callable[..., Any], durability: str | None) -> None:
    """Refuse an atomic task whose end could not be written in its transaction.

    Raises:
        InvalidOption: says why.
    """
    if inspect.iscoroutinefunction(func):
        msg = f"{where}: an atomic task cannot be async: Django's transactions are not"
        raise InvalidOption(msg)
    if durability not in {None, "outbox"}:
        msg = f"{where}: an atomic task needs its row in the outbox, so durability cannot be {durability!r}"
        raise InvalidOption(msg)


def refuse_unknown(where: str, options: Iterable[str], others: Iterable[str]) -> None:
    """Refuse an option that no task has; the others are those that have a parameter of their own.

    Raises:
        InvalidOption: names the option, and the one that may have been meant.
    """
    for name in options:
        if name == "run_after":
            msg = f"{where}: run_after cannot be set on the task; use .using(run_after=...) for each job"
            raise InvalidOption(msg)
        if name not in OWN_OPTIONS:
            msg = f"{where}: unknown option {name!r}{did_you_mean(name, {*OWN_OPTIONS, *others})}"
            raise InvalidOption(msg)


def is_function(name: str, value: Any) -> bool:
    """Tell whether the value of an option is a function of the project's, which belongs to the task."""
    if isinstance(value, Unique | Shared):
        value = value.by
    return name in _FUNCTIONS and callable(value) and not isinstance(value, compat.Task)


def refuse_functions(where: str, options: Mapping[str, Any]) -> None:
    """Refuse what a call cannot have: functions, which do not travel, and a schedule.

    Raises:
        InvalidOption: names the option.
    """
    if "schedule" in options:
        msg = f"{where}: a call has no schedule; set it on the task"
        raise InvalidOption(msg)
    if "expose" in options:
        msg = f"{where}: a call is not exposed; set expose on the task"
        raise InvalidOption(msg)
    for name in _FUNCTIONS:
        if is_function(name, options.get(name)):
            msg = f"{where}: a function does not travel with a job; set {name} on the task, not by using()"
            raise InvalidOption(msg)
