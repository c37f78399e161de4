"""What people do with jobs, where it meets what workers do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command

from django_backie import control
from django_backie.broker.redis import RedisBroker
from django_backie.broker.sent import Restored
from django_backie.core.cancellation import wish_of
from django_backie.core.states import State
from django_backie.exceptions import BrokerUnavailable
from django_backie.models import Job

from .app.tasks import add, fail
from .helpers import drain, empty, lease, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

Action = Callable[..., control.Report]
VERBS: list[tuple[Action, str]] = [(control.run_now, "hasten"), (control.cancel, "cancel")]


def row_of(job: Any) -> Job:
    return Job.objects.get(pk=job.id)


@pytest.mark.parametrize(("action", "verb"), VERBS)
def test_a_job_that_ends_meanwhile_is_not_brought_back(
    backend: Any, monkeypatch: pytest.MonkeyPatch, action: Action, verb: str
) -> None:
    job = add.delay(1, 2)
    mirror(backend)
    ask = getattr(RedisBroker, verb)

    def overtaken(broker: RedisBroker, *arguments: Any) -> Any:
        drain(backend)
        mirror(backend)
        return ask(broker, *arguments)

    monkeypatch.setattr(RedisBroker, verb, overtaken)
    report = action([job.id])

    assert report.done == ()
    assert "ended" in str(report.refused)
    assert (row_of(job).state, row_of(job).attempt) == (State.SUCCESSFUL, 1)
    assert backend.broker.missing([job.id]) == [job.id]


@pytest.mark.parametrize(("action", "state"), [(control.run_now, State.READY), (control.cancel, State.CANCELLED)])
def test_a_job_that_redis_has_lost_is_brought_back_for_it(backend: Any, action: Action, state: State) -> None:
    job = add.using(run_after=timedelta(hours=1)).delay(1, 2)
    mirror(backend)
    empty(backend)

    assert action([job.id]).done == (job.id,)
    assert row_of(job).state == state
    mirror(backend)
    assert row_of(job).state == state


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_retry_is_made_though_the_mirror_comes_in_between(
    backend: Any, monkeypatch: pytest.MonkeyPatch, is_cancelled: bool
) -> None:
    job = fail.using(max_attempts=1).delay()
    if is_cancelled:
        control.cancel([job.id])
    else:
        drain(backend)
        mirror(backend)
    restore = RedisBroker.restore

    def overtaken(broker: RedisBroker, *arguments: Any, **named: Any) -> Any:
        mirror(backend)
        return restore(broker, *arguments, **named)

    monkeypatch.setattr(RedisBroker, "restore", overtaken)

    assert control.retry([job.id]).done == (job.id,)
    assert row_of(job).state == State.READY


def test_a_row_shows_the_version_of_its_cancellation(backend: Any) -> None:
    job = add.delay(1, 2)
    mirror(backend)
    control.cancel([job.id])

    assert row_of(job).version == backend.broker.inspect([job.id])[job.id].record.version


def test_a_job_that_runs_again_by_now_is_not_shown_as_cancelled(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = add.delay(1, 2)
    mirror(backend)
    cancel = RedisBroker.cancel

    def overtaken(broker: RedisBroker, *arguments: Any) -> Any:
        answers = cancel(broker, *arguments)
        version = broker.inspect([job.id])[job.id].record.version
        broker.restore([Restored(job.id, row_of(job).body, version=version)], revive=True)
        return answers

    monkeypatch.setattr(RedisBroker, "cancel", overtaken)
    control.cancel([job.id])
    mirror(backend)

    assert row_of(job).state == State.READY


@pytest.mark.parametrize("action", [control.retry, control.cancel, control.run_now])
def test_a_row_from_a_backup_is_told_to_wait(backend: Any, action: Action) -> None:
    job = fail.using(max_attempts=1).delay()
    drain(backend)
    mirror(backend)
    old = {"state": State.FAILED if action is control.retry else State.SCHEDULED, "finished_at": None}
    Job.objects.update(version=7, **old)

    report = action([job.id])

    assert report.refused == ((job.id, "it has ended or was erased a moment ago; try again in some minutes"),)


def test_a_cancelled_job_s_row_is_complete_and_can_be_pruned(backend: Any) -> None:
    job = add.delay(1, 2)
    mirror(backend)
    control.cancel([job.id], reason="no more needed")
    row = row_of(job)
    assert (row.state, row.reason, row.finished_at is not None) == (State.CANCELLED, "no more needed", True)

    mirror(backend)
    assert row_of(job).finished_at == row.finished_at


def test_what_is_run_now_keeps_its_attempts(backend: Any) -> None:
    job = fail.using(max_attempts=3, backoff=1000).delay()
    mirror(backend)
    drain(backend)
    control.run_now([job.id])
    mirror(backend)

    assert (row_of(job).state, row_of(job).attempt) == (State.READY, 1)


@pytest.mark.parametrize("action", [control.cancel, control.run_now])
def test_a_job_that_ended_long_ago_is_told_as_such(backend: Any, action: Action) -> None:
    job = add.delay(1, 2)
    drain(backend)
    mirror(backend)

    assert action([job.id]).refused == ((job.id, "it has ended"),)


def test_a_change_that_cannot_be_read_back_is_told_as_done(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = add.delay(1, 2)
    mirror(backend)

    def down(*_: Any) -> None:
        raise BrokerUnavailable

    monkeypatch.setattr(RedisBroker, "inspect", down)

    assert control.cancel([job.id]).done == (job.id,)
    assert row_of(job).state == State.CANCELLED
    mirror(backend)
    assert row_of(job).finished_at is not None


def test_a_retry_takes_the_time_away_at_which_a_job_expires(backend: Any) -> None:
    job = fail.using(max_attempts=1, expires=3600).delay()
    drain(backend)
    mirror(backend)
    control.retry([job.id])

    (snapshot,) = backend.broker.inspect([job.id]).values()
    assert backend.unpack(job.id, snapshot.body).expires is None
    assert row_of(job).body == snapshot.body


def test_what_a_retry_has_done_is_told_though_redis_goes_away_meanwhile(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (fail.using(max_attempts=1).delay() for _ in range(2))
    drain(backend)
    mirror(backend)
    Job.objects.filter(pk=second.id).update(version=7)
    restore, asked = RedisBroker.restore, list[int]()

    def once(broker: RedisBroker, *arguments: Any, **named: Any) -> Any:
        asked.append(1)
        if len(asked) > 1:
            raise BrokerUnavailable
        return restore(broker, *arguments, **named)

    monkeypatch.setattr(RedisBroker, "restore", once)
    report = control.retry([first.id, second.id])

    assert report.done == (first.id,)
    assert [job_id for job_id, _ in report.refused] == [second.id]


def test_a_running_job_is_asked_to_end_and_its_row_says_so_at_once(backend: Any) -> None:
    job, other = add.delay(1, 2), add.delay(3, 4)
    lease(backend)
    mirror(backend)

    report = control.cancel([job.id], reason="wrong month")
    assert (report.done, report.refused, report.asked) == ((), (), (job.id,))
    row = row_of(job)
    assert (row.state, wish_of(row.state, row.reason), row.run_after) == (State.RUNNING, "wrong month", None)
    assert wish_of(row_of(other).state, row_of(other).reason) is None
    control.cancel([job.id], reason="second")
    assert wish_of(State.RUNNING, row_of(job).reason) == "wrong month"


def test_a_running_job_is_asked_though_its_row_shows_it_as_ready(backend: Any) -> None:
    job = add.delay(1, 2)
    lease(backend)

    assert control.cancel([job.id], reason="wrong month").asked == (job.id,)
    assert row_of(job).state == State.RUNNING


def test_an_asking_that_cannot_be_read_back_is_told_and_mirrored_later(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = add.delay(1, 2)
    lease(backend)

    def down(*_: Any) -> None:
        raise BrokerUnavailable

    with monkeypatch.context() as cut:
        cut.setattr(RedisBroker, "inspect", down)
        assert control.cancel([job.id], reason="wrong month").asked == (job.id,)
    mirror(backend)
    assert wish_of(State.RUNNING, row_of(job).reason) == "wrong month"


def test_the_time_for_which_a_running_job_was_planned_stays_in_its_row(backend: Any) -> None:
    job = add.using(run_after=timedelta(hours=1)).delay(1, 2)
    mirror(backend)
    planned = row_of(job).run_after
    control.run_now([job.id])
    lease(backend)
    control.cancel([job.id])

    assert row_of(job).run_after == planned


def test_a_job_that_was_asked_runs_again_when_a_person_wants_it(backend: Any) -> None:
    job = add.delay(1, 2)
    (held,) = lease(backend)
    control.cancel([job.id], reason="wrong month")
    backend.broker.bury("host:1.0:abcd.0", [held.id])
    mirror(backend)
    assert (row_of(job).state, row_of(job).reason) == (State.CANCELLED, "wrong month")

    assert control.retry([job.id]).done == (job.id,)
    drain(backend)
    mirror(backend)
    assert (row_of(job).state, row_of(job).reason, row_of(job).result) == (State.SUCCESSFUL, "", "3")


def test_a_running_job_cannot_be_made_due(backend: Any) -> None:
    job = add.delay(1, 2)
    lease(backend)
    control.cancel([job.id])

    assert control.run_now([job.id]).refused == ((job.id, "it is running"),)


def test_the_command_tells_what_was_cancelled_and_what_was_asked(backend: Any, capsys: Any) -> None:
    running = add.delay(1, 2)
    lease(backend)
    waiting = add.delay(3, 4)
    call_command("backie", "cancel", running.id, waiting.id, reason="wrong month")

    assert capsys.readouterr().out.splitlines() == [f"{waiting.id} done", f"{running.id} asked to end"]
    assert row_of(waiting).reason == "wrong month"
    assert wish_of(State.RUNNING, row_of(running).reason) == "wrong month"
