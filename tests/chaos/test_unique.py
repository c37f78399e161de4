"""Unique jobs as the checker judges them: what may happen, and each thing that must be found."""

from __future__ import annotations

from dataclasses import replace

from django_backie.chaos import checker, policies
from django_backie.chaos.facts import Call, Ended, Execution, Facts, Order, Outages, Row

FIRST, SECOND, TURNED = (f"01a20424-d3be-7610-9513-60cc5cb6e82{n}" for n in range(3))


def facts(*, second_at: float = 2.5, key: str = "a", survivor: str = FIRST) -> Facts:
    """Return two jobs of a key, of which the first runs from 1 to 2, and a duplicate."""
    return Facts(
        orders=tuple(Order(job, "unique") for job in (FIRST, SECOND, TURNED)),
        calls=(Call(FIRST, "a"), Call(FIRST, "a"), Call(SECOND, key), Call(TURNED, "a")),
        rows=(
            Row(FIRST, "SUCCESSFUL"),
            Row(SECOND, "SUCCESSFUL"),
            Row(TURNED, "CANCELLED", reason=f"duplicate of {survivor}", attempt=0),
        ),
        ended=(Ended(FIRST, 1, "succeeded"), Ended(SECOND, 1, "succeeded")),
        executions=(
            Execution(FIRST, 1, 100, 1.0, 2.0, succeeded=True),
            Execution(SECOND, 1, 101, second_at, second_at + 1, succeeded=True),
        ),
    )


def found(facts: Facts) -> set[tuple[str, str]]:
    """Return invariant and job of each violation."""
    return {(violation.invariant, violation.job) for violation in checker.check(facts)}


def test_jobs_of_a_key_one_after_the_other_and_a_duplicate_break_nothing() -> None:
    assert found(facts()) == set()
    assert checker.lost(facts()) == []


def test_jobs_of_a_key_that_run_at_once_are_found() -> None:
    assert found(facts(second_at=1.5)) == {("I5", SECOND)}


def test_jobs_of_two_keys_may_run_at_once() -> None:
    assert found(facts(second_at=1.5, key="b")) == set()


def test_a_duplicate_of_a_job_with_another_key_is_found() -> None:
    assert found(facts(key="b", survivor=SECOND)) == {("I5", TURNED)}


def test_a_duplicate_of_itself_is_found() -> None:
    assert found(facts(survivor=TURNED)) == {("I5", TURNED)}


def test_a_job_that_gave_its_place_to_a_later_one_breaks_nothing() -> None:
    real = facts()
    replaced = Row(TURNED, "CANCELLED", reason=f"replaced by {FIRST}", attempt=0)
    as_latest = replace(
        real,
        orders=tuple(replace(order, kind="latest") for order in real.orders),
        calls=tuple(replace(call, kind="latest") for call in real.calls),
        rows=(*real.rows[:2], replaced),
    )

    assert found(as_latest) == set()
    assert found(replace(real, rows=(*real.rows[:2], replaced))) == {("I1", TURNED)}


def test_jobs_of_one_key_but_two_tasks_may_run_at_once() -> None:
    real = facts(second_at=1.5)
    other = tuple(replace(call, kind="latest") if call.job == SECOND else call for call in real.calls)

    assert found(replace(real, calls=other)) == set()


def until_start(*, second_at: float = 1.5, called_at: float = 0.5, outages: Outages = Outages()) -> Facts:  # noqa: B008
    """Return two jobs that are unique until their start, and one that was turned away by the first."""
    real = facts(second_at=second_at)
    return replace(
        real,
        orders=tuple(replace(order, kind="fresh") for order in real.orders),
        calls=tuple(replace(call, kind="fresh", at=called_at * (call.job == TURNED)) for call in real.calls),
        outages=outages,
    )


def test_jobs_that_are_unique_until_their_start_may_run_at_once() -> None:
    assert found(until_start()) == set()


def test_a_call_that_led_to_a_job_which_had_been_started_is_found() -> None:
    assert found(until_start(called_at=1.2)) == {("I5", TURNED)}


def test_a_call_that_led_to_a_job_which_is_started_again_is_heeded() -> None:
    real = until_start(called_at=1.2)
    again = Execution(FIRST, 2, 102, 1.3, 1.4)

    assert found(replace(real, executions=(*real.executions, again))) == set()


def test_nobody_heeds_a_call_where_redis_has_lost_that_the_job_was_started() -> None:
    assert found(until_start(called_at=2.0, outages=Outages(wipes=((1.4, 1.9),)))) == set()


def test_calls_that_made_no_job_and_duplicates_are_counted_as_conflicts() -> None:
    assert policies.tried(facts())["conflicts"] == 2
