"""The one function that decides what follows from an attempt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_backie.core.options import Options
from django_backie.core.outcome import (
    Dropped,
    Failed,
    Failure,
    Interrupted,
    Outcome,
    Parked,
    Postponed,
    Succeeded,
    TimedOut,
    Transition,
    decide,
    heed,
)
from django_backie.core.states import State

from .support import make_job

FAILURE = Failure("builtins.ValueError", "boom", "Traceback ...")
JOB = make_job(options=Options(max_attempts=3, backoff=(10.0, 20.0)))
MIDDLE = 0.5

SUCCESS = Transition(State.SUCCESSFUL, "succeeded", result="42")
FAILED_FOR_GOOD = Transition(State.FAILED, "failed", failure=FAILURE)
TIMED_OUT_FOR_GOOD = Transition(State.FAILED, "timed_out", failure=FAILURE)
HANDED_BACK = Transition(State.READY, refund=True)
PUT_OFF = Transition(State.SCHEDULED, delay=9.0, refund=True, reason="unknown task")
PARKED = Transition(State.BLOCKED, refund=True, reason="bad signature")


def retried(outcome: str, delay: float) -> Transition:
    return Transition(State.RETRYABLE, outcome, failure=FAILURE, delay=delay)


TABLE: list[tuple[Outcome, list[Transition]]] = [
    # The outcome, and what follows from it in attempt 1, 2, 3 (the last) and 4 (after the limit was lowered).
    (Succeeded("42"), [SUCCESS] * 4),
    (Failed(FAILURE), [retried("failed", 10), retried("failed", 20), FAILED_FOR_GOOD, FAILED_FOR_GOOD]),
    (Failed(FAILURE, final=True), [FAILED_FOR_GOOD] * 4),
    (
        TimedOut(FAILURE),
        [retried("timed_out", 10), retried("timed_out", 20), TIMED_OUT_FOR_GOOD, TIMED_OUT_FOR_GOOD],
    ),
    (Interrupted(), [HANDED_BACK] * 4),
    (Postponed("unknown task", 9.0), [PUT_OFF] * 4),
    (Parked("bad signature"), [PARKED] * 4),
    (Dropped("not needed"), [Transition(State.CANCELLED, "cancelled", reason="not needed")] * 4),
    (Dropped("expired", began=False), [Transition(State.CANCELLED, refund=True, reason="expired")] * 4),
    # What the task, or its backoff function, says of the wait is exact.
    (Failed(FAILURE, after=7.0), [retried("failed", 7), retried("failed", 7), FAILED_FOR_GOOD, FAILED_FOR_GOOD]),
    (
        TimedOut(FAILURE, after=0.0),
        [retried("timed_out", 0), retried("timed_out", 0), TIMED_OUT_FOR_GOOD, TIMED_OUT_FOR_GOOD],
    ),
    (TimedOut(FAILURE, final=True), [TIMED_OUT_FOR_GOOD] * 4),
]


@pytest.mark.parametrize(
    ("outcome", "attempt", "expected"),
    [(outcome, attempt, row) for outcome, rows in TABLE for attempt, row in enumerate(rows, 1)],
    ids=lambda value: type(value).__name__ if not isinstance(value, int) else str(value),
)
def test_what_follows_is_the_table(outcome: Outcome, attempt: int, expected: Transition) -> None:
    assert decide(JOB, attempt, outcome, MIDDLE) == expected


def test_the_table_is_complete() -> None:
    assert {type(outcome) for outcome, _ in TABLE} == set(Outcome.__args__)


WHY = "wrong month"


def heeded(outcome: str = "", **values: Any) -> Transition:
    return Transition(State.CANCELLED, outcome, **{"reason": WHY, **values})


@pytest.mark.parametrize(
    ("transition", "expected"),
    [
        (SUCCESS, SUCCESS),
        (FAILED_FOR_GOOD, FAILED_FOR_GOOD),
        (TIMED_OUT_FOR_GOOD, TIMED_OUT_FOR_GOOD),
        (retried("failed", 10), heeded("failed", failure=FAILURE)),
        (retried("timed_out", 10), heeded("timed_out", failure=FAILURE)),
        (HANDED_BACK, heeded(refund=True)),
        (PUT_OFF, heeded(refund=True)),
        (PARKED, heeded(refund=True)),
        (Transition(State.CANCELLED, "cancelled"), heeded("cancelled")),
        (Transition(State.CANCELLED, "cancelled", reason="own"), heeded("cancelled", reason="own")),
    ],
    ids=lambda transition: f"{transition.state}-{transition.outcome}",
)
def test_a_job_that_was_asked_to_cancel_ends_in_any_case(transition: Transition, expected: Transition) -> None:
    assert heed(transition, WHY) == expected


def test_a_single_attempt_is_the_last() -> None:
    job = make_job(options=Options(max_attempts=1))

    assert decide(job, 1, Failed(FAILURE), MIDDLE).state is State.FAILED


def test_the_dice_reach_the_delay() -> None:
    assert decide(JOB, 1, Failed(FAILURE), 0.0).delay == pytest.approx(8.0)


def test_a_success_is_recorded_with_its_result() -> None:
    assert SUCCESS.record(number=2, worker="w1", started=1.5, finished=2.5) == {
        "n": 2, "w": "w1", "s": 1.5, "e": 2.5, "o": "succeeded", "v": "42",
    }  # fmt: skip


def test_a_failure_is_recorded_with_its_error_and_the_time_of_the_retry() -> None:
    assert retried("failed", 10).record(number=1, worker="w1", started=1.0, finished=2.0) == {
        "n": 1, "w": "w1", "s": 1.0, "e": 2.0, "o": "failed",
        "c": "builtins.ValueError", "m": "boom", "t": "Traceback ...", "r": 12.0,
    }  # fmt: skip


def test_a_failure_for_good_has_no_time_of_a_retry() -> None:
    assert "r" not in FAILED_FOR_GOOD.record(number=3, worker="w1", started=1.0, finished=2.0)


@given(
    result=st.text(),
    worker=st.text(),
    number=st.integers(1, 10**6),
    started=st.floats(0, 1e11),
    finished=st.floats(0, 1e11),
)
def test_a_note_is_the_record_as_json_by_whichever_way(
    result: str, worker: str, number: int, started: float, finished: float
) -> None:
    values: dict[str, Any] = {"number": number, "worker": worker, "started": started, "finished": finished}
    for transition in (Transition(State.SUCCESSFUL, "succeeded", result=result), FAILED_FOR_GOOD, retried("failed", 1)):
        assert transition.note(**values) == json.dumps(transition.record(**values), separators=(",", ":"))


NETWORK = Failure("net.Refused", "no answer", "Traceback ...", ("net.Refused", "net.Down", "builtins.Exception"))


@pytest.mark.parametrize(
    ("options", "failed", "expected"),
    [
        ({}, Failed(NETWORK), State.RETRYABLE),
        ({"retry_for": ("net.Down",)}, Failed(NETWORK), State.RETRYABLE),
        ({"retry_for": ("net.Refused", "x.Y")}, Failed(NETWORK), State.RETRYABLE),
        ({"retry_for": ("net.Other",)}, Failed(NETWORK), State.FAILED),
        ({"retry_for": ("net.Other",)}, TimedOut(NETWORK), State.FAILED),
        ({"retry_for": ("net.Other",)}, Failed(NETWORK, insists=True), State.RETRYABLE),
        ({"discard_for": ("net.Down",)}, Failed(NETWORK), State.CANCELLED),
        ({"discard_for": ("net.Down",)}, TimedOut(NETWORK), State.CANCELLED),
        ({"discard_for": ("net.Down",)}, Failed(NETWORK, insists=True), State.RETRYABLE),
        ({"discard_for": ("net.Other",)}, Failed(NETWORK), State.RETRYABLE),
        ({"discard_for": ("net.Refused",), "retry_for": ("net.Down",)}, Failed(NETWORK), State.CANCELLED),
        ({"discard_for": ("net.Down",), "max_attempts": 1}, Failed(NETWORK), State.CANCELLED),
        ({"max_attempts": 1}, Failed(NETWORK, insists=True), State.FAILED),
    ],
)
def test_classes_of_exceptions_decide_whether_a_job_is_tried_again(
    options: dict[str, Any], failed: Outcome, expected: State
) -> None:
    assert decide(make_job(options=Options(**options)), 1, failed, MIDDLE).state is expected


def test_a_discarded_job_says_what_was_raised() -> None:
    transition = decide(make_job(options=Options(discard_for=("net.Down",))), 1, Failed(NETWORK), MIDDLE)

    assert transition.reason == "discarded: net.Refused: no answer"
    assert (transition.outcome, transition.failure) == ("failed", NETWORK)
