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


def test_as_many_as_there_is_room_for(appetite: Appetite) -> None:
    assert appetite.bite(room(appetite)) == 3


def test_none_where_the_last_turn_brought_fewer_than_wanted(appetite: Appetite) -> None:
    appetite.fed(turn(2), 3)

    assert appetite.bite(room(appetite)) == 0


def test_more_where_the_last_turn_brought_all_that_was_wanted(appetite: Appetite) -> None:
    appetite.fed(turn(3), 3)

    assert appetite.bite(room(appetite)) == 3


def test_none_while_the_listener_takes_them(appetite: Appetite) -> None:
    assert room(appetite, is_listening=True) == 0


def test_one_when_a_scheduled_job_has_fallen_due_though_the_listener_waits(
    appetite: Appetite, clock: StandingClock
) -> None:
    appetite.fed(turn(next_due=5.0), 3)
    clock.time += 4.9
    appetite.look_at_clock()
    assert room(appetite, is_listening=True) == 0
    clock.time += 0.2
    appetite.look_at_clock()

    assert appetite.bite(room(appetite, is_listening=True)) == 1
    appetite.fed(turn(), 1)
    assert room(appetite, is_listening=True) == 0


def test_a_due_job_is_still_looked_for_after_a_turn_that_asked_for_none(
    appetite: Appetite, clock: StandingClock
) -> None:
    appetite.fed(turn(next_due=1.0), 3)
    clock.time += 1.0
    appetite.look_at_clock()
    appetite.fed(turn(), 0)

    assert appetite.bite(room(appetite, is_listening=True)) == 1


def test_none_once_after_giving_way_and_then_some_again(appetite: Appetite) -> None:
    appetite.give_way()
    assert appetite.bite(room(appetite)) == 0
    appetite.fed(turn(), 0)

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


def test_jobs_count_for_the_retirement_as_soon_as_they_have_come(clock: StandingClock) -> None:
    appetite = Appetite(WorkerOptions(threads=8, max_jobs=10), clock)
    appetite.fed(turn(7), 7)

    assert appetite.bite(room(appetite)) == 3
