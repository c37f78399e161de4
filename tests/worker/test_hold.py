"""What a worker knows of its lease: by the clock, and by asking."""

from __future__ import annotations

from typing import Any

import pytest

from django_backie.core.states import State
from django_backie.exceptions import BrokerUnavailable
from django_backie.worker.attempt import Attempt, Finished
from django_backie.worker.board import Board
from django_backie.worker.executor import Executor
from django_backie.worker.hold import Leased
from django_backie.worker.membership import SURE, Membership
from django_backie.worker.options import WorkerOptions
from django_backie.worker.pools.loop import LoopPool
from django_backie.worker.pools.threads import ThreadPool
from tests.app.tasks import amark, mark
from tests.helpers import StandingClock as Clock
from tests.lifecycle.conftest import until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board() -> Board:
    return Board(2)


@pytest.fixture
def membership(backend: Any, board: Board, clock: Clock) -> Membership:
    """Return the membership of a worker that has just joined."""
    made = Membership(backend.broker, WorkerOptions(), "w", board, clock)
    made.join(lambda: False)
    return made


def held(backend: Any, membership: Membership, path: Any, task: Any = mark) -> Attempt:
    """Return a leased attempt, not started yet."""
    task.delay(str(path), "ran")
    (lease,) = backend.broker.turn(membership.name, limit=1).leases
    attempt = Executor(backend, hold_of=membership.hold_of).open(lease, membership.name)
    assert isinstance(attempt, Attempt)
    return attempt


def test_a_lease_is_sure_for_its_first_four_fifths(membership: Membership, clock: Clock) -> None:
    lease = membership._broker.config.lease
    clock.time += SURE * lease - 0.01
    assert membership.is_sure_of(membership.name)
    clock.time += 0.02
    assert not membership.is_sure_of(membership.name)


def test_a_renewal_makes_it_sure_again(membership: Membership, clock: Clock, board: Board) -> None:
    clock.time += 1000
    board.renewed(clock.time)
    assert membership.is_sure_of(membership.name)


def test_the_jobs_of_a_former_name_are_not_the_workers_any_more(membership: Membership) -> None:
    former = membership.name
    membership.rename()
    membership.join(lambda: False)
    assert not membership.is_sure_of(former)
    assert membership.is_sure_of(membership.name)


def test_asking_tells_what_the_clock_cannot_know(backend: Any, membership: Membership, tmp_path: Any) -> None:
    hold = held(backend, membership, tmp_path / "marks").hold
    assert hold.is_mine()
    backend.broker.bury(membership.name)
    assert (hold.is_sure(), hold.is_mine()) == (True, False)


def test_while_redis_does_not_answer_the_clock_counts(
    backend: Any, membership: Membership, clock: Clock, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any) -> bool:
        raise BrokerUnavailable

    hold = held(backend, membership, tmp_path / "marks").hold
    monkeypatch.setattr(type(backend.broker), "is_mine", down)
    assert isinstance(hold, Leased)
    assert hold.is_mine()
    clock.time += 1000
    assert not hold.is_mine()


@pytest.mark.parametrize("task", [mark, amark])
def test_a_job_whose_lease_may_have_lapsed_is_not_started(
    backend: Any, membership: Membership, clock: Clock, board: Board, tmp_path: Any, task: Any
) -> None:
    path = tmp_path / "marks"
    attempt = held(backend, membership, path, task)
    reported: list[Finished] = []
    clock.time += 1000
    executor = Executor(backend)
    if attempt.is_async:
        loop = LoopPool(1, executor, reported.append, board, 0)
        loop.submit([attempt])
        until(lambda: reported)
        loop.stop()
    else:
        threads = ThreadPool(1, executor, reported.append, board)
        threads.start()
        threads.submit(attempt)
        until(lambda: reported)
        threads.stop()
    (finished,) = reported
    assert (finished.ending.state, finished.ending.refund, path.exists()) == (State.READY, True, False)
