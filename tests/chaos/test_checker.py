"""A checker that cannot fail proves nothing: every invariant is broken here, and must be reported."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from django_backie.chaos import checker
from django_backie.chaos.facts import Ended, Execution, Facts, Order, Outages, Remains, Row

from .support import CHILD, EFFECT, HOPELESS, LINK, PILL, QUICK, good_facts

STRANGER = "01a20424-0000-7000-8000-000000000000"


def with_row(facts: Facts, job: str, **changes: Any) -> Facts:
    """Return the facts with another row of one job."""
    return replace(facts, rows=tuple(replace(row, **changes) if row.job == job else row for row in facts.rows))


def broken(facts: Facts) -> dict[str, set[str]]:
    """Return the jobs of each invariant that is reported as broken."""
    found: dict[str, set[str]] = {}
    for violation in checker.check(facts):
        found.setdefault(violation.invariant, set()).add(violation.job)
    return found


def test_facts_in_which_all_went_well_break_nothing() -> None:
    facts = good_facts()

    assert checker.check(facts) == ()
    assert (checker.lost(facts), checker.ghosts(facts), checker.duplicates(facts)) == ([], [], [])


def test_every_invariant_is_judged_or_says_why_not() -> None:
    assert [invariant.name for invariant in checker.INVARIANTS] == [f"I{number}" for number in range(1, 15)]
    assert {i.name for i in checker.INVARIANTS if i.judge is None} == {"I10"}
    assert all((invariant.judge is None) == bool(invariant.absent) for invariant in checker.INVARIANTS)


# --- I1: committed => has run and ended


def test_a_committed_job_without_a_row_is_lost() -> None:
    facts = good_facts()
    facts = replace(facts, rows=tuple(row for row in facts.rows if row.job != QUICK))

    assert broken(facts) == {"I1": {QUICK}}
    assert checker.lost(facts) == [QUICK]


@pytest.mark.parametrize("state", ["READY", "RUNNING", "SCHEDULED", "RETRYABLE", "BLOCKED"])
def test_a_committed_job_that_has_not_ended_is_lost(state: str) -> None:
    facts = with_row(good_facts(), HOPELESS, state=state)

    assert broken(facts) == {"I1": {HOPELESS}}
    assert checker.lost(facts) == [HOPELESS]


def test_a_job_that_is_said_to_have_succeeded_but_never_ran_is_lost() -> None:
    facts = good_facts()
    facts = replace(facts, executions=tuple(run for run in facts.executions if run.job != QUICK))

    assert broken(facts) == {"I1": {QUICK}}
    assert checker.lost(facts) == [QUICK]


def test_a_healthy_job_must_not_fail() -> None:
    facts = with_row(good_facts(), CHILD, state="FAILED", error="OperationalError: locked")
    facts = replace(facts, ended=(*(ended for ended in facts.ended if ended.job != CHILD), Ended(CHILD, 1, "failed")))
    (violation,) = checker.check(facts)

    assert (violation.invariant, violation.job) == ("I1", CHILD)
    assert violation.expected == "a quick job that ends SUCCESSFUL"
    assert "OperationalError: locked" in violation.found


def test_a_job_that_always_fails_must_not_succeed() -> None:
    assert "I1" in broken(with_row(good_facts(), HOPELESS, state="SUCCESSFUL"))


def test_an_innocent_job_may_be_buried_after_three_crashes() -> None:
    changes = {"state": "FAILED", "reason": "killed its worker 3 times", "attempt": 0}
    facts = good_facts()
    facts = replace(facts, ended=tuple(ended for ended in facts.ended if ended.job != QUICK))

    assert broken(with_row(facts, QUICK, **changes, crashes=3)) == {}
    assert broken(with_row(facts, QUICK, **changes, crashes=2)) == {"I1": {QUICK}}


# --- I2: rolled back => never runs


def test_a_run_without_a_business_row_is_a_ghost() -> None:
    facts = good_facts()
    facts = replace(facts, executions=(*facts.executions, Execution(STRANGER, 1, 100, 1.0)))

    assert broken(facts) == {"I2": {STRANGER}}
    assert checker.ghosts(facts) == [STRANGER]


def test_a_job_row_without_a_business_row_is_a_ghost() -> None:
    facts = good_facts()
    facts = replace(facts, rows=(*facts.rows, Row(STRANGER, "READY", attempt=0)))

    assert broken(facts) == {"I2": {STRANGER}}
    assert checker.ghosts(facts) == [STRANGER]


# --- I3: attempts and crashes


def test_more_attempts_than_allowed_are_reported() -> None:
    assert broken(with_row(good_facts(), HOPELESS, attempt=3)) == {"I3": {HOPELESS}}


def test_an_attempt_that_counts_though_nobody_knows_of_its_end_is_reported() -> None:
    facts = good_facts()
    facts = replace(facts, ended=tuple(ended for ended in facts.ended if ended.job not in {HOPELESS, EFFECT}))

    # An atomic one ends with its effects: its row says so, whoever could tell of the attempt.
    assert broken(facts) == {"I3": {HOPELESS}}


def test_an_attempt_that_was_lost_does_not_count() -> None:
    facts = good_facts()
    lost = tuple(replace(ended, outcome="lost") if ended.job == QUICK else ended for ended in facts.ended)

    assert broken(replace(facts, ended=lost)) == {"I3": {QUICK}}


def test_more_crashes_than_the_cap_and_one_are_reported() -> None:
    assert broken(with_row(good_facts(), PILL, crashes=4)) == {}
    assert broken(with_row(good_facts(), PILL, crashes=5)) == {"I3": {PILL}}


NO_OUTAGES = Outages()


def pill_run_at(*starts: float, outages: Outages = NO_OUTAGES) -> Facts:
    """Return the facts with other runs of the poison pill."""
    facts = good_facts()
    others = tuple(run for run in facts.executions if run.job != PILL)
    pills = tuple(Execution(PILL, 1, pid, start) for pid, start in enumerate(starts))
    return replace(facts, executions=(*others, *pills), outages=outages)


def test_a_pill_that_runs_a_fifth_time_is_reported() -> None:
    assert broken(pill_run_at(10, 20, 30, 40)) == {}
    assert broken(pill_run_at(10, 20, 30, 40, 50)) == {"I3": {PILL}}


def test_a_crash_is_forgiven_that_redis_forgot_before_it_was_written() -> None:
    assert broken(pill_run_at(10, 20, 30, 40, 50, outages=Outages(wipes=((10.5, 10.6),)))) == {}
    assert broken(pill_run_at(10, 20, 30, 40, 50, outages=Outages(wipes=((12.5, 12.6),)))) == {"I3": {PILL}}


def test_a_crash_is_forgiven_while_redis_was_away_before_it_came_back_empty() -> None:
    assert broken(pill_run_at(10, 20, 30, 40, 50, outages=Outages(wipes=((9.5, 10.5),)))) == {}


def test_a_crash_is_forgiven_that_the_database_could_not_take_before_redis_forgot_it() -> None:
    away = ((10.2, 14.0),)

    assert broken(pill_run_at(10, 20, 30, 40, 50, outages=Outages(wipes=((12.5, 12.6),), unwritable=away))) == {}
    # The mirror looks again after as long as the database was away.
    assert broken(pill_run_at(10, 20, 30, 40, 50, outages=Outages(wipes=((19, 19.1),), unwritable=away))) == {}
    assert broken(pill_run_at(10, 20, 30, 40, 50, outages=Outages(wipes=((19.5, 19.6),), unwritable=away))) == {
        "I3": {PILL}
    }


# --- I4: one accepted completion


def test_a_second_completion_is_reported() -> None:
    facts = good_facts()
    facts = replace(facts, ended=(*facts.ended, Ended(QUICK, 1, "succeeded", "another")))

    assert broken(facts) == {"I4": {QUICK}}


def test_a_completion_of_a_failed_job_is_reported() -> None:
    facts = good_facts()
    facts = replace(facts, ended=(*facts.ended, Ended(HOPELESS, 2, "succeeded")))

    assert broken(facts) == {"I4": {HOPELESS}}


# --- I6: a concurrency limit holds


def limited_facts(*runs: tuple[float, float | None], accepted: bool = True) -> Facts:
    """Return facts of limited jobs with these runs, one each."""
    facts = good_facts()
    jobs = [f"01a20424-0000-7000-8000-00000000{number:04}" for number in range(len(runs))]
    return replace(
        facts,
        orders=(*facts.orders, *(Order(job, "limited") for job in jobs)),
        rows=(*facts.rows, *(Row(job, "SUCCESSFUL") for job in jobs)),
        ended=(*facts.ended, *(Ended(job, 1, "succeeded") for job in jobs if accepted)),
        executions=(
            *facts.executions,
            *(Execution(job, 1, 100, *run, run[1] is not None) for job, run in zip(jobs, runs, strict=True)),
        ),
    )


def test_three_limited_jobs_may_run_at_once() -> None:
    assert broken(limited_facts((1.0, 2.0), (1.1, 2.1), (1.2, 2.2), (2.0, 3.0))) == {}


def test_a_fourth_that_begins_before_one_has_ended_is_reported() -> None:
    (violation,) = checker.check(limited_facts((1.0, 2.0), (1.1, 2.1), (1.2, 2.2), (1.99, 3.0)))

    assert (violation.invariant, violation.job[-4:]) == ("I6", "0003")
    assert (violation.expected, violation.found) == ("at most 3 limited job(s) at once", "4")


def test_a_run_whose_end_was_not_accepted_had_perhaps_no_lease() -> None:
    assert "I6" not in broken(limited_facts(*[(1.0, 2.0)] * 4, accepted=False))


def test_a_run_of_an_attempt_that_ran_twice_had_perhaps_no_lease() -> None:
    facts = limited_facts(*[(1.0, 2.0)] * 4)
    twice = replace(facts, executions=(*facts.executions, facts.executions[-1]))

    assert "I6" in broken(facts)
    assert "I6" not in broken(twice)


# --- I7: the mirror


def test_a_job_that_is_not_mirrored_in_time_is_reported() -> None:
    assert broken(replace(good_facts(), quiet=Remains(marked=(QUICK,)))) == {"I7": {QUICK}}


def test_a_row_that_differs_from_redis_is_reported() -> None:
    assert broken(replace(good_facts(), quiet=Remains(jobs={QUICK: "READY"}))) == {"I7": {QUICK}}


def test_a_job_in_redis_without_a_row_is_reported() -> None:
    assert broken(replace(good_facts(), quiet=Remains(jobs={STRANGER: "READY"}))) == {"I7": {STRANGER}}


# --- I8: what is left


@pytest.mark.parametrize(
    ("left", "job"),
    [
        (Remains(keys=("chaos:{0}:unheard-of",)), ""),
        (Remains(keys=("elsewhere",)), ""),
        (Remains(held=(QUICK,)), QUICK),
        (Remains(workers=("vm:1.1:a.0",)), ""),
        (Remains(marked=(QUICK,)), QUICK),
        (Remains(jobs={QUICK: "SUCCESSFUL"}), QUICK),
    ],
    ids=["an undeclared key", "a foreign key", "a lease", "a worker", "a mark", "an ended job"],
)
def test_what_is_left_in_redis_is_reported(left: Remains, job: str) -> None:
    assert broken(replace(good_facts(), over=left)) == {"I8": {job}}


def test_a_slot_that_is_left_behind_is_reported() -> None:
    facts = replace(good_facts(), known_keys=(*good_facts().known_keys, "lj", "ls:.+"))
    over = replace(facts.over, keys=(*facts.over.keys, "chaos:{0}:lj", "chaos:{0}:ls:c1"))

    left = [violation.found for violation in checker.check(replace(facts, over=over))]
    assert left == ["chaos:{0}:lj", "chaos:{0}:ls:c1"]


# --- I9: exactly once


def test_an_effect_that_happened_twice_is_reported() -> None:
    facts = good_facts()

    assert broken(replace(facts, effects=(*facts.effects, EFFECT))) == {"I9": {EFFECT}}


def test_an_effect_that_did_not_happen_is_reported() -> None:
    assert broken(replace(good_facts(), effects=(LINK,))) == {"I9": {EFFECT}}


def test_an_effect_of_a_job_that_did_not_succeed_is_reported() -> None:
    facts = with_row(good_facts(), EFFECT, state="FAILED", reason="killed its worker 3 times", attempt=0, crashes=3)
    facts = replace(facts, ended=tuple(ended for ended in facts.ended if ended.job != EFFECT), counter=1)

    assert broken(facts) == {"I9": {EFFECT}}


def test_an_effect_that_nobody_committed_a_job_for_is_reported() -> None:
    facts = good_facts()

    assert broken(replace(facts, effects=(*facts.effects, STRANGER))) == {"I9": {STRANGER}}


def test_a_counter_that_differs_from_the_completions_is_reported() -> None:
    assert broken(replace(good_facts(), counter=3)) == {"I9": {""}}


def test_a_job_that_an_atomic_job_enqueued_twice_is_reported() -> None:
    facts = good_facts()
    second = "01a20424-1111-7000-8000-000000000000"
    facts = replace(
        facts,
        orders=(*facts.orders, Order(second, "quick", parent=LINK)),
        rows=(*facts.rows, Row(second, "SUCCESSFUL")),
        ended=(*facts.ended, Ended(second, 1, "succeeded")),
        executions=(*facts.executions, Execution(second, 1, 100, 1.0, 2.0, succeeded=True)),
    )

    assert broken(facts) == {"I9": {LINK}}


# --- figures


def test_a_body_that_ran_to_its_end_twice_is_a_duplicate_and_breaks_nothing() -> None:
    facts = good_facts()
    again = Execution(QUICK, 1, 101, 3.0, 4.0, succeeded=True)
    killed = Execution(CHILD, 1, 102, 0.5)
    facts = replace(facts, executions=(*facts.executions, again, killed))

    assert checker.duplicates(facts) == [QUICK]
    assert broken(facts) == {}
