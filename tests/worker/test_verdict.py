"""What becomes of a job whose task raises."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_backie import base_backend, compat, task
from django_backie.core.states import State
from django_backie.exceptions import Cancel, Discard, InvalidOption, Retry, Snooze
from django_backie.result import TaskResult
from django_backie.worker.failures import may_tell_secrets
from django_backie.worker.report import DJANGOS
from tests.app import policies
from tests.helpers import StandingClock, drain, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def ended(backend: Any, result: TaskResult[Any]) -> TaskResult[Any]:
    """Run one attempt and return what is known of the job then, from its row."""
    drain(backend)
    mirror(backend)
    result.refresh()
    return result


def due(backend: Any, result: TaskResult[Any]) -> float:
    """Return in how many seconds a waiting job is due, by the server's clock."""
    seconds, micros = backend.broker.client.time()
    return backend.broker.inspect([result.id])[result.id].record.due - seconds - micros / 1e6


def test_a_retry_waits_exactly_as_long_as_it_is_told_to(backend: Any) -> None:
    result = ended(backend, policies.again.delay(after=500))

    assert (result.state, result.attempts) == (State.RETRYABLE, 1)
    assert due(backend, result) == pytest.approx(500, abs=2)


def test_a_retry_without_a_time_waits_as_the_backoff_says(backend: Any) -> None:
    result = ended(backend, policies.again.using(backoff=1000).delay())

    assert due(backend, result) == pytest.approx(1000, rel=0.21)


def test_a_retry_shows_the_error_it_was_raised_from(backend: Any) -> None:
    result = ended(backend, policies.again.delay(after=500))

    assert result.errors[0].exception_class_path == "builtins.ConnectionError"


def test_a_retry_of_the_last_attempt_fails_the_job(backend: Any) -> None:
    result = ended(backend, policies.again.using(max_attempts=1).delay(after=0))

    assert result.state is State.FAILED


def test_a_retry_is_made_though_retry_for_does_not_name_its_error(backend: Any) -> None:
    result = ended(backend, policies.again.using(retry_for=KeyError).delay(after=500))

    assert result.state is State.RETRYABLE


def test_a_snoozed_job_comes_back_and_its_attempt_does_not_count(backend: Any) -> None:
    result = ended(backend, policies.snooze.delay())

    assert (result.state, result.attempts, result.errors) == (State.SCHEDULED, 0, [])
    assert due(backend, result) == pytest.approx(300, abs=2)


@pytest.mark.parametrize(
    ("which", "reason"), [("cancel", "the order was withdrawn"), ("discard", "discarded: the order is gone")]
)
def test_a_task_may_end_its_job_as_cancelled(backend: Any, which: str, reason: str) -> None:
    result = ended(backend, policies.stop.delay(which))

    assert (result.state, result.attempts) == (State.CANCELLED, 1)
    assert [error.traceback for error in result.errors] == [f"django_backie.exceptions.Cancelled: {reason}\n"]


def test_who_listens_for_the_end_of_jobs_hears_that_one_was_given_up(backend: Any) -> None:
    heard: list[tuple[State, str]] = []

    def hear(sender: object, task_result: TaskResult[Any], **_: object) -> None:
        heard.append((task_result.state, task_result.errors[-1].exception_class_path))

    compat.task_signals.task_finished.connect(hear)
    try:
        ended(backend, policies.stop.delay("cancel"))
        ended(backend, policies.choosy.delay("KeyError"))
    finally:
        compat.task_signals.task_finished.disconnect(hear)

    assert heard == [(State.CANCELLED, "django_backie.exceptions.Cancelled")] * 2


def test_a_reason_that_redis_or_a_database_would_not_take_is_escaped(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in DJANGOS:
        # Django logs the exception as it is, and the runner of these tests could not pass that on.
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)
    result = ended(backend, policies.odd.delay())

    assert result.state is State.CANCELLED
    assert result.errors[0].traceback.endswith("discarded: caf\\udce9.txt\N{SYMBOL FOR NULL} is gone\n")


@pytest.mark.parametrize("how", ["cancel", "discard", "retry"])
def test_a_reason_does_not_tell_secrets(backend: Any, how: str, caplog: pytest.LogCaptureFixture) -> None:
    result = ended(backend, policies.tell.using(max_attempts=1 if how == "retry" else 5).delay(how, "4111-1111"))

    assert result.errors
    assert all("4111" not in error.traceback for error in result.errors)
    assert "4111" not in backend.broker.inspect([result.id]).get(result.id, ("",) * 4)[3:].__repr__()
    assert all(may_tell_secrets(entry.exc_info[1]) for entry in caplog.records if entry.exc_info)


def test_what_an_atomic_task_wrote_before_it_gave_up_is_rolled_back(backend: Any) -> None:
    result = ended(backend, policies.write_and_cancel.delay())

    assert result.state is State.CANCELLED
    assert policies.written() == 0


def test_an_async_task_says_the_same(backend: Any) -> None:
    results = [policies.astop.delay(which) for which in ("cancel", "snooze", "retry")]
    drain(backend)
    for result in results:
        result.refresh()

    assert [result.state for result in results] == [State.CANCELLED, State.SCHEDULED, State.RETRYABLE]


# Classes of exceptions.


@pytest.mark.parametrize(
    ("error", "state"),
    [
        ("ConnectionError", State.RETRYABLE),
        ("ConnectionResetError", State.RETRYABLE),  # a subclass
        ("ValueError", State.FAILED),
        ("KeyError", State.CANCELLED),
        ("IndexError", State.CANCELLED),  # LookupError is their common base
    ],
)
def test_the_class_of_an_exception_decides(backend: Any, error: str, state: State) -> None:
    assert ended(backend, policies.choosy.delay(error)).state is state


def test_classes_given_for_one_call_travel_with_its_job(backend: Any) -> None:
    result = ended(backend, policies.choosy.using(retry_for=ValueError, discard_for=OSError).delay("ValueError"))

    assert result.state is State.RETRYABLE


def test_a_discarded_job_shows_what_was_raised(backend: Any) -> None:
    result = ended(backend, policies.choosy.delay("KeyError"))

    assert [error.exception_class_path for error in result.errors] == [
        "builtins.KeyError",
        "django_backie.exceptions.Cancelled",
    ]


# The backoff function.


def test_a_backoff_function_says_how_long_to_wait(backend: Any) -> None:
    result = ended(backend, policies.backs_off.delay(400))

    assert due(backend, result) == pytest.approx(400, abs=2)


def test_a_backoff_function_sees_the_exception_and_the_task_result(backend: Any) -> None:
    policies.seen.clear()
    result = ended(backend, policies.backs_off.delay(400))
    ((error, job_id, attempts),) = policies.seen

    assert (type(error), job_id, attempts) == (policies.Busy, result.id, 1)


def test_a_backoff_function_that_returns_none_ends_the_job(backend: Any) -> None:
    result = ended(backend, policies.backs_off.delay(None))

    assert (result.state, result.attempts) == (State.FAILED, 1)


@pytest.mark.parametrize("wrong", ["soon", -1, "nan", True])
def test_a_backoff_function_that_fails_leaves_the_job_to_the_usual_wait(
    backend: Any, wrong: object, caplog: pytest.LogCaptureFixture
) -> None:
    result = ended(backend, policies.backs_off.delay(wrong))

    assert due(backend, result) == pytest.approx(15, rel=0.21, abs=2)
    assert "the backoff function of tests.app.policies.backs_off failed" in caplog.text


def test_a_backoff_function_is_not_asked_after_the_last_attempt(backend: Any) -> None:
    policies.seen.clear()
    ended(backend, policies.backs_off.using(max_attempts=1).delay(400))

    assert policies.seen == []


def test_a_call_may_have_numbers_instead_of_the_function(backend: Any) -> None:
    policies.seen.clear()
    result = ended(backend, policies.backs_off.using(backoff=[700]).delay(400))

    assert due(backend, result) == pytest.approx(700, rel=0.21)
    assert policies.seen == []


def test_a_class_may_have_its_backoff_as_a_method(backend: Any) -> None:
    result = ended(backend, policies.BacksOff().delay())

    assert due(backend, result) == pytest.approx(123, abs=2)


def test_a_function_does_not_travel_with_a_job() -> None:
    with pytest.raises(InvalidOption, match=r"a function does not travel with a job; set backoff on the task"):
        policies.backs_off.using(backoff=lambda error, result: 1)  # type: ignore[arg-type]


# Expiry.


def enqueued_long_ago(monkeypatch: pytest.MonkeyPatch, seconds: float, **options: Any) -> TaskResult[Any]:
    """Return a job that was made so many seconds ago, by the clock of whoever made it."""
    with monkeypatch.context() as patch:
        patch.setattr(base_backend, "SYSTEM", StandingClock())
        base_backend.SYSTEM.time = time.time() - seconds  # type: ignore[attr-defined]
        return policies.perishable.using(**options).delay()


def test_a_job_that_has_not_begun_in_time_is_cancelled(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    result = ended(backend, enqueued_long_ago(monkeypatch, 3601))

    assert (result.state, result.attempts) == (State.CANCELLED, 0)
    assert result.errors[0].traceback == "django_backie.exceptions.Cancelled: expired\n"


def test_a_job_that_begins_in_time_runs(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    result = ended(backend, enqueued_long_ago(monkeypatch, 3590))

    assert result.state is State.SUCCESSFUL


@pytest.mark.parametrize("expires", [timedelta(hours=2), datetime.now(UTC) + timedelta(hours=1)])
def test_a_call_may_say_when_it_expires(
    backend: Any, monkeypatch: pytest.MonkeyPatch, expires: timedelta | datetime
) -> None:
    assert ended(backend, enqueued_long_ago(monkeypatch, 3601, expires=expires)).state is State.SUCCESSFUL


def test_a_naive_time_is_refused(backend: Any) -> None:
    with pytest.raises(compat.InvalidTask, match="expires must be an aware datetime"):
        policies.perishable.using(expires=datetime(2030, 1, 1)).delay()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retry_for": "ValueError"}, "retry_for is 'ValueError', it must be an exception class, or a list of them"),
        ({"discard_for": [ValueError, 5]}, "discard_for is .*, it must be an exception class, or a list of them"),
        ({"retry_for": KeyboardInterrupt}, "it must be an exception class"),
        ({"retry_for": ()}, "it must be an exception class"),
        ({"expires": 0}, "expires is 0, it must be a timedelta or a number of seconds above 0"),
        ({"expires": "soon"}, "expires is 'soon', it must be a timedelta"),
        ({"backoff": lambda error: 5}, "backoff is .* it cannot be called with 2 argument"),
    ],
)
def test_what_cannot_work_is_refused_at_import(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        task(**options)(policies.perishable.func)


@pytest.mark.parametrize("wrong", ["5", None, True, -1, float("nan"), float("inf"), timedelta(days=-1)])
def test_times_that_cannot_be_are_refused_where_they_are_raised(wrong: Any) -> None:
    with pytest.raises(InvalidOption, match=r"Snooze\(for_=\) takes"):
        Snooze(wrong)


def test_reasons_are_kept() -> None:
    assert [str(error) for error in (Cancel("a"), Discard("b"), Discard(), Snooze(5, "c"), Retry("d"))] == [
        "a",
        "discarded: b",
        "discarded",
        "c",
        "d",
    ]
