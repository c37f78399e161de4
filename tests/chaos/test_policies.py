"""Expiry, pauses, cancellation and schedules as the checker judges them: what may happen, and what must be found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from django_backie.chaos import checker, policies
from django_backie.chaos.facts import CallingOff, Ended, Execution, Facts, Order, Outages, Pause, Row, Timetable
from django_backie.chaos.policies import BACK, LATE

JOB = "01a20424-d3be-7610-9513-60cc5cb6e820"


def one(kind: str, started: float = 1.0, **order: Any) -> Facts:
    """Return a job that has run for a tenth of a second."""
    return Facts(
        orders=(Order(JOB, kind, **order),),
        rows=(Row(JOB, "SUCCESSFUL"),),
        ended=(Ended(JOB, 1, "succeeded"),),
        executions=(Execution(JOB, 1, 100, started, started + 0.1, succeeded=True),),
    )


def cancelled(kind: str, reason: str, finished: float = 9.0, **order: Any) -> Facts:
    """Return a job that was cancelled without having run."""
    row = Row(JOB, "CANCELLED", reason, attempt=0, finished=finished)
    return Facts(orders=(Order(JOB, kind, **order),), rows=(row,))


def found(facts: Facts) -> list[str]:
    """Return the invariant of each violation."""
    return [violation.invariant for violation in checker.check(facts)]


# --- I11: expiry


def test_a_job_that_begins_in_time_or_is_dropped_when_it_is_too_late_breaks_nothing() -> None:
    assert found(one("perishable", expires=2.0)) == []
    assert found(cancelled("perishable", "expired", finished=2.0, expires=2.0)) == []


def test_what_was_taken_in_time_may_begin_when_its_process_goes_on() -> None:
    assert found(one("perishable", started=2.0 + LATE - 0.1, expires=2.0)) == []


def test_a_job_that_begins_long_after_it_has_expired_is_found() -> None:
    assert found(one("perishable", started=2.0 + LATE + 0.1, expires=2.0)) == ["I11"]


def test_a_job_that_is_dropped_before_it_expires_is_found() -> None:
    assert found(cancelled("perishable", "expired", finished=1.5, expires=2.0)) == ["I11"]


def test_a_job_that_does_not_expire_must_not_be_dropped() -> None:
    assert found(cancelled("quick", "expired")) == ["I1"]


# --- I12: schedules

FIRST = 1_760_000_000.0


def ticks(*slots: int, last: int) -> Facts:
    """Return the jobs of some slots of an interval of two seconds, all of which have run."""
    jobs = [f"{round((FIRST + 2 * slot) * 1000):012x}" for slot in slots]
    jobs = [f"{job[:8]}-{job[8:]}-7610-9513-60cc5cb6e{number:03}" for number, job in enumerate(jobs)]
    return Facts(
        orders=tuple(Order(job, "tick") for job in jobs),
        timetables=(Timetable("tick", 2.0, FIRST + 2 * last),),
        rows=tuple(Row(job, "SUCCESSFUL") for job in jobs),
        ended=tuple(Ended(job, 1, "succeeded") for job in jobs),
        executions=tuple(Execution(job, 1, 100, 1.0, 2.0, succeeded=True) for job in jobs),
    )


def test_a_job_for_each_slot_breaks_nothing() -> None:
    assert found(ticks(0, 1, 2, 3, last=3)) == []


@pytest.mark.parametrize("slots", [(0, 2, 3), (0, 1, 2)], ids=["in the middle", "at the end"])
def test_a_slot_without_a_job_is_found(slots: tuple[int, ...]) -> None:
    assert found(ticks(*slots, last=3)) == ["I12"]


def test_a_slot_with_two_jobs_is_found() -> None:
    assert found(ticks(0, 1, 1, 2, last=2)) == ["I12"]


def test_no_jobs_at_all_are_found() -> None:
    assert found(ticks(last=3)) == ["I12"]


def test_before_the_first_slot_has_come_no_job_is_missed() -> None:
    seen = replace(ticks(last=0), timetables=(Timetable("tick", 2.0, FIRST + 1.138),))

    assert found(seen) == []


# --- I13: pauses

HELD = Pause("held", 0.0, 20.0)
SIDE = Pause("side", 0.0, 20.0)


def test_what_begins_before_or_after_a_pause_breaks_nothing() -> None:
    assert found(replace(one("held", started=LATE - 0.1), pauses=(HELD,))) == []
    assert found(replace(one("held", started=20.1), pauses=(HELD,))) == []


@pytest.mark.parametrize(("kind", "pause"), [("held", HELD), ("held", SIDE), ("perishable", SIDE)])
def test_what_begins_in_a_pause_is_found(kind: str, pause: Pause) -> None:
    assert found(replace(one(kind, started=15.0), pauses=(pause,))) == ["I13"]


@pytest.mark.parametrize(("kind", "pause"), [("perishable", HELD), ("quick", SIDE)])
def test_a_pause_of_something_else_holds_nothing(kind: str, pause: Pause) -> None:
    assert found(replace(one(kind, started=15.0), pauses=(pause,))) == []


def test_a_pause_may_be_unknown_for_a_moment_to_a_redis_that_was_emptied() -> None:
    facts = replace(one("held", started=15.0), pauses=(HELD,))

    assert found(replace(facts, outages=Outages(wipes=((14.0, 14.0),)))) == []
    assert found(replace(facts, outages=Outages(wipes=((15.0 - BACK - 2.0, 15.0 - BACK - 2.0),)))) == ["I13"]
    assert found(replace(facts, outages=Outages(wipes=((10.0, 10.0),), unwritable=((9.0, 12.0),)))) == []


# --- I14: cancellation


def test_a_job_that_is_called_off_at_once_breaks_nothing() -> None:
    off = (CallingOff(JOB, "done", 1.0),)

    assert found(replace(cancelled("revocable", "called off"), callings_off=off)) == []


def test_a_job_that_succeeds_though_it_was_called_off_is_found() -> None:
    assert found(replace(one("revocable"), callings_off=(CallingOff(JOB, "done", 0.5),))) == ["I14"]


def test_a_cancellation_may_be_forgotten_that_was_the_last_thing_redis_was_told() -> None:
    facts = replace(one("revocable"), callings_off=(CallingOff(JOB, "done", 0.5),))

    assert found(replace(facts, outages=Outages(wipes=((0.6, 0.9),)))) == []
    assert found(replace(facts, outages=Outages(wipes=((0.1, 0.4),)))) == ["I14"]
    assert found(replace(facts, outages=Outages(wipes=((2.5, 2.6),)))) == ["I14"]


def test_a_job_that_was_asked_to_end_may_succeed_before_it_notices() -> None:
    assert found(replace(one("revocable"), callings_off=(CallingOff(JOB, "asked", 0.5),))) == []


def test_a_job_that_begins_again_after_it_was_asked_to_end_is_found() -> None:
    facts = one("revocable")
    again = replace(facts, executions=(*facts.executions, Execution(JOB, 1, 101, 3.0)))

    assert found(replace(again, callings_off=(CallingOff(JOB, "asked", 0.5),))) == ["I14"]


def test_only_jobs_that_may_be_called_off_may_be_cancelled() -> None:
    assert found(cancelled("quick", "called off")) == ["I1"]


# --- what was tried


def test_what_a_campaign_has_tried_is_counted() -> None:
    facts = replace(ticks(0, 1, last=1), pauses=(HELD, replace(SIDE, end=LATE)))
    facts = replace(facts, orders=(*facts.orders, Order(JOB, "chime")))
    dropped = (Row(f"{n}", "CANCELLED", reason) for n, reason in enumerate(("expired", "called off", "replaced by x")))

    assert policies.tried(replace(facts, rows=(*facts.rows, *dropped))) == {
        "conflicts": 0,
        "replaced": 1,
        "expired": 1,
        "called off": 1,
        "pauses": 1,
        "slots": 1,
    }
