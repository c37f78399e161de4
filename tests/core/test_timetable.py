"""When a task is due by itself."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_backie.core.timetable import MOST_MISSED, Every, Schedule, cron, every, read, schedule_of
from django_backie.exceptions import InvalidOption

BERLIN = "Europe/Berlin"


def utc(text: str) -> float:
    """Return a time in UTC as seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def shown(moment: float) -> str:
    """Return a moment as text in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S")


def after(schedule: Schedule, start: str, count: int, zone: str = "UTC") -> list[str]:
    """Return the next times after a start."""
    return [shown(slot) for slot in itertools.islice(schedule.timetable.slots(utc(start), zone), count)]


# Intervals.


def test_intervals_are_whole_ones_whenever_a_worker_was_started() -> None:
    assert after(every(minutes=5), "2026-03-01 10:02:17", 2) == ["2026-03-01 10:05:00", "2026-03-01 10:10:00"]
    assert after(every(minutes=5), "2026-03-01 10:05:00", 1) == ["2026-03-01 10:10:00"]
    assert after(every(days=1), "2026-03-01 10:02:17", 1) == ["2026-03-02 00:00:00"]


@given(st.floats(1, 1e6), st.floats(0, 4e9))
@settings(max_examples=200, deadline=None)
def test_the_times_before_and_after_a_moment_are_an_interval_apart(seconds: float, moment: float) -> None:
    timetable = Every(seconds)
    before, later = next(timetable.slots(moment, "UTC", back=True)), next(timetable.slots(moment, "UTC"))

    assert before < moment or before == pytest.approx(moment)
    assert later > before
    assert later - before <= seconds * 2.001


# Cron.


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 3 * * *", ["2026-03-02 03:00:00", "2026-03-03 03:00:00"]),
        ("*/15 * * * *", ["2026-03-01 10:15:00", "2026-03-01 10:30:00"]),
        ("30 9 * * 1-5", ["2026-03-02 09:30:00", "2026-03-03 09:30:00"]),
        ("0 0 L * *", ["2026-03-31 00:00:00", "2026-04-30 00:00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("@hourly", ["2026-03-01 11:00:00", "2026-03-01 12:00:00"]),
        ("@daily", ["2026-03-02 00:00:00", "2026-03-03 00:00:00"]),
        ("@midnight", ["2026-03-02 00:00:00", "2026-03-03 00:00:00"]),
        ("@weekly", ["2026-03-08 00:00:00", "2026-03-15 00:00:00"]),
        ("@monthly", ["2026-04-01 00:00:00", "2026-05-01 00:00:00"]),
        ("@yearly", ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
        ("@annually", ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
        ("  0   3 * * * ", ["2026-03-02 03:00:00", "2026-03-03 03:00:00"]),
    ],
)
def test_an_expression_means_what_cron_means_by_it(expression: str, expected: list[str]) -> None:
    assert after(cron(expression), "2026-03-01 10:02:17", 2) == expected


def test_times_are_those_of_the_zone_or_of_the_project_s() -> None:
    assert after(cron("0 3 * * *", zone=BERLIN), "2026-03-01 10:00:00", 1) == ["2026-03-02 02:00:00"]
    assert after(cron("0 3 * * *"), "2026-03-01 10:00:00", 1, zone=BERLIN) == ["2026-03-02 02:00:00"]


# What is due.


NOW = utc("2026-03-10 12:00:00")
HOUR = 3600.0


def test_nothing_is_due_before_its_time() -> None:
    assert cron("0 13 * * *").due(NOW - HOUR, NOW, "UTC") == (NOW - HOUR, [])


@pytest.mark.parametrize("missed", ["latest", "skip", "all"])
def test_what_has_just_come_is_due_whatever_becomes_of_missed_times(missed: str) -> None:
    schedule = cron("0 12 * * *", missed=missed)  # type: ignore[arg-type]

    assert schedule.due(NOW - HOUR, NOW, "UTC") == (NOW, [NOW])
    assert schedule.due(NOW - HOUR, NOW + 60, "UTC") == (NOW, [NOW])
    assert schedule.due(NOW, NOW + 60, "UTC") == (NOW, [])


@pytest.mark.parametrize(
    ("missed", "taken"),
    [
        ("latest", [NOW - 1800]),
        ("skip", []),
        ("all", [NOW - 3 * HOUR - 1800, *(NOW - n * HOUR - 1800 for n in (2, 1, 0))]),
    ],
)
def test_missed_times_are_taken_up_as_wanted(missed: str, taken: list[float]) -> None:
    schedule = cron("30 * * * *", missed=missed)  # type: ignore[arg-type]

    assert schedule.due(NOW - 4 * HOUR, NOW, "UTC") == (NOW - 1800, taken)


def test_of_all_missed_times_the_newest_hundred_are_taken_up() -> None:
    latest, taken = every(seconds=1, missed="all").due(NOW - 30 * 24 * HOUR, NOW, "UTC")

    assert (latest, len(taken), taken[0], taken[-1]) == (NOW, MOST_MISSED, NOW - MOST_MISSED + 1, NOW)


@given(st.sampled_from(["*/7 * * * *", "0 2 * * *", "30 2 * * 0"]), st.floats(1.5e9, 2e9), st.floats(1, 1e6))
@settings(max_examples=100, deadline=None)
def test_forward_and_back_the_times_are_the_same(expression: str, start: float, length: float) -> None:
    timetable = cron(expression, zone=BERLIN).timetable
    there = list(itertools.takewhile(lambda slot: slot < start + length, timetable.slots(start, "UTC")))
    back = list(itertools.takewhile(lambda slot: slot > start, timetable.slots(start + length, "UTC", back=True)))

    assert back[::-1] == there


# Mistakes.


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("61 * * * *", "the cron expression '61 .*' cannot be read: Bad minute"),
        ("0 0 30 2 *", "cannot be read: Bad day-of-month"),
        ("* * * * * *", "has 6 fields, not 5"),
        ("daily", "has 1 field, not 5; or use one of @hourly"),
        ("@dayly", "has 1 field,"),
        ("", "has 0 fields"),
        ("0 " * 200, "is text of five fields"),
        (5, "is text of five fields, not 5"),
    ],
)
def test_an_expression_that_cannot_be_read_is_refused(expression: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        cron(expression)


@pytest.mark.parametrize("zone", ["Europe/Berln", "../etc/passwd", "/etc/passwd", "\x00"])
def test_a_zone_that_is_not_known_is_refused(zone: str) -> None:
    with pytest.raises(InvalidOption, match=r"the time zone .* is not known"):
        cron("@daily", zone=zone)


@pytest.mark.parametrize("values", [{}, {"seconds": 0.5}, {"days": 4000}, {"minutes": -5}])
def test_an_interval_that_cannot_be_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(InvalidOption, match="takes an interval of a second to ten years"):
        every(**values)  # type: ignore[arg-type]


def test_other_mistakes_are_refused() -> None:
    with pytest.raises(InvalidOption, match="missed is 'last', it must be one of 'latest', 'skip', 'all'"):
        every(minutes=5, missed="last")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="jitter is -1"):
        every(minutes=5, jitter=-1)
    with pytest.raises(InvalidOption, match="a schedule is a cron expression"):
        schedule_of(5)


def test_the_short_forms_mean_the_same() -> None:
    assert schedule_of("@daily") == cron("@daily")
    assert schedule_of(timedelta(minutes=5)) == every(minutes=5)
    assert schedule_of(every(hours=1)) == every(hours=1)
    assert (str(cron("0 3 * * *", zone=BERLIN)), str(every(minutes=90))) == ("0 3 * * * Europe/Berlin", "every 1:30:00")


# As people write it.


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("every 5 minutes", 300),
        ("every minute", 60),
        ("every 90 s", 90),
        ("every 1.5 hours", 5400),
        ("every  2   days", 172_800),
        ("every week", 604_800),
        ("every 0:05:00", 300),
        ("every 1 day, 0:00:01", 86_401),
    ],
)
def test_an_interval_is_read_as_people_write_it(text: str, seconds: float) -> None:
    assert read(text) == every(seconds=seconds)


@given(st.floats(min_value=1, max_value=10 * 366 * 86_400 - 1))
def test_an_interval_is_read_as_it_is_shown(seconds: float) -> None:
    shown_as = every(seconds=seconds)
    assert str(read(str(shown_as))) == str(shown_as)
    assert read(str(shown_as)) == shown_as


def test_a_cron_expression_is_read_with_its_zone() -> None:
    assert read("0  3 * * *", zone=BERLIN, missed="all") == cron("0 3 * * *", zone=BERLIN, missed="all")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "every",
        "every -5 minutes",
        "every 5 fortnights",
        "every 0 s",
        "every 0:00:00",
        "every \u0665 minutes",
        "every 99999999999999999999 weeks",
        "every 9999999999999999999 days, 0:00:00",
        "every 5 ss",
        "0 3 * *",
    ],
)
def test_text_that_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption):
        read(text)


def test_an_interval_with_a_zone_is_refused() -> None:
    with pytest.raises(InvalidOption, match="leave 'Europe/Berlin' out"):
        read("every 5 minutes", zone=BERLIN)
