"""How the row of a running job says that it was asked to cancel."""

from __future__ import annotations

import pytest

from django_backie.core.cancellation import as_asked, wish_of
from django_backie.core.states import State


@pytest.mark.parametrize("reason", ["", "wrong month", "a: b", ": "])
def test_the_reason_of_a_running_job_comes_back_as_it_was(reason: str) -> None:
    assert wish_of("RUNNING", as_asked(reason)) == reason


@pytest.mark.parametrize("state", set(State) - {State.RUNNING})
def test_only_a_running_job_bears_a_wish(state: State) -> None:
    assert wish_of(state, as_asked("wrong month")) is None


@pytest.mark.parametrize("reason", ["", "recovered", "wrong month", "asked to cancelled: x", "was asked to cancel"])
def test_another_reason_is_no_wish(reason: str) -> None:
    assert wish_of("RUNNING", reason) is None
