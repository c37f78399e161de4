"""Atomic tasks: effects in one database happen exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, connections, transaction
from django.db.transaction import TransactionManagementError

from django_backie import control, task
from django_backie import mirror as mirror_module
from django_backie.broker.replies import Lease
from django_backie.core.outcome import Succeeded
from django_backie.core.states import State
from django_backie.duties.prune import Prune
from django_backie.exceptions import InvalidOption
from django_backie.models import Job
from django_backie.moments import moment
from django_backie.worker import atomic
from django_backie.worker.attempt import Attempt, Finished
from django_backie.worker.executor import Executor
from tests.app.tasks import echo
from tests.helpers import drain, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class Hold:
    """A lease that stands, or not, as the test says."""

    shown = None

    def __init__(self, *, stands: bool = True) -> None:
        self.stands = stands
        self.asked: str | None = None

    def is_sure(self) -> bool:
        return self.stands

    def is_mine(self) -> bool:
        return self.stands


@task(atomic=True, max_attempts=3, backoff=[0.01])
def count(name: str, *, fails: bool = False) -> str:
    """Leave a row, and a job."""
    Group.objects.create(name=f"{name} {Group.objects.count()}")
    echo.delay(name)
    if fails:
        raise ValueError(name)
    return f"counted {name}"


@task(atomic=True, takes_context=True)
def count_with_key(context: Any) -> list[Any]:
    """Leave a row and return what the context tells."""
    Group.objects.create(name=context.idempotency_key)
    return [context.idempotency_key, context.still_mine(), context.attempt]


def lease(backend: Any, worker: str = "w") -> Lease:
    """Lease all ready jobs and return the atomic one."""
    backend.broker.join(worker)
    (found,) = [lease for lease in backend.broker.turn(worker, limit=10).leases if "test_atomic" in lease.body]
    return found


def execute(backend: Any, leased: Lease, *, stands: bool = True) -> Finished:
    executor = Executor(backend, hold_of=lambda lease, worker: Hold(stands=stands))
    attempt = executor.open(leased, "w")
    assert isinstance(attempt, Attempt)
    return executor.run(attempt)


def groups() -> int:
    return Group.objects.count()


def test_the_effects_the_jobs_inside_and_the_end_of_the_job_are_committed_together(backend: Any) -> None:
    result = count.delay("a")
    seen: list[tuple[int, str, int]] = []

    @contextmanager
    def look() -> Iterator[None]:
        yield
        transaction.on_commit(lambda: seen.append((groups(), Job.objects.get(pk=result.id).state, Job.objects.count())))

    executor = Executor(backend)
    attempt = executor.open(lease(backend), "w")
    assert isinstance(attempt, Attempt)
    finished = executor.run(attempt, look())
    assert seen == [(1, State.SUCCESSFUL, 2)]
    assert finished.ending.state is State.SUCCESSFUL


def test_an_atomic_task_that_fails_leaves_no_effect_and_no_job(backend: Any) -> None:
    result = count.delay("a", fails=True)
    drain(backend)
    assert (groups(), Job.objects.count()) == (0, 1)
    result.refresh()
    assert result.state is State.RETRYABLE


def test_a_second_attempt_after_the_commit_has_no_effect_and_tells_what_the_first_returned(backend: Any) -> None:
    result = count.delay("a")
    execute(backend, lease(backend))
    backend.broker.bury("w", [result.id])  # the worker died before it could say so
    drain(backend)
    mirror(backend)
    row = Job.objects.get(pk=result.id)
    assert (groups(), row.state, row.result, row.crashes) == (1, State.SUCCESSFUL, '"counted a"', 1)


def test_two_attempts_at_once_commit_the_effects_of_one(backend: Any) -> None:
    result = count.delay("a")
    frozen = lease(backend)
    backend.broker.bury("w", [result.id])
    later = lease(backend, "other")
    assert execute(backend, later).ending.state is State.SUCCESSFUL
    assert execute(backend, frozen).ending.state is State.SUCCESSFUL  # which the broker refuses
    assert groups() == 1


def test_an_attempt_that_was_overtaken_does_not_commit(backend: Any) -> None:
    result = count.delay("a")
    frozen = lease(backend)
    Job.objects.filter(pk=result.id).update(attempt=frozen.attempt + 1, version=frozen.token + 1)
    finished = execute(backend, frozen)
    assert (groups(), finished.ending.state, finished.ending.refund) == (0, State.SCHEDULED, True)


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_an_attempt_of_a_job_that_is_over_does_not_commit(backend: Any, state: State) -> None:
    result = count.delay("a")
    Job.objects.filter(pk=result.id).update(state=state)
    execute(backend, lease(backend))
    assert groups() == 0
    assert Job.objects.get(pk=result.id).state == state


def test_an_attempt_whose_lease_may_have_lapsed_does_not_commit(backend: Any) -> None:
    count.delay("a")
    finished = execute(backend, lease(backend), stands=False)
    assert (groups(), finished.ending.state, finished.ending.refund) == (0, State.READY, True)


def test_an_attempt_without_a_row_does_not_commit(backend: Any) -> None:
    result = count.delay("a")
    Job.objects.filter(pk=result.id).delete()
    finished = execute(backend, lease(backend))
    assert (groups(), finished.ending.state) == (0, State.RETRYABLE)
    assert "is gone from 'default'" in finished.ending.note


def test_a_result_that_cannot_be_kept_undoes_the_effects(backend: Any, settings: Any) -> None:
    backend.config  # noqa: B018 - so that only this test's limit counts
    object.__setattr__(backend.config, "max_result", 3)
    count.delay("a")
    finished = execute(backend, lease(backend))
    assert (groups(), finished.ending.state) == (0, State.FAILED)


def test_a_failing_callback_after_the_commit_does_not_fail_the_job(backend: Any) -> None:
    result = count.delay("a")
    attempt = Executor(backend).open(lease(backend), "w")
    assert isinstance(attempt, Attempt)

    def call() -> Succeeded:
        transaction.on_commit(lambda: 1 / 0)
        return Succeeded('"done"')

    assert atomic.run_settling(attempt, call) == Succeeded('"done"')
    assert Job.objects.get(pk=result.id).settled


class BrokenConnection:
    """Makes COMMIT raise, before or after it has taken effect, and perhaps every statement after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, took_effect: bool, comes_back: bool = True) -> None:
        self._commit = connection.commit
        self._took_effect, self._comes_back = took_effect, comes_back
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(connection, "commit", self.commit)

    def commit(self) -> None:
        if self._took_effect:
            self._commit()
        else:
            connection.rollback()
        if not self._comes_back:
            self._monkeypatch.setattr(atomic, "_earlier_outcome", self.refuse)
        raise OperationalError("the connection broke")

    @staticmethod
    def refuse(attempt: Attempt) -> None:
        raise OperationalError("nobody answers")


@pytest.fixture
def lasting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the connection: closing one to a database in memory would drop the database."""
    monkeypatch.setattr(connection, "close", lambda: None)


@pytest.mark.usefixtures("lasting")
def test_a_commit_that_took_effect_though_it_raised_is_a_success(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    count.delay("a")
    leased = lease(backend)
    with monkeypatch.context() as patched:
        BrokenConnection(patched, took_effect=True)
        finished = execute(backend, leased)
    assert (groups(), finished.ending.state) == (1, State.SUCCESSFUL)


@pytest.mark.usefixtures("lasting")
def test_a_commit_that_raised_without_effect_is_a_failure(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    count.delay("a")
    leased = lease(backend)
    with monkeypatch.context() as patched:
        BrokenConnection(patched, took_effect=False)
        finished = execute(backend, leased)
    assert (groups(), finished.ending.state, finished.ending.refund) == (0, State.RETRYABLE, False)


@pytest.mark.usefixtures("lasting")
def test_a_commit_of_which_nothing_is_known_is_looked_at_again_free_of_charge(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    count.delay("a")
    leased = lease(backend)
    with monkeypatch.context() as patched:
        BrokenConnection(patched, took_effect=True, comes_back=False)
        finished = execute(backend, leased)
    assert (finished.ending.state, finished.ending.refund) == (State.SCHEDULED, True)
    assert "not known" in finished.ending.reason


def test_an_attempt_that_cannot_reach_its_database_is_not_charged(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    count.delay("a")
    leased = lease(backend)
    monkeypatch.setattr(atomic, "_earlier_outcome", BrokenConnection.refuse)
    finished = execute(backend, leased)
    assert (finished.ending.state, finished.ending.refund) == (State.SCHEDULED, True)


def test_the_mirror_does_not_undo_what_an_atomic_attempt_has_settled(backend: Any) -> None:
    result = count.delay("a")
    for number in range(3):
        leased = lease(backend, f"w{number}")
        if not number:
            execute(backend, leased)
        backend.broker.bury(f"w{number}", [result.id])
        backend.broker.hasten([result.id])
    assert backend.broker.inspect([result.id])[result.id].record.state is State.FAILED
    mirror(backend)
    row = Job.objects.get(pk=result.id)
    assert (row.state, row.result, row.error_class, row.crashes) == (State.SUCCESSFUL, '"counted a"', "", 3)


def test_the_context_has_a_key_that_stays_the_same_over_attempts(backend: Any) -> None:
    result = count_with_key.delay()
    drain(backend)
    result.refresh()
    assert result.return_value == [result.id, True, 1]


def raising(**options: Any) -> Callable[[], Any]:
    return lambda: task(**options)(count.func)


@pytest.mark.parametrize("durability", ["commit", "now"])
def test_an_atomic_task_must_be_in_the_outbox(durability: Any) -> None:
    with pytest.raises(InvalidOption, match="needs its row in the outbox"):
        raising(atomic=True, durability=durability)()


def test_an_atomic_task_cannot_be_async() -> None:
    async def work() -> None: ...

    work.__qualname__ = "work"
    with pytest.raises(InvalidOption, match="cannot be async"):
        task(atomic=True)(work)


def test_enqueue_on_commit_false_does_not_take_the_row_from_an_atomic_job(backend: Any) -> None:
    object.__setattr__(backend.config, "enqueue_on_commit", False)
    result = count.enqueue("a")
    assert Job.objects.filter(pk=result.id).exists()


@pytest.mark.parametrize(("answers", "started"), [(True, 1), (False, 0)])
def test_an_attempt_that_only_waits_for_its_database_has_not_started(
    backend: Any, monkeypatch: pytest.MonkeyPatch, answers: bool, started: int
) -> None:
    count.delay("a")
    attempt = Executor(backend).open(lease(backend), "w")
    assert isinstance(attempt, Attempt)
    starts: list[str] = []
    attempt.on_start = lambda: starts.append("started")
    if not answers:
        monkeypatch.setattr(atomic, "_earlier_outcome", BrokenConnection.refuse)
    Executor(backend).run(attempt)
    assert len(starts) == started


def committed_and_lost(backend: Any) -> str:
    """Let an atomic attempt commit, and its worker die before it could say so; return the id of the job."""
    result = count.delay("a")
    execute(backend, lease(backend))
    backend.broker.bury("w", [result.id])
    return str(result.id)


@pytest.mark.parametrize("action", [control.run_now, control.cancel])
def test_a_job_whose_effects_are_committed_is_not_changed_by_hand(backend: Any, action: Any) -> None:
    job_id = committed_and_lost(backend)

    assert action([job_id]).refused == ((job_id, "it has ended"),)
    assert Job.objects.get(pk=job_id).state == State.SUCCESSFUL


@pytest.mark.parametrize("state", [State.READY, State.RUNNING, State.CANCELLED])
def test_a_settled_job_is_told_as_such_whatever_somebody_has_written_over_it(backend: Any, state: State) -> None:
    job_id = committed_and_lost(backend)
    Job.objects.filter(pk=job_id).update(state=state)
    drain(backend)
    mirror(backend)

    row = Job.objects.get(pk=job_id)
    assert (groups(), row.state, row.settled) == (1, State.SUCCESSFUL, False)


def test_the_row_of_a_settled_job_is_kept_while_redis_still_has_the_job(backend: Any) -> None:
    job_id = committed_and_lost(backend)
    Job.objects.filter(pk=job_id).update(finished_at=moment(1.0))
    Prune(backend).tick()
    assert Job.objects.filter(pk=job_id).exists()

    backend.broker.drop({job_id: 9_999_999_999_999})
    Prune(backend).tick()
    assert not Job.objects.filter(pk=job_id).exists()


def test_an_attempt_notes_that_it_runs_so_that_the_mirror_need_not(backend: Any) -> None:
    result = count.delay("a")
    leased = lease(backend)
    seen: list[Any] = []

    @contextmanager
    def look() -> Iterator[None]:
        seen.append(Job.objects.values_list("state", "version", "attempt", "worker").get(pk=result.id))
        yield

    executor = Executor(backend)
    attempt = executor.open(leased, "w")
    assert isinstance(attempt, Attempt)
    executor.run(attempt, look())
    assert seen == [(State.RUNNING, leased.token, 1, "w")]


def test_a_transaction_that_was_not_committed_is_no_success(backend: Any) -> None:
    count.delay("a")
    attempt = Executor(backend).open(lease(backend), "w")
    assert isinstance(attempt, Attempt)

    def call() -> Succeeded:
        # As a timeout leaves it that hits a block of the task's own between its beginning and its end.
        transaction.atomic().__enter__()
        return Succeeded("1")

    try:
        with pytest.raises(TransactionManagementError, match="was not committed"):
            atomic.run_settling(attempt, call)
    finally:
        # A worker closes such a connection; a database in memory would go with it.
        connection.in_atomic_block, connection.savepoint_ids, connection.run_on_commit = False, [], []
        connection.atomic_blocks = []
        connection.rollback()
        connection.set_autocommit(True)
    assert groups() == 0


def test_an_attempt_whose_transaction_cannot_begin_is_not_charged(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    count.delay("a")
    leased = lease(backend)
    monkeypatch.setattr(atomic, "_locked_early", lambda *_: BrokenConnection.refuse(None))  # type: ignore[arg-type]
    finished = execute(backend, leased)
    assert (finished.ending.state, finished.ending.refund) == (State.SCHEDULED, True)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="its transactions have snapshots of their own only there")
def test_a_transaction_with_a_snapshot_of_its_own_can_end_its_job(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = count.delay("a")
    leased = lease(backend)
    attempt = Executor(backend).open(leased, "w")
    assert isinstance(attempt, Attempt)

    def call() -> Succeeded:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        groups()
        in_another_thread(lambda: mirror(backend))
        return Succeeded("1")

    assert atomic.run_settling(attempt, call) == Succeeded("1")
    assert Job.objects.get(pk=result.id).settled


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only there the wait can be bounded for a transaction")
def test_a_row_that_somebody_holds_does_not_hold_up_the_mirror(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "LONGEST_WAIT", 0.2)
    held, free = echo.delay(1), echo.delay(2)
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=held.id)
        in_another_thread(lambda: mirror(backend))
        states = [Job.objects.get(pk=result.id).version for result in (held, free)]
    assert states[0] == 0
    assert states[1] > 0
    mirror(backend)
    assert Job.objects.get(pk=held.id).version > 0


def in_another_thread(work: Callable[[], None]) -> None:
    """Do some work on connections of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive()
