"""What becomes of running jobs that somebody wants cancelled; a worker in this process, and the parent's part of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.dispatch import Signal

from django_backie import Cancel, compat, control
from django_backie.broker.replies import Lease
from django_backie.clock import SYSTEM
from django_backie.core.cancellation import Cancellation
from django_backie.core.states import State
from django_backie.exceptions import BrokerUnavailable, Cancelled
from django_backie.models import Job
from django_backie.worker.attempt import Attempt, Finished
from django_backie.worker.board import Board
from django_backie.worker.children import Child
from django_backie.worker.context import TaskContext
from django_backie.worker.executor import Executor
from django_backie.worker.hold import Unlimited
from django_backie.worker.leases import Leases
from django_backie.worker.options import WorkerOptions
from django_backie.worker.pools.both import Pools
from django_backie.worker.requests import PAUSE, Requests
from tests.app.cancelled import anotice, ask_oneself, notice, notice_atomically
from tests.app.tasks import aadd, add
from tests.helpers import StandingClock, drain, ended, lease, mirror, working
from tests.lifecycle.conftest import until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def begun(path: Path) -> bool:
    return path.exists() and "began" in path.read_text()


def outcome(result: Any) -> tuple[State, str]:
    """Return the state of an ended job, and what stands behind the name of its last error."""
    return result.state, result.errors[-1].traceback.strip().rpartition(": ")[2] if result.errors else ""


@pytest.mark.parametrize("task", [notice, anotice])
def test_a_running_job_notices_and_ends_as_cancelled_with_the_reason(backend: Any, tmp_path: Path, task: Any) -> None:
    path = tmp_path / "marks"
    result = task.delay(str(path))
    with working(backend):
        until(lambda: begun(path))
        assert result.cancel("wrong month") is Cancellation.ASKED
        assert outcome(ended(result)) == (State.CANCELLED, "wrong month")
    assert path.read_text().split("\n")[:2] == ["began", "noticed:wrong month"]
    assert result.errors[-1].exception_class_path.endswith(Cancelled.__name__)
    mirror(backend)
    row = Job.objects.get(pk=result.id)
    assert (row.state, row.reason, row.attempt) == (State.CANCELLED, "wrong month", 1)
    assert [attempt.outcome for attempt in row.attempts.all()] == ["cancelled"]


@pytest.mark.parametrize("task", [notice, anotice])
def test_a_job_that_goes_on_to_a_good_end_has_succeeded(backend: Any, tmp_path: Path, task: Any) -> None:
    path = tmp_path / "marks"
    result = task.delay(str(path), "went on")
    with working(backend):
        until(lambda: begun(path))
        result.cancel()
        assert ended(result).return_value == "went on"
    mirror(backend)
    assert Job.objects.get(pk=result.id).reason == ""


def test_a_job_that_fails_is_not_retried(backend: Any, tmp_path: Path) -> None:
    path = tmp_path / "marks"
    result = notice.delay(str(path), "fail")
    with working(backend):
        until(lambda: begun(path))
        result.cancel("wrong month")
        assert outcome(ended(result)) == (State.CANCELLED, "wrong month")
    assert result.errors[0].exception_class_path == "builtins.ValueError"
    assert path.read_text().count("began") == 1


@pytest.mark.parametrize("task", [add, aadd])
def test_a_job_that_has_not_begun_does_not_begin(backend: Any, task: Any) -> None:
    task.delay(1, 2)
    (attempt,) = attempts(backend, *lease(backend, "w")).values()
    reported: list[Finished] = []
    pools = Pools(WorkerOptions(threads=1), Executor(backend), reported.append, Board(200), SYSTEM)
    attempt.hold.asked = "late"
    pools.submit([attempt])
    pools.cancel(attempt)
    pools.start()
    until(lambda: reported)
    pools.stop()
    ending = reported[0].ending
    assert (ending.state, ending.refund, ending.reason, ending.note) == (State.CANCELLED, True, "late", "")


def test_an_async_job_is_interrupted_once(backend: Any, tmp_path: Path) -> None:
    path = tmp_path / "marks"
    result = anotice.delay(str(path))
    with working(backend) as running:
        until(lambda: begun(path))
        (attempt,) = running._ledger.running.values()
        attempt.hold.asked = "enough"
        for _ in range(3):
            running._pools.cancel(attempt)
        ended(result)
    assert path.read_text().count("noticed") == 1


def test_receivers_and_handles_see_the_cancellation(backend: Any, tmp_path: Path) -> None:
    path = tmp_path / "marks"
    seen: list[tuple[State, str]] = []

    def look(*, task_result: Any, **_: Any) -> None:
        seen.append(outcome(task_result))

    signal: Signal = compat.task_signals.task_finished
    signal.connect(look)
    try:
        result = anotice.delay(str(path))
        with working(backend):
            until(lambda: begun(path))
            result.cancel("wrong month")
            ended(result)
    finally:
        signal.disconnect(look)
    assert seen == [(State.CANCELLED, "wrong month")]


def test_a_job_can_be_cancelled_without_a_row(backend: Any, tmp_path: Path) -> None:
    path = tmp_path / "marks"
    result = notice.using(durability="now").delay(str(path))
    with working(backend):
        until(lambda: begun(path))
        assert not Job.objects.exists()
        assert result.cancel("wrong month") is Cancellation.ASKED
        assert outcome(ended(result)) == (State.CANCELLED, "wrong month")


def test_a_job_can_cancel_itself(backend: Any) -> None:
    result = ask_oneself.delay("enough")
    with working(backend):
        assert ended(result).return_value[:2] == [False, "asked"]


# Atomic tasks


@pytest.mark.parametrize(("then", "effects"), [("raise", 0), ("fail", 0), ("go on", 1)])
def test_an_atomic_job_that_was_asked_commits_as_a_success_or_not_at_all(
    backend: Any, tmp_path: Path, then: str, effects: int
) -> None:
    path = tmp_path / "marks"
    result = notice_atomically.delay(str(path), then)
    (leased,) = lease(backend, "w")
    executor = Executor(backend)
    attempt = executor.open(leased, "w")
    assert isinstance(attempt, Attempt)
    control.cancel([result.id], reason="wrong month")
    attempt.hold.asked = "wrong month"
    backend.broker.turn("w", [executor.run(attempt).ending])
    result.refresh()
    mirror(backend)
    row = Job.objects.get(pk=result.id)
    assert Group.objects.count() == effects
    wanted = (State.SUCCESSFUL, "") if effects else (State.CANCELLED, "wrong month")
    assert (result.state, row.state, row.reason) == (wanted[0], *wanted)


def test_effects_that_are_committed_stay_a_success_though_the_worker_dies_after_the_asking(
    backend: Any, tmp_path: Path
) -> None:
    result = notice_atomically.delay(str(tmp_path / "marks"), "go on")
    (leased,) = lease(backend, "w")
    executor = Executor(backend)
    attempt = executor.open(leased, "w")
    assert isinstance(attempt, Attempt)
    control.cancel([result.id], reason="wrong month")
    attempt.hold.asked = "wrong month"
    executor.run(attempt)
    backend.broker.bury("w", [result.id])
    mirror(backend)
    drain(backend)
    row = Job.objects.get(pk=result.id)
    assert (Group.objects.count(), row.state, row.reason) == (1, State.SUCCESSFUL, "")
    result.refresh()
    assert result.state is State.SUCCESSFUL


# How a worker hears of it


def attempts(backend: Any, *leases: Lease) -> dict[str, Any]:
    opened = [Executor(backend, hold_of=lambda lease, worker: Unlimited()).open(one, "w") for one in leases]
    return {attempt.lease.id: attempt for attempt in opened if isinstance(attempt, Attempt)}


def heard_of(backend: Any, clock: StandingClock) -> tuple[Requests, list[Attempt]]:
    interrupted: list[Attempt] = []
    return Requests(backend.broker, interrupted.append, clock), interrupted


def test_who_has_heard_does_not_ask_again_for_the_same(backend: Any) -> None:
    result, other = add.delay(1, 2), add.delay(3, 4)
    running = attempts(backend, *lease(backend, "w"))
    requests, interrupted = heard_of(backend, StandingClock())
    backend.broker.cancel([result.id], "enough")
    requests.hear(7, "w", running)
    assert (requests.heard, interrupted) == (7, [running[result.id]])
    assert (running[result.id].hold.asked, running[other.id].hold.asked) == ("enough", None)


def test_an_attempt_is_interrupted_once_though_others_are_asked_later(backend: Any) -> None:
    results = add.delay_many([(1, 2), (3, 4)])
    running = attempts(backend, *lease(backend, "w"))
    clock = StandingClock()
    requests, interrupted = heard_of(backend, clock)
    for number, result in enumerate(results, 1):
        backend.broker.cancel([result.id])
        requests.hear(number, "w", running)
        clock.time += PAUSE
    assert interrupted == [running[result.id] for result in results]


def test_a_lease_that_is_on_its_way_still_is_looked_for_again_after_a_pause(backend: Any) -> None:
    result = add.delay(1, 2)
    running = attempts(backend, *lease(backend, "w"))
    clock = StandingClock()
    requests, interrupted = heard_of(backend, clock)
    backend.broker.cancel([result.id])
    requests.hear(1, "w", {})
    requests.hear(1, "w", running)
    assert (requests.heard, interrupted) == (0, [])
    clock.time += PAUSE
    requests.hear(1, "w", running)
    assert (requests.heard, interrupted) == (1, [*running.values()])


def test_an_attempt_of_another_lease_is_left_alone(backend: Any) -> None:
    result = add.delay(1, 2)
    (leased,) = lease(backend, "w")
    running = attempts(backend, leased._replace(token=1))
    requests, interrupted = heard_of(backend, StandingClock())
    backend.broker.cancel([result.id])
    requests.hear(1, "w", running)
    assert (requests.heard, interrupted, running[result.id].hold.asked) == (0, [], None)


def test_a_worker_that_cannot_ask_asks_again(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    result = add.delay(1, 2)
    running = attempts(backend, *lease(backend, "w"))
    backend.broker.cancel([result.id])
    clock = StandingClock()
    requests, interrupted = heard_of(backend, clock)

    def down(*_: Any) -> Any:
        raise BrokerUnavailable

    with monkeypatch.context() as cut:
        cut.setattr(type(backend.broker), "asked", down)
        requests.hear(1, "w", running)
    clock.time += PAUSE
    assert interrupted == []
    requests.hear(1, "w", running)
    assert (requests.heard, len(interrupted)) == (1, 1)


def test_the_parent_tells_only_the_children_whose_jobs_were_asked(backend: Any) -> None:
    children = [Child(number, Board(1), pid=1, name=f"child{number}") for number in (1, 2)]
    results = add.delay_many([(1, 2), (3, 4)])
    for child in children:
        backend.broker.join(child.full_name)
        backend.broker.turn(child.full_name, limit=1)
    backend.broker.cancel([results[1].id])
    Leases(backend.broker, StandingClock()).tick(children)
    numbers = [child.board.turn() for child in children if child.board is not None]
    assert numbers[0] == 0
    assert numbers[1] > 0


# What the task sees


def context(hold: Any) -> TaskContext:
    return TaskContext(task_result=None, held=hold)


def test_the_context_of_a_job_that_nobody_wants_cancelled() -> None:
    seen = context(Unlimited())
    assert (seen.cancelled, seen.cancel_reason) == (False, "")
    seen.raise_if_cancelled()


@pytest.mark.parametrize("reason", ["", "wrong month"])
def test_the_context_of_a_job_that_somebody_wants_cancelled(reason: str) -> None:
    hold = Unlimited()
    hold.asked = reason
    seen = context(hold)
    assert (seen.cancelled, seen.cancel_reason) == (True, reason)
    with pytest.raises(Cancel) as raised:
        seen.raise_if_cancelled()
    assert str(raised.value) == reason


def test_a_stop_of_the_worker_is_no_cancellation(backend: Any, tmp_path: Path) -> None:
    path = tmp_path / "marks"
    result = anotice.delay(str(path))
    with working(backend):
        until(lambda: begun(path))
    result.refresh()
    assert (result.state, path.read_text().split()[1]) == (State.READY, "noticed:")


def test_a_handle_can_be_cancelled_from_async_code(backend: Any) -> None:
    result = add.delay(1, 2)
    assert asyncio.run(result.acancel("enough")) is Cancellation.DONE
    assert outcome(result) == (State.CANCELLED, "enough")
