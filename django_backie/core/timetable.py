"""When a task is due by itself: a cron expression on the clock of a time zone, or an interval.

Cron expressions are read by cronsim. Where clocks change, Debian's cron is followed: what is set for a time that is
left out runs right after the gap, what is set for a time that comes twice runs at the first. Where the minute or the
hour begins with a star, the clock alone counts: what it never shows does not come, what it shows twice comes twice.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import Any, Literal

from cronsim import CronSim, CronSimError

from ..exceptions import InvalidOption
from .wall_clock import moments_of, shown_at

Missed = Literal["latest", "skip", "all"]
MISSED: tuple[Missed, ...] = ("latest", "skip", "all")
Overlap = Literal["allow", "skip", "queue"]
OVERLAPS: tuple[Overlap, ...] = ("allow", "skip", "queue")
# A slot that is taken up later than this was missed.
GRACE = 60.0
MOST_MISSED = 100
LONGEST_EXPRESSION = 100
TEN_YEARS = 10 * 366 * 86_400
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
# "every 5 minutes", "every 90 s", and what str(Every) writes: "every 1 day, 0:05:00".
_UNITS = {"s": 1, "second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_INTERVAL = re.compile(r"every (?:(\d+(?:\.\d+)?) )?(s|(?:second|minute|hour|day|week)s?)", re.ASCII)
_LENGTH = re.compile(r"every (?:(\d+) days?, )?(\d+):(\d\d):(\d\d(?:\.\d+)?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cron:
    """Times by a cron expression of five fields; an empty zone is the project's ``TIME_ZONE``."""

    expression: str
    zone: str = ""

    def __str__(self) -> str:
        return f"{self.expression} {self.zone}".rstrip()

    def slots(self, moment: float, zone: str, *, back: bool = False) -> Iterator[float]:
        """Yield the times after a moment, or, going back, before it, in seconds since the epoch."""
        clock = zoneinfo.ZoneInfo(self.zone or zone)
        expression = ALIASES.get(self.expression, self.expression)
        # Without the zone: cronsim steps over whole hours, and clocks change by half of one on Lord Howe Island.
        shown = CronSim(expression, shown_at(moment, clock, back=back), reverse=back)
        is_by_clock = any(field.startswith("*") for field in expression.split()[:2])
        last = moment
        for found in moments_of(shown, clock, is_by_clock=is_by_clock, back=back):
            # Two times of a gap are one moment after it.
            if (found < last) if back else (found > last):
                last = found
                yield found


@dataclass(frozen=True, slots=True)
class Every:
    """Times an interval apart, counted from 1970 on, so that all workers mean the same."""

    seconds: float

    def __str__(self) -> str:
        return f"every {timedelta(seconds=self.seconds)}"

    def slots(self, moment: float, zone: str, *, back: bool = False) -> Iterator[float]:
        """Yield the times after a moment, or, going back, before it, in seconds since the epoch."""
        number = moment // self.seconds
        if back:
            number += 0 if number * self.seconds < moment else -1
            while True:
                yield number * self.seconds
                number -= 1
        while True:
            number += 1
            yield number * self.seconds


Timetable = Cron | Every


@dataclass(frozen=True, slots=True)
class Schedule:
    """A timetable, and what becomes of times at which no worker was there.

    ``jitter``: seconds over which the jobs of all slots are spread, each by its own always equal part. ``overlap``:
    what becomes of a slot while the job of a former one is not over.
    """

    timetable: Timetable
    missed: Missed = "latest"
    jitter: float = 0.0
    overlap: Overlap = "allow"

    def __str__(self) -> str:
        return str(self.timetable)

    def next_after(self, moment: float, zone: str) -> float:
        """Return the first time after a moment."""
        return next(self.timetable.slots(moment, zone))

    def due(self, after: float, now: float, zone: str) -> tuple[float, list[float]]:
        """Return the latest time that has come since a moment, and those of the times that are to be taken up.

        Where none has come, the latest is the moment itself.
        """
        newest = _since(self.timetable.slots(now + 1e-3, zone, back=True), after, MOST_MISSED)
        if not newest:
            return after, []
        if self.missed == "all":
            return newest[0], newest[::-1]
        is_late = self.missed == "skip" and newest[0] < now - GRACE
        return newest[0], [] if is_late else newest[:1]


def _length(text: str, seconds: float) -> float:
    # More than a timedelta can hold is an OverflowError there.
    if seconds > TEN_YEARS:
        msg = f"the interval {text!r} is longer than ten years"
        raise InvalidOption(msg)
    return seconds


def _since(slots: Iterator[float], after: float, most: int) -> list[float]:
    found = []
    for slot in islice(slots, most):
        if slot <= after:
            break
        found.append(slot)
    return found


def cron(
    expression: str,
    *,
    zone: str = "",
    missed: Missed = "latest",
    jitter: float = 0.0,
    overlap: Overlap = "allow",
) -> Schedule:
    """Return the schedule of a cron expression.

    Args:
        expression: five fields (minute, hour, day of month, month, day of week), or ``@hourly``, ``@daily``,
            ``@weekly``, ``@monthly``, ``@yearly``.
        zone: on whose clock, such as ``"Europe/Berlin"``; by default the project's ``TIME_ZONE``.
        missed: of the times at which no worker was there, take up the ``"latest"``, ``"all"`` (100 at most), or
            ``"skip"`` them.
        jitter: seconds over which to spread the jobs.
        overlap: while a former job of the schedule is not over, ``"allow"`` another beside it, ``"skip"`` the time, or
            let one job ``"queue"`` behind it.

    Raises:
        InvalidOption: the expression or the zone cannot be read, or never comes; says what is wrong.
    """
    if not isinstance(expression, str) or len(expression) > LONGEST_EXPRESSION:
        msg = f"a cron expression is text of five fields, not {expression!r}"
        raise InvalidOption(msg)
    made = Cron(" ".join(expression.split()), zone)
    plain = ALIASES.get(made.expression, made.expression)
    if (count := len(plain.split())) != 5:
        known = ", ".join(ALIASES)
        msg = (
            f"the cron expression {expression!r} has {count} field{'s' * (count != 1)}, not 5; or use one of {known}, "
            "or an interval such as 'every 5 minutes'"
        )
        raise InvalidOption(msg)
    try:
        next(made.slots(0.0, "UTC"))
    except CronSimError as error:
        msg = f"the cron expression {expression!r} cannot be read: {error}"
        raise InvalidOption(msg) from error
    except StopIteration as error:
        msg = f"the cron expression {expression!r} never comes"
        raise InvalidOption(msg) from error
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        msg = f"the time zone {zone!r} is not known"
        raise InvalidOption(msg) from error
    return _checked(Schedule(made, missed, jitter, overlap))


def every(
    *,
    weeks: float = 0,
    days: float = 0,
    hours: float = 0,
    minutes: float = 0,
    seconds: float = 0,
    missed: Missed = "latest",
    jitter: float = 0.0,
    overlap: Overlap = "allow",
) -> Schedule:
    """Return the schedule of an interval: ``every(minutes=5)``. Its times are whole intervals since 1970 in UTC.

    Raises:
        InvalidOption: shorter than a second, or longer than ten years.
    """
    length = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
    if not 1 <= length <= TEN_YEARS:
        msg = f"every() takes an interval of a second to ten years, not of {length} s"
        raise InvalidOption(msg)
    return _checked(Schedule(Every(length), missed, jitter, overlap))


def read(text: str, *, zone: str = "", missed: Missed = "latest") -> Schedule:
    """Return the schedule that people wrote as text: a cron expression, or ``every 5 minutes``.

    Args:
        zone: on whose clock a cron expression is; an interval has none.

    Raises:
        InvalidOption: it cannot be read, or never comes; says what is wrong.
    """
    plain = " ".join(text.split())
    if len(plain) > LONGEST_EXPRESSION or not plain.startswith("every"):
        return cron(text, zone=zone, missed=missed)
    if zone:
        msg = f"{text!r} has no time zone, its times are whole intervals since 1970 in UTC; leave {zone!r} out"
        raise InvalidOption(msg)
    if found := _INTERVAL.fullmatch(plain):
        number, unit = found.groups()
        return every(
            seconds=_length(text, float(number or 1) * _UNITS[unit if unit == "s" else unit.rstrip("s")]), missed=missed
        )
    if found := _LENGTH.fullmatch(plain):
        days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
        return every(seconds=_length(text, days * 86_400 + hours * 3600 + minutes * 60 + seconds), missed=missed)
    msg = f"the interval {text!r} cannot be read; write it as 'every 5 minutes' or 'every 90 s'"
    raise InvalidOption(msg)


def adjusted(schedule: Schedule, **changes: Any) -> Schedule:
    """Return a schedule with another ``missed``, ``jitter`` or ``overlap``.

    Raises:
        InvalidOption: it cannot be what it is.
    """
    return _checked(replace(schedule, **changes))


def schedule_of(value: object) -> Schedule:
    """Return what the option ``schedule`` means: a cron expression, ``every 5 minutes``, a timedelta, or a schedule.

    Raises:
        InvalidOption: it is none of these, or cannot be read.
    """
    if isinstance(value, Schedule):
        return value
    if isinstance(value, timedelta):
        return every(seconds=value.total_seconds())
    if isinstance(value, str):
        return read(value)
    msg = f"a schedule is a cron expression, 'every 5 minutes', every(...), cron(...) or a timedelta, not {value!r}"
    raise InvalidOption(msg)


def _checked(schedule: Schedule) -> Schedule:
    if schedule.missed not in MISSED:
        msg = f"missed is {schedule.missed!r}, it must be one of {', '.join(map(repr, MISSED))}"
        raise InvalidOption(msg)
    if schedule.overlap not in OVERLAPS:
        msg = f"overlap is {schedule.overlap!r}, it must be one of {', '.join(map(repr, OVERLAPS))}"
        raise InvalidOption(msg)
    jitter = schedule.jitter
    if isinstance(jitter, bool) or not isinstance(jitter, int | float) or not 0 <= jitter <= TEN_YEARS:
        msg = f"jitter is {jitter!r}, it must be a number of seconds from 0, ten years at most"
        raise InvalidOption(msg)
    return schedule
