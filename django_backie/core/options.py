"""What may be set on a task or on one call, and how the two and the settings merge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, TypedDict

Durability = Literal["outbox", "commit", "now"]
DURABILITIES: tuple[Durability, ...] = ("outbox", "commit", "now")

Backoff = float | tuple[float, ...]

DEFAULT_MAX_ATTEMPTS = 5
DEFAULT_BACKOFF = 15.0
DEFAULT_TIMEOUT = 3600.0
# Ten years: what is longer, such as infinity, is no time that JSON, Redis and datetime could all hold.
LONGEST = 10 * 366 * 86_400


class TaskOptions(TypedDict, total=False):
    """The keywords of ``@task`` beyond django.tasks' own."""

    max_attempts: int
    backoff: float | Sequence[float]
    timeout: float
    durability: Durability
    atomic: bool
    sensitive: bool | Sequence[str]


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of one job, resolved; they travel with it, the worker looks nothing up."""

    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    backoff: Backoff = DEFAULT_BACKOFF
    timeout: float | None = DEFAULT_TIMEOUT
    atomic: bool = False


DEFAULT_OPTIONS = Options()


def backoff_problem(value: Any) -> str | None:
    """Return what is wrong with a ``backoff``, or None."""
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
    if name == "backoff":
        problem = backoff_problem(value)
        return f"must be a number of seconds above 0, or a list of them: {problem}" if problem else None
    holds, wanted = _RULES[name]
    return None if holds(value) else wanted


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(name, str) for name in value)


def is_number(value: Any, kind: type | UnionType = int | float) -> bool:
    """Tell whether a value is a number; True and False are none."""
    return isinstance(value, kind) and not isinstance(value, bool)


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_attempts": (lambda v: is_number(v, int) and v >= 1, "must be a whole number from 1"),
    "timeout": (
        lambda v: is_number(v) and 0 < v <= LONGEST,
        "must be a number of seconds above 0, ten years at most",
    ),
    "durability": (lambda v: v in DURABILITIES, f"must be one of {', '.join(map(repr, DURABILITIES))}"),
    "atomic": (lambda v: isinstance(v, bool), "must be True or False"),
    "sensitive": (lambda v: isinstance(v, bool) or _are_names(v), "must be True, or a list of argument names"),
}
