"""How many jobs a worker asks for, by a clock that stands still."""

from __future__ import annotations

import pytest

from django_backie.broker.replies import Lease, Turn
from django_backie.worker.appetite import Appetite
from django_backie.worker.occupancy import Occupancy
from django_backie.worker.options import WorkerOptions
from tests.helpers import StandingClock


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def appetite(clock: StandingClock) -> Appetite:
    return Appetite(WorkerOptions(threads=3), clock)


def turn(jobs: int = 0, next_due: float | None = None) -> Turn:
    leases = [Lease(str(number), 1, 1, 0, "", 0.0, "") for number in range(jobs)]
    return Turn(fenced=False, answers=[], leases=leases, held=jobs, next_due=next_due)


def room(appetite: Appetite, *, is_listening: bool = False) -> int:
    return appetite.room(Occupancy(), 0, is_listening=is_listening)


def feed(appetite: Appetite, answer: Turn, limit: int) -> None:
    """Ask and hear the answer at once."""
    appetite.asked(limit)
    appetite.fed(answer, limit, 1000.0)


def test_as_many_as_there_is_room_for(appetite: Appetite) -> None:
    assert appetite.bite(room(appetite)) == 3


def test_none_where_the_last_turn_brought_fewer_than_wanted(appetite: Appetite) -> None:
    feed(appetite, turn(2), 3)

    assert appetite.bite(room(appetite)) == 0


def test_more_where_the_last_turn_brought_all_that_was_wanted(appetite: Appetite) -> None:
    feed(appetite, turn(3), 3)

    assert appetite.bite(room(appetite)) == 3


def test_none_while_the_listener_takes_them(appetite: Appetite) -> None:
    assert room(appetite, is_listening=True) == 0


def test_one_when_a_scheduled_job_has_fallen_due_though_the_listener_waits(
    appetite: Appetite, clock: StandingClock
) -> None:
    feed(appetite, turn(next_due=5.0), 3)
    clock.time += 4.9
    appetite.look_at_clock()
    assert room(appetite, is_listening=True) == 0
    clock.time += 0.2
    appetite.look_at_clock()

    assert appetite.bite(room(appetite, is_listening=True)) == 1
    feed(appetite, turn(), 1)
    assert room(appetite, is_listening=True) == 0


def test_a_due_job_is_still_looked_for_after_a_turn_that_asked_for_none(
    appetite: Appetite, clock: StandingClock
) -> None:
    feed(appetite, turn(next_due=1.0), 3)
    clock.time += 1.0
    appetite.look_at_clock()
    feed(appetite, turn(), 0)

    assert appetite.bite(room(appetite, is_listening=True)) == 1


def test_none_once_after_giving_way_and_then_some_again(appetite: Appetite) -> None:
    appetite.give_way()
    assert appetite.bite(room(appetite)) == 0
    feed(appetite, turn(), 0)

    assert appetite.bite(room(appetite)) == 3


def test_nothing_taken_ahead_after_giving_way(appetite: Appetite) -> None:
    for _ in range(100):
        appetite.pace.ran(0.0001)
    assert room(appetite) == 100  # as many as the loop may hold: of what kind they are is not known
    appetite.give_way()

    assert room(appetite) == 3


def test_what_is_coming_takes_its_room(appetite: Appetite) -> None:
    for _ in range(100):
        appetite.pace.ran(0.0001)

    assert appetite.room(Occupancy(), 0, 100, is_listening=False) == 100
    assert appetite.room(Occupancy(), 0, 101, is_listening=False) == 0


def test_async_jobs_that_are_coming_take_the_room_of_the_loop(appetite: Appetite) -> None:
    appetite.pace.came(40, 40)

    assert appetite.room(Occupancy(), 0, 40, is_listening=False) == 60


def test_what_is_coming_counts_for_the_retirement(clock: StandingClock) -> None:
    appetite = Appetite(WorkerOptions(threads=8, max_jobs=10), clock)
    for _ in range(100):
        appetite.pace.ran(0.0001)

    assert appetite.room(Occupancy(), 0, 7, is_listening=False) == 3
    assert appetite.room(Occupancy(), 0, 11, is_listening=False) == 0


def test_what_is_heard_after_the_question_outlives_its_answer(appetite: Appetite) -> None:
    appetite.asked(3)
    appetite.maybe_ready = True
    appetite.fed(turn(), 3, 1000.0)

    assert appetite.bite(room(appetite)) == 3


def test_a_worker_gives_way_though_an_answer_was_under_way(appetite: Appetite) -> None:
    appetite.asked(3)
    appetite.give_way()
    appetite.fed(turn(3), 3, 1000.0)

    assert appetite.bite(room(appetite)) == 0


def test_what_falls_due_is_counted_from_the_question(appetite: Appetite, clock: StandingClock) -> None:
    appetite.asked(3)
    clock.time += 2.0
    appetite.fed(turn(next_due=1.0), 3, 1000.0)
    appetite.look_at_clock()

    assert appetite.bite(room(appetite, is_listening=True)) == 1
