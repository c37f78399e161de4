"""What clocks show where they are put forward or back, against a search minute by minute."""

from __future__ import annotations

import functools
import itertools
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pytest

from django_backie.core.timetable import Cron, cron
from django_backie.core.wall_clock import moments_of

BERLIN = "Europe/Berlin"
LORD_HOWE = "Australia/Lord_Howe"


def utc(text: str) -> float:
    """Return a time in UTC as seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def after(expression: str, zone: str, start: str, count: int) -> list[str]:
    """Return the next times after a start."""
    slots = itertools.islice(cron(expression, zone=zone).timetable.slots(utc(start), "UTC"), count)
    return [datetime.fromtimestamp(slot, UTC).strftime("%Y-%m-%d %H:%M:%S") for slot in slots]


@pytest.mark.parametrize(
    ("expression", "start", "expected"),
    [
        # 29 March 2026: 02:00 CET is 03:00 CEST. What is set for the hour that is left out runs right after it, once.
        ("30 2 * * *", "2026-03-28 12:00:00", ["2026-03-29 01:00:00", "2026-03-30 00:30:00"]),
        ("0 3 * * *", "2026-03-28 12:00:00", ["2026-03-29 01:00:00", "2026-03-30 01:00:00"]),
        ("0 * * * *", "2026-03-28 23:30:00", ["2026-03-29 00:00:00", "2026-03-29 01:00:00", "2026-03-29 02:00:00"]),
        # 25 October 2026: 03:00 CEST is 02:00 CET. What is set for the hour that comes twice runs at the first.
        ("30 2 * * *", "2026-10-24 12:00:00", ["2026-10-25 00:30:00", "2026-10-26 01:30:00"]),
        ("0 * * * *", "2026-10-24 23:30:00", ["2026-10-25 00:00:00", "2026-10-25 01:00:00", "2026-10-25 02:00:00"]),
        ("*/30 * * * *", "2026-10-25 00:00:00", ["2026-10-25 00:30:00", "2026-10-25 01:00:00", "2026-10-25 01:30:00"]),
    ],
)
def test_the_rule_where_clocks_change(expression: str, start: str, expected: list[str]) -> None:
    assert after(expression, BERLIN, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # 4 October 2026: 02:00 is 02:30, at 15:30 in UTC the day before.
        ("20 2 * * *", ["2026-10-03 15:30:00", "2026-10-04 15:20:00"]),
        ("0,20,40 2 * * *", ["2026-10-03 15:30:00", "2026-10-03 15:40:00", "2026-10-04 15:00:00"]),
        ("*/20 2 * * *", ["2026-10-03 15:40:00", "2026-10-04 15:00:00"]),
        ("*/20 3 * * *", ["2026-10-03 16:00:00", "2026-10-03 16:20:00", "2026-10-03 16:40:00"]),
        ("0 * * * *", ["2026-10-03 14:30:00", "2026-10-03 16:00:00", "2026-10-03 17:00:00"]),
        ("0 3 * * *", ["2026-10-03 16:00:00", "2026-10-04 16:00:00"]),
    ],
)
def test_the_rule_where_a_clock_is_put_forward_by_half_an_hour(expression: str, expected: list[str]) -> None:
    assert after(expression, LORD_HOWE, "2026-10-03 14:00:00", len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # 5 April 2026: 02:00 is 01:30, at 15:00 in UTC the day before.
        ("40 1 * * *", ["2026-04-04 14:40:00", "2026-04-05 15:10:00"]),
        ("0,20,40 1 * * *", ["2026-04-04 14:00:00", "2026-04-04 14:20:00", "2026-04-04 14:40:00"]),
        ("*/20 1 * * *", [f"2026-04-04 {time}:00" for time in ("14:00", "14:20", "14:40", "15:10")]),
        ("*/20 2 * * *", ["2026-04-04 15:30:00", "2026-04-04 15:50:00", "2026-04-04 16:10:00"]),
        ("0 * * * *", ["2026-04-04 14:00:00", "2026-04-04 15:30:00", "2026-04-04 16:30:00"]),
        ("45 * * * *", ["2026-04-04 14:45:00", "2026-04-04 15:15:00", "2026-04-04 16:15:00"]),
    ],
)
def test_the_rule_where_a_clock_is_put_back_by_half_an_hour(expression: str, expected: list[str]) -> None:
    assert after(expression, LORD_HOWE, "2026-04-04 13:50:00", len(expected)) == expected


def test_what_is_shown_twice_has_both_moments_though_nothing_comes_after_it() -> None:
    twice = datetime(2026, 4, 5, 1, 40)
    clock = zoneinfo.ZoneInfo(LORD_HOWE)
    expected = [utc("2026-04-04 14:40:00"), utc("2026-04-04 15:10:00")]

    assert list(moments_of([twice], clock, is_by_clock=True, back=False)) == expected
    assert list(moments_of([twice], clock, is_by_clock=True, back=True)) == expected[::-1]


def test_what_came_at_the_first_of_two_times_is_still_due_at_the_second() -> None:
    """A worker that begins in the second hour finds what the first one's had to make."""
    daily = cron("30 2 * * *", zone=BERLIN)
    slot = utc("2026-10-25 00:30:00")

    for minutes in (1, 29, 31, 59, 61, 89, 91):
        assert daily.due(slot - 1, slot + minutes * 60, "UTC") == (slot, [slot])


@functools.cache
def all_changes() -> list[tuple[str, datetime]]:
    return list(changes())


def changes() -> Iterator[tuple[str, datetime]]:
    """Yield every change of a clock from 2020 to 2035: a zone, and the moment; of zones that change alike only one."""
    seen = set()
    for name in sorted(zoneinfo.available_timezones()):
        zone = zoneinfo.ZoneInfo(name)
        for moment in changes_of(name):
            before = moment - timedelta(minutes=15)
            key = (moment, before.astimezone(zone).utcoffset(), moment.astimezone(zone).utcoffset())
            if key not in seen:
                seen.add(key)
                yield name, moment


def changes_of(name: str) -> Iterator[datetime]:
    """Yield every change of a zone's clock from 2020 to 2035."""
    zone = zoneinfo.ZoneInfo(name)
    day = datetime(2020, 1, 1, tzinfo=UTC)
    while day.year < 2036:
        following = day + timedelta(days=1)
        if day.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            yield next(
                day + timedelta(minutes=15 * number)
                for number in range(97)
                if (day + timedelta(minutes=15 * number)).astimezone(zone).utcoffset()
                != day.astimezone(zone).utcoffset()
            )
        day = following


@dataclass(frozen=True)
class Rule:
    """An expression, and what it means, written by hand."""

    expression: str
    hours: frozenset[int]
    minutes: frozenset[int]
    is_by_clock: bool = False

    def has(self, time: datetime) -> bool:
        return time.hour in self.hours and time.minute in self.minutes


ALL = frozenset(range(24))
THIRDS = frozenset({0, 20, 40})
RULES = (
    Rule("*/20 1 * * *", frozenset({1}), THIRDS, is_by_clock=True),
    Rule("0,20,40 1 * * *", frozenset({1}), THIRDS),
    Rule("*/20 2 * * *", frozenset({2}), THIRDS, is_by_clock=True),
    Rule("0,20,40 2 * * *", frozenset({2}), THIRDS),
    Rule("45 * * * *", ALL, frozenset({45}), is_by_clock=True),
    Rule("0 */2 * * *", frozenset(range(0, 24, 2)), frozenset({0}), is_by_clock=True),
    Rule("*/7 0-3,23 * * *", frozenset({0, 1, 2, 3, 23}), frozenset(range(0, 60, 7)), is_by_clock=True),
    Rule("5-59/10 0-3,23 * * *", frozenset({0, 1, 2, 3, 23}), frozenset(range(5, 60, 10))),
)
WINDOW = timedelta(hours=6)


def shown_around(zone: str, moment: datetime) -> list[tuple[float, datetime]]:
    """Return each minute around a moment, and what a clock shows then."""
    minutes = (moment - WINDOW + timedelta(minutes=number) for number in range(12 * 60))
    clock = zoneinfo.ZoneInfo(zone)
    return [(minute.timestamp(), minute.astimezone(clock).replace(tzinfo=None)) for minute in minutes]


def slots_by_hand(rule: Rule, shown: list[tuple[float, datetime]]) -> list[float]:
    """Return when the times of a rule come.

    By the clock: whenever it shows one. Otherwise when it first shows one, or a later time than one not shown.
    """
    if rule.is_by_clock:
        return [minute for minute, time in shown if rule.has(time)]
    found = []
    latest = shown[0][1] - timedelta(minutes=1)
    for minute, time in shown:
        passed = range(1, int((time - latest).total_seconds()) // 60 + 1)
        if any(rule.has(latest + timedelta(minutes=number)) for number in passed):
            found.append(minute)
        latest = max(latest, time)
    return found


def refuse_differences(name: str, moment: datetime, rule: Rule, starts: list[int]) -> None:
    """Compare with the search, from minutes before and after the change on, forward and back."""
    shown = shown_around(name, moment)
    expected = slots_by_hand(rule, shown)
    timetable = Cron(rule.expression, name)
    for start in starts:
        begin = (moment + timedelta(minutes=start)).timestamp()
        on = itertools.takewhile(lambda slot: slot <= shown[-1][0], timetable.slots(begin, "UTC"))
        back = itertools.takewhile(lambda slot: slot >= shown[0][0], timetable.slots(begin, "UTC", back=True))
        where = f"{rule.expression} in {name} from {start} minutes after {moment}"
        assert list(on) == [slot for slot in expected if slot > begin], where
        assert list(back)[::-1] == [slot for slot in expected if slot < begin], f"{where}, going back"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.expression)
def test_rules_come_as_a_search_minute_by_minute_finds_them_at_every_change_on_lord_howe_island(rule: Rule) -> None:
    clock = zoneinfo.ZoneInfo(LORD_HOWE)
    found = [*changes_of(LORD_HOWE)]
    assert len(found) == 32
    for moment in found:
        minute = timedelta(minutes=1)
        change = moment.astimezone(clock).utcoffset() - (moment - minute).astimezone(clock).utcoffset()
        assert abs(change) == timedelta(minutes=30)
        refuse_differences(LORD_HOWE, moment, rule, [*range(-65, 70, 5), -1, 1])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.expression)
def test_rules_come_as_a_search_minute_by_minute_finds_them_at_every_change_of_a_clock_until_2035(rule: Rule) -> None:
    for name, moment in all_changes():
        refuse_differences(name, moment, rule, [-40, 10])


def daily_by_hand(zone: zoneinfo.ZoneInfo, day: date, hour: int, minute: int) -> float:
    """Return when a daily time comes on a day, found minute by minute: the first minute whose clock shows it.

    Where no minute's does, the first minute after the gap.
    """
    wanted = datetime(day.year, day.month, day.day, hour, minute)
    moment = wanted.replace(tzinfo=zone).astimezone(UTC) - timedelta(hours=3)
    while moment.astimezone(zone).replace(tzinfo=None) < wanted:
        moment += timedelta(minutes=1)
    return moment.timestamp()


def test_daily_times_come_once_a_day_at_every_change_of_a_clock_until_2035() -> None:
    found = all_changes()
    assert len(found) > 500
    for name, moment in found:
        zone = zoneinfo.ZoneInfo(name)
        day = moment.astimezone(zone).date()
        for hour, minute in ((0, 30), (1, 30), (2, 0), (2, 30), (3, 0), (23, 45)):
            slots = Cron(f"{minute} {hour} * * *", name).slots((moment - timedelta(days=3)).timestamp(), "UTC")
            days = [day + timedelta(days=number) for number in range(-1, 2)]
            expected = [daily_by_hand(zone, each, hour, minute) for each in days]
            near = [slot for slot in itertools.islice(slots, 8) if expected[0] - 60 <= slot <= expected[-1] + 60]
            assert near == expected, f"{hour}:{minute:02} in {name} around {moment}"


def test_hourly_times_pass_by_at_every_change_of_a_clock_until_2035() -> None:
    for name, moment in all_changes():
        start = (moment - timedelta(hours=6)).timestamp()
        slots = list(itertools.islice(Cron("*/15 * * * *", name).slots(start, "UTC"), 48))
        assert slots == [start + 900 * number for number in range(1, 49)], f"{name} around {moment}"
