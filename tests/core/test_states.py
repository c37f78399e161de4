"""The eight states and what django.tasks calls them."""

from __future__ import annotations

import pytest

from django_backie import compat
from django_backie.broker.replies import LETTERS, STATES
from django_backie.core.states import FINAL, RETRYABLE_BY_HAND, WAITING, State
from django_backie.models import JobState


@pytest.mark.parametrize(
    ("state", "status", "final"),
    [
        (State.SCHEDULED, "READY", False),
        (State.BLOCKED, "READY", False),
        (State.READY, "READY", False),
        (State.RETRYABLE, "READY", False),
        (State.RUNNING, "RUNNING", False),
        (State.SUCCESSFUL, "SUCCESSFUL", True),
        (State.FAILED, "FAILED", True),
        (State.CANCELLED, "FAILED", True),
    ],
)
def test_a_state_has_a_status_and_an_end_or_none(state: State, status: str, final: bool) -> None:
    assert (state.status, state.is_final) == (status, final)
    assert state.status in compat.TaskResultStatus.__members__


def test_every_state_is_waiting_running_or_final() -> None:
    assert WAITING | FINAL | {State.RUNNING} == set(State)
    assert not WAITING & FINAL
    assert FINAL - {State.SUCCESSFUL} == RETRYABLE_BY_HAND


def test_redis_and_the_job_table_know_the_same_states() -> None:
    assert set(STATES.values()) == set(State)
    assert {STATES[letter] for letter in LETTERS.values()} == set(State)
    assert set(JobState.values) == set(State)
