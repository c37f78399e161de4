"""TaskResult: the caller's handle."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from django_backie import compat, result
from django_backie.broker.replies import Record
from django_backie.core.cancellation import Cancellation
from django_backie.core.job import Job
from django_backie.core.states import State
from django_backie.exceptions import Cancelled, NotYet, TooEarly, WorkerLost, WouldNeverEnd
from django_backie.result import TaskResult, normalise
from tests.app.tasks import add, fail
from tests.contract_tasks import note
from tests.helpers import StandingClock, drain, mirror

JOB = Job(id="0199aaaa-0000-7000-8000-000000000000", task=note.job_name, queue="default", created=1_700_000_000.25)


def attempt(number: int, outcome: str = "failed", **more: Any) -> dict[str, Any]:
    """Return an attempt as Redis has it."""
    return {"n": number, "w": f"worker{number}", "s": 1_700_000_001.0, "e": 1_700_000_002.0, "o": outcome, **more}


FAILED = {"c": "builtins.ValueError", "m": "no", "t": "Traceback ...\nValueError: no\n"}


def test_it_is_a_result_of_django_tasks() -> None:
    assert issubclass(TaskResult, compat.TaskResult)


@pytest.mark.parametrize("state", State)
def test_each_state_has_the_status_of_django_tasks(state: State) -> None:
    found = result.from_record(note, JOB, Record(state, worker="w", attempts=(attempt(1, "succeeded", v="1"),)))
    expected = {"RUNNING": "RUNNING", "SUCCESSFUL": "SUCCESSFUL", "FAILED": "FAILED", "CANCELLED": "FAILED"}
    assert (found.state, found.status) == (state, expected.get(state, "READY"))
    assert isinstance(found.status, compat.TaskResultStatus)


def test_a_fresh_handle_has_no_times() -> None:
    handle = result.fresh(note, JOB)
    assert (handle.enqueued_at, handle.started_at, handle.finished_at, handle.last_attempted_at) == (None,) * 4
    assert (handle.attempts, handle.errors, handle.crashes, handle.state) == (0, [], 0, State.READY)
    later = result.fresh(note, JOB._replace(run_after=2e9))
    assert (later.state, later.status) == (State.SCHEDULED, "READY")


def test_a_fresh_handle_equals_one_with_every_field_set() -> None:
    nothing = dict.fromkeys(("enqueued_at", "started_at", "last_attempted_at", "finished_at"))
    full = TaskResult(
        task=note, id=JOB.id, status=compat.TaskResultStatus.READY, args=[], kwargs={}, backend="default", errors=[],
        worker_ids=[], **nothing,
    )  # fmt: skip
    assert result.fresh(note, JOB) == full
    assert repr(result.fresh(note, JOB)) == repr(full)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(TaskResult)])
def test_a_fresh_handle_has_every_field(field: str) -> None:
    assert hasattr(result.fresh(note, JOB), field)


def test_lists_of_a_fresh_handle_are_kept_and_its_own() -> None:
    handle, other = result.fresh(note, JOB), result.fresh(note, JOB)
    handle.errors.append("an error")
    handle.worker_ids.append("a worker")
    assert (handle.errors, handle.attempts) == (["an error"], 1)
    assert (other.errors, other.attempts) == ([], 0)


def test_a_fresh_handle_has_no_other_attribute() -> None:
    with pytest.raises(AttributeError, match="'TaskResult' object has no attribute 'colour'"):
        result.fresh(note, JOB).colour  # noqa: B018


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_fresh_handle_can_be_copied_and_pickled(copied: Any) -> None:
    handle = result.fresh(note, JOB)
    assert copied(handle) == handle


def test_what_a_caller_does_to_its_arguments_does_not_change_the_handle() -> None:
    items = [1]
    handle = result.fresh(note, JOB._replace(args=[items]))
    items.append(2)
    assert handle.args == [[1]]


def test_milliseconds_survive() -> None:
    found = result.from_record(note, JOB, Record(State.READY, first_started=1_700_000_000.001))
    assert found.enqueued_at.microsecond == 250_000
    assert found.started_at.microsecond == 1000


def test_errors_of_all_attempts_are_kept_in_order() -> None:
    attempts = (attempt(1, **FAILED), attempt(2, "lost"), attempt(3, **{**FAILED, "c": "builtins.KeyError"}))
    found = result.from_record(note, JOB, Record(State.FAILED, attempt=3, attempts=attempts))
    assert [error.exception_class for error in found.errors] == [ValueError, WorkerLost, KeyError]
    assert (found.attempts, found.worker_ids) == (3, ["worker1", "worker2", "worker3"])


# Cancel


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
@pytest.mark.parametrize("durability", ["outbox", "commit", "now"])
def test_a_waiting_job_is_cancelled_at_once(backend: Any, durability: Any) -> None:
    handle = add.using(durability=durability).delay(1, 2)
    assert handle.cancel("wrong month") is Cancellation.DONE
    assert handle.state is State.CANCELLED
    assert handle.errors[-1].traceback.strip().endswith("Cancelled: wrong month")
    assert drain(backend).handed_back == 0
    handle.refresh()
    assert handle.state is State.CANCELLED


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_an_ended_job_refuses_to_be_cancelled(backend: Any) -> None:
    handle = add.delay(1, 2)
    drain(backend)
    assert handle.cancel() is Cancellation.REFUSED
    mirror(backend)
    assert handle.cancel() is Cancellation.REFUSED


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_job_of_an_open_transaction_cannot_be_cancelled_yet(backend: Any) -> None:
    with transaction.atomic():
        handle = add.delay(1, 2)
        with pytest.raises(TooEarly, match=f"the transaction that makes job {handle.id} is open here"):
            handle.cancel()
    assert handle.cancel() is Cancellation.DONE


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_job_that_never_was_refuses_to_be_cancelled(backend: Any) -> None:
    with transaction.atomic():
        handle = add.delay(1, 2)
        transaction.set_rollback(True)
    assert handle.cancel() is Cancellation.REFUSED


def test_a_cancellation_is_an_error_with_its_reason() -> None:
    found = result.from_record(note, JOB, Record(State.CANCELLED, reason="sold out"))
    assert found.errors[0].exception_class is Cancelled
    assert "sold out" in found.errors[0].traceback


def test_the_running_attempt_counts() -> None:
    found = result.from_record(note, JOB, Record(State.RUNNING, worker="now", attempts=(attempt(1, **FAILED),)))
    assert found.worker_ids == ["worker1", "now"]


def test_a_return_value_of_null_is_none() -> None:
    found = result.from_record(note, JOB, Record(State.SUCCESSFUL, attempts=(attempt(1, "succeeded"),)))
    assert found.return_value is None


def test_tagged_return_values_come_back_exact() -> None:
    text = json.dumps({"__t": "n", "v": "1.10"})
    found = result.from_record(note, JOB, Record(State.SUCCESSFUL, attempts=(attempt(1, "succeeded", v=text),)))
    assert str(found.return_value) == "1.10"


def test_a_copy_shows_what_the_other_handle_shows() -> None:
    handle = result.fresh(note, JOB)
    other = result.from_record(
        note, JOB, Record(State.SUCCESSFUL, crashes=2, attempts=(attempt(1, "succeeded", v="5"),))
    )
    handle.copy(other)
    assert handle == other
    assert (handle.return_value, handle.crashes, handle.state) == (5, 2, State.SUCCESSFUL)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, (2,)), [1, [2]]),
        (b"text", "text"),
        ({1: {None: ()}, False: 1.5, b"k": 0}, {"1": {"null": []}, "false": 1.5, "k": 0}),
        (range(3), [0, 1, 2]),
        ("text", "text"),
    ],
)
def test_values_are_normalised_as_the_journey_does(value: Any, expected: Any) -> None:
    assert normalise(value) == expected


def test_an_exception_that_cannot_be_imported_is_an_import_error() -> None:
    found = result.from_record(note, JOB, Record(State.FAILED, attempts=(attempt(1, **{**FAILED, "c": "no.Such"}),)))
    with pytest.raises(ImportError):
        found.errors[0].exception_class  # noqa: B018


# Waiting.


@pytest.fixture
def worked(backend: Any) -> Iterator[Any]:
    """Return a backend whose jobs are run, by another thread."""
    stopping = threading.Event()

    def work() -> None:
        while not stopping.is_set():
            drain(backend)
            stopping.wait(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    yield backend
    stopping.set()
    thread.join(timeout=20)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_who_waits_gets_the_end(worked: Any) -> None:
    assert add.delay(1, 2).wait(20).return_value == 3
    failed = fail.using(max_attempts=1).delay().wait(20)
    assert (failed.state, failed.errors[0].exception_class_path) == (State.FAILED, "builtins.ValueError")


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_async_code_waits_too(worked: Any) -> None:
    async def view() -> Any:
        result = await add.adelay(1, 2)
        return await result.await_(20)

    assert asyncio.run(view()).return_value == 3


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_who_waits_in_vain_is_told_how_the_job_stands(backend: Any) -> None:
    handle = add.delay(1, 2)
    with pytest.raises(NotYet, match=rf"job {handle.id} has not ended within 0.01 s, it is READY"):
        handle.wait(0.01)
    with pytest.raises(TimeoutError):
        handle.wait(0)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_who_would_wait_for_ever_is_told_at_once(backend: Any) -> None:
    with transaction.atomic():
        handle = add.delay(1, 2)
        with pytest.raises(WouldNeverEnd, match="no worker sees it before the transaction here is committed"):
            handle.wait()
        with pytest.raises(WouldNeverEnd):
            add.get_result(handle.id).wait()
    with pytest.raises(NotYet):
        handle.wait(0)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_job_that_is_gone_is_not_waited_for(backend: Any) -> None:
    handle = add.using(durability="now").delay(1, 2)
    backend.broker.erase([handle.id])
    with pytest.raises(compat.TaskResultDoesNotExist):
        handle.wait(20)


def test_pauses_grow_and_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = StandingClock()
    monkeypatch.setattr(result, "SYSTEM", clock)
    handle = result.from_record(note, JOB, Record(State.READY))
    seen = []

    def wait() -> None:
        for pause in result._pauses(handle, 2.0):
            seen.append(pause)
            clock.time += pause

    with pytest.raises(NotYet):
        wait()

    assert seen[:3] == pytest.approx([0.002, 0.003, 0.0045])
    assert max(seen) == 0.25
    assert sum(seen) == pytest.approx(2.0)
    assert seen[-1] == 0.0, "the state is asked for once more when the time is up"
