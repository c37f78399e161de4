"""How many jobs a worker takes."""

from __future__ import annotations

import pytest

from django_backie.worker.options import WorkerOptions
from django_backie.worker.pace import MOST_AHEAD, Pace

OPTIONS = WorkerOptions(threads=8, async_concurrency=100)


def test_at_first_only_what_the_threads_can_start() -> None:
    assert Pace(OPTIONS).room(0, 0, 0) == 8


def test_short_jobs_are_taken_ahead_within_a_bound() -> None:
    pace = Pace(OPTIONS)
    for _ in range(100):
        pace.ran(0.00001)
    assert pace.ahead() == MOST_AHEAD
    assert pace.room(0, 0, 0) == 100


def test_async_jobs_in_hand_leave_the_threads_free() -> None:
    assert Pace(OPTIONS).room(0, 50, 0) == 8


def test_never_more_than_the_loop_could_take_for_they_might_all_be_async() -> None:
    pace = Pace(OPTIONS)
    for _ in range(100):
        pace.ran(0.00001)
    assert pace.room(0, 97, 0) == 3
    pace.came(5, 5)
    assert pace.room(8, 97, 0) == 3


def test_after_a_long_job_among_short_ones_nothing_is_taken_ahead() -> None:
    pace = Pace(OPTIONS)
    for _ in range(100):
        pace.ran(0.001)
    pace.forget()
    assert pace.ahead() == 0


@pytest.mark.parametrize("seconds", [0.05, 1.0, 60.0])
def test_long_jobs_are_not_taken_ahead(seconds: float) -> None:
    pace = Pace(WorkerOptions(threads=1))
    for _ in range(100):
        pace.ran(seconds)
    assert pace.ahead() <= 1
