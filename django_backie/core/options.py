"""What may be set on a task or on one call, and how the two and the settings merge."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import UnionType
from typing import Any, Literal, TypedDict

from .fair import HEAVIEST, is_weight
from .limits import MOST_AT_ONCE, Adaptive, Rate, Shared
from .timetable import Schedule
from .unique import By, Unique

Durability = Literal["outbox", "commit", "now"]
DURABILITIES: tuple[Durability, ...] = ("outbox", "commit", "now")

# How long to wait after an exception: ``(exception, task_result) -> seconds``, or None for no further attempt.
BackoffFunction = Callable[[BaseException, Any], float | None]
# A function does not travel: a job says that its task has one.
OF_THE_TASK: Literal["task"] = "task"
Backoff = float | tuple[float, ...] | Literal["task"]

# A task, which gets a job with the id of the one that has ended, or a function, which gets its handle.
Hook = Callable[[Any], Any]

# All arguments, some of them by name, or a function of the call's arguments.
KeyOption = bool | Sequence[str] | Callable[..., Any]

UniqueOption = By | Unique

# A limit's key: as above, or one that tasks share.
LimitKey = By | Shared

# How many jobs of a group are run in a turn, or a function of the arguments that returns it.
Weight = int | Callable[..., int]

ErrorClasses = type[Exception] | Sequence[type[Exception]]

DEFAULT_MAX_ATTEMPTS = 5
DEFAULT_BACKOFF = 15.0
DEFAULT_TIMEOUT = 3600.0
# Ten years: what is longer, such as infinity, is no time that JSON, Redis and datetime could all hold.
LONGEST = 10 * 366 * 86_400


class CommonOptions(TypedDict, total=False):
    """The keywords that ``@task`` and ``using()`` have in common, beyond django.tasks' own."""

    max_attempts: int
    retry_for: ErrorClasses
    discard_for: ErrorClasses
    timeout: float | timedelta
    hard_timeout: float | timedelta
    durability: Durability
    atomic: bool
    sensitive: bool | Sequence[str]
    coalesce: KeyOption
    unique: UniqueOption
    concurrency: int | Adaptive
    concurrency_key: LimitKey
    rate_limit: str | Rate
    rate_key: LimitKey
    fair_by: By
    fair_weight: Weight
    on_success: Hook
    on_failure: Hook
    on_exhausted: Hook


class TaskOptions(CommonOptions, total=False):
    """The keywords of ``@task`` beyond django.tasks' own."""

    backoff: float | Sequence[float] | BackoffFunction
    expires: float | timedelta
    schedule: str | timedelta | Schedule
    expose: bool


class UsingOptions(CommonOptions, total=False):
    """The keywords of ``using()`` beyond django.tasks' own; a function does not travel with a job."""

    backoff: float | Sequence[float]
    expires: float | timedelta | datetime


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of one job, resolved; they travel with it, the worker looks nothing up.

    ``retry_for`` (all, where it is empty) and ``discard_for`` are the paths of exception classes.
    """

    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    backoff: Backoff = DEFAULT_BACKOFF
    timeout: float | None = DEFAULT_TIMEOUT
    atomic: bool = False
    retry_for: tuple[str, ...] = ()
    discard_for: tuple[str, ...] = ()
    # The names of tasks.
    on_success: str = ""
    on_failure: str = ""
    on_exhausted: str = ""
    hard_timeout: float | None = None


DEFAULT_OPTIONS = Options()
HOOKS = ("on_success", "on_failure", "on_exhausted")


def backoff_problem(value: Any) -> str | None:
    """Return what is wrong with a ``backoff`` of numbers, or None."""
    numbers = value if isinstance(value, list | tuple) else [value]
    if not numbers:
        return "an empty list"
    for number in numbers:
        if not is_number(number):
            return f"{number!r} is not a number"
        if not number >= 0 or (number == 0 and numbers == [value]):
            return f"{number!r} is not above 0"
        if number > LONGEST:
            return f"{number!r} is more than ten years"
    return None


def option_problem(name: str, value: Any) -> str | None:
    """Return what is wrong with one option of a task, or None."""
    if name in HOOKS:
        problem = _function_problem(value, 1)
        return f"must be a task or a function of one argument: {problem}" if problem else None
    if callable(value) and name in {"coalesce", "fair_weight"}:
        return "must not be async" if inspect.iscoroutinefunction(value) else None
    if name == "backoff":
        problem = _function_problem(value, 2) if callable(value) else backoff_problem(value)
        wanted = "must be a number of seconds above 0, a list of them, or a function of exception and task_result"
        return f"{wanted}: {problem}" if problem else None
    holds, wanted = _RULES[name]
    return None if holds(value) else wanted


def _function_problem(function: Any, arguments: int) -> str | None:
    if not callable(function) and not hasattr(function, "func"):
        return f"{function!r} cannot be called"
    if inspect.iscoroutinefunction(function):
        return "it is async, and would be called where nobody can wait for it"
    # A task knows its signature, that of its __call__ is anybody's. Django's own cannot be called; its function can.
    signature = getattr(function, "signature", None)
    try:
        (signature or inspect.signature(getattr(function, "func", function))).bind(*[None] * arguments)
    except (TypeError, ValueError):
        return f"it cannot be called with {arguments} argument(s): {function!r}"
    return None


def path_of(kind: type) -> str:
    """Return the path by which a class is known in a job: module and qualified name."""
    return f"{kind.__module__}.{kind.__qualname__}"


def paths_of(kinds: ErrorClasses | None) -> tuple[str, ...]:
    """Return the paths of one or several exception classes."""
    if kinds is None:
        return ()
    return tuple(path_of(kind) for kind in ([kinds] if isinstance(kinds, type) else kinds))


def _are_error_classes(value: Any) -> bool:
    kinds = value if isinstance(value, list | tuple | set | frozenset) else [value]
    return len(kinds) > 0 and all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds)


def seconds_of(value: float | timedelta) -> float:
    """Return a duration in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def timeouts_problem(timeout: float | None, hard_timeout: float | None) -> str | None:
    """Return what is wrong with a soft and a hard timeout that are set in one place, or None."""
    if timeout is None or hard_timeout is None or hard_timeout > timeout:
        return None
    return f"hard_timeout is {hard_timeout!r} and timeout is {timeout!r}: the hard one must be larger"


def _is_duration(value: Any) -> bool:
    return (isinstance(value, timedelta) or is_number(value)) and 0 < seconds_of(value) <= LONGEST


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(name, str) for name in value)


def is_number(value: Any, kind: type | UnionType = int | float) -> bool:
    """Tell whether a value is a number; True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_attempts": (lambda v: is_number(v, int) and v >= 1, "must be a whole number from 1"),
    "retry_for": (_are_error_classes, "must be an exception class, or a list of them"),
    "discard_for": (_are_error_classes, "must be an exception class, or a list of them"),
    "expires": (_is_duration, "must be a timedelta or a number of seconds above 0, ten years at most"),
    "timeout": (_is_duration, "must be a number of seconds above 0, or a timedelta, ten years at most"),
    "hard_timeout": (_is_duration, "must be a number of seconds above 0, or a timedelta, ten years at most"),
    "concurrency": (
        lambda v: isinstance(v, Adaptive) or (is_number(v, int) and 1 <= v <= MOST_AT_ONCE),
        f"must be a whole number from 1 to {MOST_AT_ONCE}, or Adaptive(...)",
    ),
    "fair_weight": (is_weight, f"must be a whole number from 1 to {HEAVIEST}, or a function of the arguments"),
    "durability": (lambda v: v in DURABILITIES, f"must be one of {', '.join(map(repr, DURABILITIES))}"),
    "expose": (lambda v: isinstance(v, bool), "must be True or False"),
    "atomic": (lambda v: isinstance(v, bool), "must be True or False"),
    "coalesce": (
        lambda v: isinstance(v, bool) or (_are_names(v) and len(v) > 0),
        "must be True, a list of argument names, or a function of the arguments",
    ),
    "sensitive": (lambda v: isinstance(v, bool) or _are_names(v), "must be True, or a list of argument names"),
}
