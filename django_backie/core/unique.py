"""What makes two calls of a task one job, for how long, and what becomes of the second call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from ..exceptions import InvalidOption

Until = Literal["start", "end"]
UNTIL: tuple[Until, ...] = ("start", "end")
Conflict = Literal["ignore", "raise", "replace", "extend"]
CONFLICTS: tuple[Conflict, ...] = ("ignore", "raise", "replace", "extend")
# What the scripts decide, as it travels with a job (broker/lua/include/unique.lua); all else is for the caller.
_LETTERS: dict[str, str] = {"replace": "r", "extend": "x"}

# All arguments, some of them by name, or a function of the call's arguments.
By = bool | str | Sequence[str] | Callable[..., Any]

TEN_YEARS = 10 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Unique:
    """One job of all calls with the same key, as long as the first one's job is there.

    Args:
        by: what the key is made of: True for all arguments, the name of one, names of several (none: the task alone),
            or a function that is called with them.
        until: ``"end"``: the job has ended; ``"start"``: it has been started.
        conflict: what a call gets while there is one: its handle (``"ignore"``), or ``DuplicateJob`` (``"raise"``);
            or its own job in the place of one that has not been started (``"replace"``); or the handle of one that
            waits for its time, and from now on for that of the call (``"extend"``).
        window: seconds, or a timedelta, from the enqueueing on, for which there is no other job even if this one ends.

    Raises:
        InvalidOption: one of them cannot be what it is.
    """

    by: By = True
    until: Until = "end"
    conflict: Conflict = "ignore"
    window: float | timedelta = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "by", checked_key(self.by))
        object.__setattr__(self, "window", _checked_window(self.window))
        for name, known in (("until", UNTIL), ("conflict", CONFLICTS)):
            if getattr(self, name) not in known:
                wanted = ", ".join(map(repr, known))
                msg = f"{name} is {getattr(self, name)!r}, it must be one of {wanted}"
                raise InvalidOption(msg)
        if self.window and self.is_decided_in_redis:
            msg = (
                f"window is {self.window!r} with conflict {self.conflict!r}: a window begins with a call that makes "
                "a job, and here later calls count; leave one of them out"
            )
            raise InvalidOption(msg)

    @property
    def is_decided_in_redis(self) -> bool:
        """Tell whether every call is pushed, and only Redis tells what becomes of it."""
        return bool(self.letter)

    @property
    def letter(self) -> str:
        """Return how the conflict travels; empty where Redis need not know of it."""
        return _LETTERS.get(self.conflict, "")

    def lock(self, digest: str) -> str:
        """Return what travels with a job: its key, for how many milliseconds it stands in any case, what it does."""
        seconds = float(self.window)  # type: ignore[arg-type]
        parts = [f"{self.until[0]}{digest}", f"{round(seconds * 1000)}" if seconds else "", self.letter]
        return "|".join(filter(None, parts))


def unique_of(value: object) -> Unique:
    """Return what the option ``unique`` means: True, names of arguments, a function of them, or a ``Unique``.

    Raises:
        InvalidOption: it is none of these.
    """
    return value if isinstance(value, Unique) else Unique(by=value)  # type: ignore[arg-type]


def key_of_lock(lock: str) -> str:
    """Return the key of what travels with a job, without its window and what it does."""
    return lock.partition("|")[0]


def checked_key(by: Any) -> Any:
    """Return what keys are made of, names as a tuple.

    Raises:
        InvalidOption: it can be no key.
    """
    if inspect.iscoroutinefunction(by):
        msg = f"its key function is async, and would be called where nobody can wait for it: {by!r}"
        raise InvalidOption(msg)
    if by is True or callable(by):
        return by
    names = (by,) if isinstance(by, str) else by
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        msg = f"its key is {by!r}, it must be True, names of arguments, or a function of the arguments"
        raise InvalidOption(msg)
    return tuple(names)


def _checked_window(window: Any) -> float:
    seconds = window.total_seconds() if isinstance(window, timedelta) else window
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= TEN_YEARS:
        msg = f"window is {window!r}, it must be a number of seconds from 0, or a timedelta, ten years at most"
        raise InvalidOption(msg)
    return float(seconds)
