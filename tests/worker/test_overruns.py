"""What the parent does when an attempt runs longer than its hard timeout."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from django_backie.broker.replies import Ending, Lease
from django_backie.core.job import Job
from django_backie.core.options import Options
from django_backie.core.states import State
from django_backie.exceptions import BrokerUnavailable, TaskTimeout, UnreadableBody
from django_backie.worker.attempt import Attempt, Finished
from django_backie.worker.board import Board
from django_backie.worker.children import Child, Totals
from django_backie.worker.hold import Unlimited
from django_backie.worker.overruns import AGAIN_AFTER, Overruns
from tests.app import time_limits as limits
from tests.app.tasks import echo
from tests.helpers import StandingClock, ended

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

GUILTY, OTHER = 7, 8
ERROR = "django_backie.exceptions.HardTimeout"
hold = limits.hold_the_gil.using(hard_timeout=90, timeout=30, max_attempts=2, backoff=[50])


class Told:
    """Stands for the pipe through which a child tells its stacks; something may happen meanwhile."""

    def __init__(self) -> None:
        self.meanwhile: Callable[[], None] = lambda: None
        self.stacks = {GUILTY: '  File "shop.py", line 3 in match', OTHER: '  File "shop.py", line 9 in other'}

    def ask(self, pid: int) -> dict[int, str]:
        self.meanwhile()
        return self.stacks


class Parent:
    """A parent with one child that has begun two jobs, of which the first has a hard timeout of 90 s."""

    def __init__(self, backend: Any, monkeypatch: pytest.MonkeyPatch, guilty: Any = hold) -> None:
        self.backend, self.clock, self.told = backend, StandingClock(), Told()
        self.finished: list[Finished] = []
        self.killed: list[tuple[int, int]] = []
        monkeypatch.setattr(os, "kill", lambda *call: self.killed.append(call))
        self.overruns = Overruns(backend, self.finished.append, self.clock, lambda: 0.5)
        self.board = Board(3)
        self.child = Child(1, self.board, pid=4711, name="child", stacks=self.told)  # type: ignore[arg-type]
        backend.broker.join(self.child.full_name)
        self.guilty, self.other, self.waiting = guilty.delay("path"), echo.delay(1), echo.delay(2)
        self.leases = backend.broker.turn(self.child.full_name, limit=3).leases
        for slot, thread in enumerate((GUILTY, OTHER, 9)):
            self.board.serve(slot, thread)
        now = self.clock.monotonic()
        self.board.begin(0, self.guilty.id, now + 90, now + 90, self.leases[0].token)
        self.board.begin(1, self.other.id)

    def pass_time(self, seconds: float) -> None:
        self.clock.time += seconds
        self.overruns.enforce([self.child])

    def begin_again(self) -> None:
        """Let the next child lease and begin the guilty job."""
        self.child.pid, self.child.overruns, self.child.name = 4711, (), f"{self.child.name}+"
        self.backend.broker.join(self.child.full_name)
        self.leases = self.backend.broker.turn(self.child.full_name, limit=3).leases
        (token,) = (lease.token for lease in self.leases if lease.id == self.guilty.id)
        self.board.begin(0, self.guilty.id, self.clock.time + 90, self.clock.time + 90, token)

    def die(self) -> bool:
        """Let the child be dead, as the supervisor notices it."""
        self.child.pid = 0
        return self.overruns.settle(self.child)

    def states(self) -> list[tuple[Any, ...]]:
        """Return state, attempts that count, and crashes of the three jobs."""
        records = self.backend.broker.inspect([result.id for result in (self.guilty, self.other, self.waiting)])
        return [(one.record.state, one.record.attempt, one.record.crashes) for one in records.values()]


@pytest.fixture
def parent(backend: Any, monkeypatch: pytest.MonkeyPatch) -> Parent:
    """Return a parent whose child runs."""
    return Parent(backend, monkeypatch)


BACK = (State.READY, 0, 0)


@pytest.mark.parametrize(
    ("options", "until", "killed"),
    [
        (Options(timeout=30, hard_timeout=90), 190.0, 190.0),
        (Options(timeout=None, hard_timeout=90), 190.0, 190.0),
        (Options(timeout=30), 130.0, 0.0),
        (Options(timeout=None), float("inf"), 0.0),
    ],
)
def test_a_loop_that_stands_is_excused_until_the_process_is_killed_for_it(
    options: Options, until: float, killed: float
) -> None:
    held = Lease("id", 7, 1, 0, "", 0.0, "")
    attempt = Attempt(held, Job("id", "task", "queue", options=options), echo, "worker", Unlimited())
    assert attempt.ends(100.0) == (until, killed, 7 if killed else 0)


def test_a_process_is_killed_when_the_time_of_its_job_is_up_and_not_before(
    parent: Parent, caplog: pytest.LogCaptureFixture
) -> None:
    parent.pass_time(89.9)
    assert parent.killed == []
    parent.pass_time(0.1)
    parent.pass_time(1.0)
    assert parent.killed == [(4711, signal.SIGKILL)]
    assert f"worker process child is killed: job {parent.guilty.id} had no more time; it was there:\n" in caplog.text
    assert "line 3 in match" in caplog.text
    assert "line 9 in other" not in caplog.text


def test_the_guilty_attempt_has_failed_and_the_others_go_back_free_of_charge(parent: Parent) -> None:
    parent.pass_time(90.5)
    assert parent.die()
    assert parent.states() == [(State.RETRYABLE, 1, 0), BACK, BACK]
    (finished,) = parent.finished
    assert (finished.ending.state, finished.attempt, finished.ran) == (State.RETRYABLE, 1, 90.5)
    (attempt,) = parent.backend.broker.inspect([parent.guilty.id])[parent.guilty.id].record.attempts
    assert (attempt["o"], attempt["c"], attempt["e"] - attempt["s"]) == ("timed_out", ERROR, 90.5)
    assert attempt["m"] == "ran longer than its hard timeout of 90 s, its worker process was replaced"
    assert attempt["t"].splitlines() == [
        "Where it was when its process was killed (most recent call last):",
        '  File "shop.py", line 3 in match',
    ]


def test_the_job_waits_as_its_backoff_says_and_fails_when_no_attempt_is_left(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = Parent(backend, monkeypatch)
    parent.pass_time(90)
    parent.die()
    assert parent.finished[0].ending.delay == 50.0
    last = Parent(backend, monkeypatch, hold.using(max_attempts=1))
    last.pass_time(90)
    last.die()
    assert last.states()[0] == (State.FAILED, 1, 0)
    assert [error.exception_class_path for error in ended(last.guilty).errors] == [ERROR]


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({"retry_for": TimeoutError}, State.RETRYABLE),
        ({"retry_for": KeyError}, State.FAILED),
        ({"discard_for": TaskTimeout}, State.CANCELLED),
    ],
)
def test_a_kill_is_a_timeout_to_those_options_that_name_errors(
    backend: Any, monkeypatch: pytest.MonkeyPatch, options: Any, state: State
) -> None:
    parent = Parent(backend, monkeypatch, hold.using(**options))
    parent.pass_time(90)
    parent.die()
    assert parent.states()[0][0] is state


def test_a_key_that_a_job_had_to_itself_is_free_when_it_has_failed(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = Parent(backend, monkeypatch, hold.using(unique=True, max_attempts=1))
    parent.pass_time(90)
    parent.die()
    assert hold.using(unique=True).delay("path").id != parent.guilty.id


def test_the_charge_of_a_crash_is_left_to_real_ones(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = Parent(backend, monkeypatch, hold.using(max_attempts=9))
    for number in range(1, 5):
        parent.pass_time(90)
        parent.die()
        assert parent.states()[0] == (State.RETRYABLE, number, 0)
        backend.broker.hasten([parent.guilty.id])
        parent.begin_again()


def test_jobs_that_go_back_keep_their_places(parent: Parent) -> None:
    later = echo.delay(3)
    parent.pass_time(90)
    parent.die()
    parent.backend.broker.join("next")
    order = [lease.id for lease in parent.backend.broker.turn("next", limit=9).leases]
    assert order == [parent.other.id, parent.waiting.id, later.id]


def test_a_job_that_ends_while_its_stack_is_asked_for_saves_its_process(parent: Parent) -> None:
    parent.told.meanwhile = lambda: parent.board.end(0)
    parent.pass_time(90)
    assert parent.killed == []
    assert parent.child.overruns == ()


def test_a_slot_that_has_begun_another_attempt_meanwhile_saves_its_process(parent: Parent) -> None:
    later = parent.clock.monotonic() + 500
    token = parent.leases[0].token + 1
    parent.told.meanwhile = lambda: parent.board.begin(0, parent.guilty.id, later, later, token)
    parent.pass_time(90)
    assert parent.killed == []


def test_an_end_that_was_told_in_the_moment_of_the_kill_counts(parent: Parent) -> None:
    parent.pass_time(90)
    lease = parent.leases[0]
    parent.backend.broker.turn(parent.child.full_name, [Ending(lease.id, lease.token, State.SUCCESSFUL)])
    assert parent.die()
    assert parent.states() == [(State.SUCCESSFUL, 1, 0), BACK, BACK]
    assert parent.finished == []


def test_a_job_that_another_worker_has_taken_over_is_left_to_it(parent: Parent) -> None:
    broker = parent.backend.broker
    parent.pass_time(90)
    broker.bury(parent.child.full_name)
    broker.join("other")
    broker.turn("other", limit=9)
    assert parent.die()
    assert parent.states() == [(State.RUNNING, 1, 0)] * 3
    assert parent.finished == []


def test_an_attempt_that_its_process_has_leased_anew_under_another_name_is_not_the_guilty_one(parent: Parent) -> None:
    broker = parent.backend.broker
    broker.bury(parent.child.full_name)
    parent.board.add("generation")
    broker.join(parent.child.full_name)
    broker.turn(parent.child.full_name, limit=9)
    parent.pass_time(90)
    assert parent.killed == [(4711, signal.SIGKILL)]
    assert parent.die()
    assert parent.states() == [BACK] * 3


def test_a_body_that_cannot_be_read_goes_back_to_be_parked(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise UnreadableBody

    parent.pass_time(90)
    monkeypatch.setattr(type(parent.backend), "unpack", refuse)
    assert parent.die()
    assert parent.states() == [BACK] * 3


def test_a_cancellation_that_was_asked_for_ends_the_job(parent: Parent) -> None:
    parent.guilty.cancel("enough")
    parent.pass_time(90)
    parent.die()
    assert ended(parent.guilty).state is State.CANCELLED


def test_the_progress_of_the_killed_attempt_is_kept(parent: Parent) -> None:
    lease = parent.leases[0]
    parent.backend.broker.show([(parent.child.full_name, lease.id, lease.token, '[3,10,"",5.0]')])  # type: ignore[list-item]
    parent.pass_time(90)
    parent.die()
    (attempt,) = parent.backend.broker.inspect([lease.id])[lease.id].record.attempts
    assert attempt["p"] == [3, 10, "", 5.0]


def test_while_redis_does_not_answer_it_is_tried_again_and_nobody_is_charged(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[float] = []

    def refuse(*_: Any) -> Any:
        calls.append(parent.clock.time)
        raise BrokerUnavailable

    parent.pass_time(90)
    with monkeypatch.context() as down:
        down.setattr(type(parent.backend.broker), "held", refuse)
        assert not parent.die()
        parent.pass_time(AGAIN_AFTER - 0.1)
        assert len(calls) == 1
        parent.pass_time(0.1)
        assert len(calls) == 2
    parent.pass_time(AGAIN_AFTER)
    assert parent.states() == [(State.RETRYABLE, 1, 0), BACK, BACK]
    assert len(parent.finished) == 1


def test_the_next_deadline_is_the_nearest_of_children_that_can_still_be_killed(parent: Parent) -> None:
    assert parent.overruns.next_deadline([parent.child, Child(0, None)]) == parent.clock.time + 90
    parent.child.is_suspended = True
    assert parent.overruns.next_deadline([parent.child]) == float("inf")


def test_a_suspended_process_is_left_to_whoever_has_suspended_it(parent: Parent) -> None:
    parent.child.is_suspended = True
    parent.pass_time(1000)
    assert parent.killed == []


def test_what_a_dead_child_cannot_count_is_counted_for_it() -> None:
    totals = Totals()
    for state in (State.FAILED, State.RETRYABLE, State.RETRYABLE, State.CANCELLED):
        totals.count(state)
    counted = totals.with_living([])
    assert (counted["failed"], counted["retried"], counted["succeeded"]) == (1, 2, 0)


def test_a_kill_without_a_stack_says_so(parent: Parent, caplog: pytest.LogCaptureFixture) -> None:
    parent.told.stacks = {}
    parent.pass_time(90)
    parent.die()
    assert "where it was is not known" in caplog.text
    assert parent.finished[0].transition is not None
    assert parent.finished[0].transition.failure is not None
    assert parent.finished[0].transition.failure.traceback == ""
