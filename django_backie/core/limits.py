"""How many jobs of a key may run at once, and how many may start in a time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..exceptions import InvalidOption
from .unique import By, checked_key

_PERIODS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_RATE = re.compile(r"\s*(\d+)\s*/\s*(\d*)\s*([smhd])\s*")
# A key's limit is a number in a script and a set in Redis.
MOST_AT_ONCE = 100_000
# Redis keeps the times in milliseconds, with three digits behind the point.
FASTEST = 100_000.0
LONGEST_HOLD = 366 * 86_400


@dataclass(frozen=True, slots=True)
class Shared:
    """A limit by a name of its own: all tasks that name it share its slots, or its tokens.

    Args:
        name: what it is known by, such as ``"stripe"``.
        by: what the key is made of besides: nothing, the name of an argument, names of several, True for all, or a
            function that is called with them.

    Raises:
        InvalidOption: one of them cannot be what it is.
    """

    name: str
    by: By = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            msg = f"the name of a shared limit is {self.name!r}, it must be a text that is not empty"
            raise InvalidOption(msg)
        object.__setattr__(self, "by", checked_key(self.by))


@dataclass(frozen=True, slots=True)
class Rate:
    """How many jobs may start in a time: a bucket of tokens that is refilled evenly.

    Args:
        rate: a number and a time, such as ``"100/m"``, ``"5/s"``, ``"1000/24h"``; times are s, m, h or d.
        burst: how many may start at once when none has for a while; by default as many as the rate names.

    Raises:
        InvalidOption: it is no rate.
    """

    rate: str
    burst: int | None = None

    def __post_init__(self) -> None:
        per_second = 1 / self.interval
        if per_second > FASTEST or self.interval > timedelta(days=366).total_seconds():
            msg = f"the rate {self.rate!r} is beyond {FASTEST:.0f} in a second, or less than one in a year"
            raise InvalidOption(msg)
        burst = self.burst
        if burst is not None and not (type(burst) is int and 1 <= burst <= MOST_AT_ONCE):
            msg = f"burst of {self.rate!r} is {burst!r}, it must be a whole number from 1 to {MOST_AT_ONCE}"
            raise InvalidOption(msg)

    @property
    def interval(self) -> float:
        """Return how many seconds it takes until there is one more token.

        Raises:
            InvalidOption: it is no rate.
        """
        found = _RATE.fullmatch(self.rate) if isinstance(self.rate, str) else None
        if found is None or int(found[1]) == 0 or found[2] == "0":
            msg = f"{self.rate!r} is no rate; write a number and a time, such as '100/m', '5/s' or '1000/24h'"
            raise InvalidOption(msg)
        return int(found[2] or 1) * _PERIODS[found[3]] / int(found[1])

    def text(self, digest: str) -> str:
        """Return the limit as it travels: its key, milliseconds for a token, and how many there are at most."""
        found = _RATE.fullmatch(self.rate)
        most = self.burst or min(int(found[1]) if found else 1, MOST_AT_ONCE)
        return f"r{digest}|{self.interval * 1000:.6f}|{most}"


@dataclass(frozen=True, slots=True)
class Adaptive:
    """A concurrency that finds its own measure, between two bounds.

    There is one slot more when as many jobs have succeeded as there are slots, while all slots were taken; and half of
    them are left when an attempt has failed. Attempts that had begun before do not halve them again. (Additive
    increase, multiplicative decrease, as TCP has it: Chiu and Jain 1989.)

    Args:
        most: how many jobs may run at once at most.
        least: how many may run in any case.
        start: how many may run before anything is known; by default the least.

    Raises:
        InvalidOption: they are not whole numbers from 1, or not in order.
    """

    most: int
    least: int = 1
    start: int | None = None

    def __post_init__(self) -> None:
        if self.start is None:
            object.__setattr__(self, "start", self.least)
        numbers = (self.least, self.start, self.most)
        if not all(type(number) is int and 1 <= number <= MOST_AT_ONCE for number in numbers):
            msg = f"least, start and most of {self} must be whole numbers from 1 to {MOST_AT_ONCE}"
            raise InvalidOption(msg)
        if sorted(numbers) != [*numbers]:  # type: ignore[type-var]
            msg = f"{self} is not in order; least is at most start, and start at most most"
            raise InvalidOption(msg)


def rate_of(value: object) -> Rate:
    """Return what the option ``rate_limit`` means.

    Raises:
        InvalidOption: it is neither a rate nor a text that names one.
    """
    return value if isinstance(value, Rate) else Rate(value)  # type: ignore[arg-type]


def slots_text(digest: str, concurrency: int | Adaptive) -> str:
    """Return the limit of a concurrency as it travels: its key, how many may run at once, and between which bounds."""
    if isinstance(concurrency, Adaptive):
        return f"c{digest}|{concurrency.start}|{concurrency.least}|{concurrency.most}"
    return f"c{digest}|{concurrency}"


def limit_key_of(value: object) -> Any:
    """Return what the option ``concurrency_key`` or ``rate_key`` means: names, True, a function, or ``Shared``.

    Raises:
        InvalidOption: it is none of these.
    """
    return value if isinstance(value, Shared) else checked_key(value)


def by_of(key: Shared | By) -> By:
    """Return what a key is made of."""
    return key.by if isinstance(key, Shared) else key


def digests_of(text: str) -> Sequence[str]:
    """Return the names by which the limits of a job are held, without the letters of their kinds."""
    return [part.partition("|")[0][1:] for part in text.split()]


def checked_hold(seconds: float) -> float:
    """Return for how long a limit is held.

    Raises:
        InvalidOption: it is no such time.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= LONGEST_HOLD:
        msg = f"a limit is held for a number of seconds from 0, a year at most, not for {seconds!r}"
        raise InvalidOption(msg)
    return float(seconds)
