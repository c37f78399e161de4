"""``TASKS[alias]["OPTIONS"]`` as one frozen, validated value."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .core.options import (
    DEFAULT_TIMEOUT,
    DURABILITIES,
    LONGEST,
    Durability,
    backoff_problem,
    is_number,
    timeouts_problem,
)
from .exceptions import ConfigurationError, did_you_mean

# What the scripts read (broker/lua/include/place.lua).
MOST_PLACES = 100_000_000
SCHEMES = ("redis://", "rediss://", "unix://", "valkey://", "valkeys://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one alias. Times are seconds, sizes are bytes, retention is a ``timedelta``."""

    alias: str
    # Not in the repr: error reports show the variables of frames.
    url: str = field(default="", repr=False)
    namespace: str = ""
    databases: tuple[str, ...] = ("default",)
    durability: Durability = "outbox"
    enqueue_on_commit: bool = True
    max_attempts: int | None = None
    backoff: float | tuple[float, ...] = 15.0
    timeout: float | None = DEFAULT_TIMEOUT
    hard_timeout: float | None = None
    watchdog: float | None = 10.0
    retention: timedelta = timedelta(days=7)
    retention_failed: timedelta = timedelta(days=30)
    lease: float = 15.0
    max_payload: int = 128 * 1024
    max_result: int = 64 * 1024
    max_queue_length: int | tuple[tuple[str, int], ...] | None = None
    ageing: int | tuple[tuple[str, int], ...] | None = None
    task_modules: tuple[str, ...] = ()
    middleware: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    # Not compared, lest it must be hashable; not in the repr, as it has arguments.
    schedules: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def mirrored(self) -> bool:
        """Tell whether jobs are copied into a database."""
        return bool(self.databases)

    @property
    def queue_bounds(self) -> dict[str, int]:
        """Return the most ready jobs of each queue; ``*`` stands for those without a bound of their own."""
        return _of_each(self.max_queue_length)

    def ageing_of(self, queue: str) -> int:
        """Return how many places a priority is worth in a queue; 0: its priorities are exact."""
        places = _of_each(self.ageing)
        return places.get(queue, places.get("*", 0))


def _of_each(value: int | tuple[tuple[str, int], ...] | None) -> dict[str, int]:
    return {"*": value} if isinstance(value, int) else dict(value or ())


class Problem(NamedTuple):
    """One thing that is wrong with the options of an alias."""

    number: int
    message: str
    hint: str


class _Rule(NamedTuple):
    wanted: str
    holds: Callable[[Any], bool]
    convert: Callable[[Any], Any] = lambda value: value


def _has_valid_port(url: str) -> bool:
    try:
        urlsplit(url).port  # noqa: B018 - raises
    except ValueError:
        return False
    return True


def _without_password(url: object) -> object:
    if not isinstance(url, str):
        return url
    # Up to the last @: a password that was not quoted, which is what makes a URL wrong, may hold / and @ itself.
    return re.sub(r"^(\w+:/+)?.*@", r"\1***@", re.sub(r"(password=)[^&]*", r"\1***", url), flags=re.DOTALL)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_names(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(name, str) for name in value)


def _as_delta(value: timedelta | float) -> timedelta:
    return value if isinstance(value, timedelta) else timedelta(seconds=value)


_DURATION = _Rule(
    "a timedelta or a number of seconds",
    lambda v: (isinstance(v, timedelta) and v > timedelta(0)) or (is_number(v) and v > 0),
    _as_delta,
)
_SECONDS_OR_NONE = _Rule(
    "a number of seconds above 0, ten years at most, or None",
    lambda v: v is None or (is_number(v) and 0 < v <= LONGEST),
)
_NAMES = _Rule("a list of strings", _is_names, tuple)


def _for_queues(wanted: str, holds: Callable[[Any], bool]) -> _Rule:
    """Return the rule of a number for all queues, or of a mapping of queues to such numbers."""
    return _Rule(
        f"{wanted}, a mapping of queue names to such numbers, or None",
        lambda v: v is None or holds(v) or (isinstance(v, Mapping) and _is_names([*v]) and all(map(holds, v.values()))),
        lambda v: tuple(sorted(v.items())) if isinstance(v, Mapping) else v,
    )


RULES: dict[str, _Rule] = {
    "URL": _Rule(
        f"a URL beginning with one of {', '.join(SCHEMES)}",
        lambda v: isinstance(v, str) and v.startswith(SCHEMES) and _has_valid_port(v),
    ),
    "NAMESPACE": _Rule(
        "a non-empty string without braces or white space",
        lambda v: isinstance(v, str) and bool(v) and not set(v) & set("{} \t\n"),
    ),
    "DATABASES": _NAMES,
    "DURABILITY": _Rule(f"one of {', '.join(map(repr, DURABILITIES))}", lambda v: v in DURABILITIES),
    "ENQUEUE_ON_COMMIT": _Rule("True or False", lambda v: isinstance(v, bool)),
    "MAX_ATTEMPTS": _Rule("a whole number from 1", _is_count),
    "BACKOFF": _Rule(
        "a number of seconds above 0, or a list of such numbers",
        lambda v: backoff_problem(v) is None,
        lambda v: float(v) if is_number(v) else tuple(map(float, v)),
    ),
    "TIMEOUT": _SECONDS_OR_NONE,
    "HARD_TIMEOUT": _SECONDS_OR_NONE,
    "WATCHDOG": _SECONDS_OR_NONE,
    "RETENTION": _DURATION,
    "RETENTION_FAILED": _DURATION,
    "LEASE": _Rule("a number of seconds from 3", lambda v: is_number(v) and v >= 3, float),
    "MAX_PAYLOAD": _Rule("a number of bytes from 1", _is_count),
    "MAX_RESULT": _Rule("a number of bytes from 1", _is_count),
    "MAX_QUEUE_LENGTH": _for_queues("a whole number from 1", _is_count),
    "AGEING": _for_queues(f"a whole number from 1 to {MOST_PLACES:,}", lambda v: _is_count(v) and v <= MOST_PLACES),
    "TASK_MODULES": _NAMES,
    "MIDDLEWARE": _NAMES,
    "SENSITIVE": _NAMES,
    # What its entries must be is told by schedule_settings: one that is broken stops nothing else.
    "SCHEDULES": _Rule("a mapping of names to schedules", lambda v: isinstance(v, Mapping), dict),
}


def problems(options: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield everything that is wrong with an OPTIONS mapping, each with the way out."""
    for name, value in options.items():
        rule = RULES.get(name)
        if rule is None:
            hint = f"Known options: {', '.join(sorted(RULES))}."
            yield Problem(1, f"unknown option {name!r}{did_you_mean(name.upper(), RULES)}", hint)
        elif not rule.holds(value):
            shown = _without_password(value) if name == "URL" else value
            yield Problem(2, f"option {name!r} is {shown!r}", f"It must be {rule.wanted}.")
    yield from _timeouts_problem(options)
    yield from _environment_problem(options)


def _timeouts_problem(options: Mapping[str, Any]) -> Iterator[Problem]:
    soft, hard = options.get("TIMEOUT", DEFAULT_TIMEOUT), options.get("HARD_TIMEOUT")
    if all(RULES["TIMEOUT"].holds(value) for value in (soft, hard)) and timeouts_problem(soft, hard):
        hint = "It must be larger, so that tasks can end by themselves: raise it, or lower TIMEOUT."
        yield Problem(2, f"option 'HARD_TIMEOUT' is {hard!r} and 'TIMEOUT' is {soft!r}", hint)


def _environment_problem(options: Mapping[str, Any]) -> Iterator[Problem]:
    url = os.environ.get("REDIS_URL")
    if url and "URL" not in options and not RULES["URL"].holds(url):
        yield Problem(
            2, f"the environment variable REDIS_URL is {_without_password(url)!r}", f"It must be {RULES['URL'].wanted}."
        )


def parse(alias: str, options: Mapping[str, Any]) -> Config:
    """Return the configuration of an alias.

    Raises:
        ConfigurationError: an option is unknown or has a wrong value; ``manage.py check`` says the same with a hint.
    """
    for problem in problems(options):
        msg = f"TASKS[{alias!r}]['OPTIONS']: {problem.message}. {problem.hint}"
        raise ConfigurationError(msg)
    known = {field.name for field in fields(Config)}
    values = {name.lower(): RULES[name].convert(value) for name, value in options.items()}
    values.setdefault("url", os.environ.get("REDIS_URL") or "redis://localhost:6379/0")
    values.setdefault("namespace", f"backie:{alias}")
    return Config(alias=alias, **{name: value for name, value in values.items() if name in known})
