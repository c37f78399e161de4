"""ImmediateBackend and DummyBackend: what a project's tests see must be what production does."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import sys
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from django_backie import Task, compat
from django_backie.core.cancellation import Cancellation
from django_backie.core.states import State
from django_backie.exceptions import InvalidArguments, PayloadTooLarge, UnserializableValue
from django_backie.testing import DummyBackend, ImmediateBackend
from tests.app import cancelled, followed, progressing
from tests.contract_tasks import (
    SEEN,
    Greet,
    about,
    anote,
    explode,
    interrupt,
    leave,
    lists,
    note,
    parent,
    spread,
    stumble,
    third_time_lucky,
    unkeepable,
)


@pytest.fixture
def use(settings: Any, nowhere: str) -> Any:
    """Return a function that installs a backend by its class name; it never meets a Redis."""

    def install(name: str, **options: Any) -> Any:
        path = f"django_backie.testing.{name}"
        settings.TASKS = {"default": {"BACKEND": path, "OPTIONS": {"URL": nowhere, **options}}}
        return compat.get_backend("default")

    return install


@pytest.fixture
def immediate(use: Any) -> Any:
    return use("ImmediateBackend")


@pytest.fixture
def dummy(use: Any) -> Any:
    return use("DummyBackend")


class Signals:
    """Records the signals of one test."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any, Any, Any]] = []
        for name in ("task_enqueued", "task_started", "task_finished"):
            getattr(compat.task_signals, name).connect(getattr(self, name))

    def _record(self, name: str, sender: Any, result: Any) -> None:
        self.seen.append((name, sender, result.status, sys.exc_info()[0]))

    def task_enqueued(self, sender: Any, task_result: Any, **_: Any) -> None:
        self._record("enqueued", sender, task_result)

    def task_started(self, sender: Any, task_result: Any, **_: Any) -> None:
        self._record("started", sender, task_result)

    def task_finished(self, sender: Any, task_result: Any, **_: Any) -> None:
        self._record("finished", sender, task_result)


@pytest.fixture
def signals() -> Signals:
    return Signals()


class TestImmediateBackend:
    def test_a_job_has_run_when_delay_returns_without_redis_or_database(self, immediate: Any) -> None:
        result = note.delay(42)
        assert (result.status, result.state, result.return_value) == ("SUCCESSFUL", State.SUCCESSFUL, 42)
        assert result.attempts == 1
        assert result.enqueued_at <= result.started_at <= result.finished_at
        assert result.last_attempted_at == result.started_at

    def test_an_async_job_runs_too(self, immediate: Any) -> None:
        assert anote.delay("a").return_value == "a"

    def test_jobs_can_be_enqueued_from_the_event_loop(self, immediate: Any) -> None:
        async def view() -> list[Any]:
            single = [await note.adelay(1), await anote.adelay(2), await anote.aenqueue(3)]
            return [*single, *await anote.adelay_many([(4,), (5,)])]

        assert [result.return_value for result in asyncio.run(view())] == [1, 2, 3, 4, 5]

    def test_arguments_take_the_journey_through_the_codec(self, immediate: Any) -> None:
        when = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
        key = uuid.uuid4()
        result = spread.delay((1, 2), b"text", {1: "x"}, when=when, key=key, sum=Decimal("1.10"))
        args, kwargs = SEEN[0]
        assert args == ([1, 2], "text", {"1": "x"})
        assert kwargs == {"when": when, "key": key, "sum": Decimal("1.10")}
        assert result.args == list(args)
        assert result.kwargs == kwargs

    def test_the_task_gets_a_copy_of_its_arguments(self, immediate: Any) -> None:
        given = [1]
        note.delay(given)
        assert SEEN[0] == given
        assert SEEN[0] is not given

    def test_return_values_take_the_journey_too(self, immediate: Any) -> None:
        assert lists.delay().return_value == {"tuple": [1, 2], "bytes": "text"}

    def test_a_value_that_cannot_be_returned_fails_the_job_for_good(self, immediate: Any) -> None:
        result = unkeepable.delay()
        assert result.state is State.FAILED
        assert result.errors[0].exception_class is UnserializableValue

    @pytest.mark.parametrize("task", [cancelled.ask_oneself, cancelled.aask_oneself])
    def test_a_job_that_is_cancelled_while_it_runs_notices(self, immediate: Any, task: Any) -> None:
        result = task.delay("wrong month")
        assert result.state is State.CANCELLED
        assert result.errors[-1].traceback.strip().endswith("Cancelled: wrong month")

    def test_a_job_that_waits_is_cancelled_and_one_that_has_ended_refuses(self, immediate: Any) -> None:
        later, ended = note.using(run_after=dt.timedelta(hours=1)).delay(1), note.delay(2)
        assert (later.cancel("x"), ended.cancel("x")) == (Cancellation.DONE, Cancellation.REFUSED)
        assert (later.state, later.status, ended.state) == (State.CANCELLED, "FAILED", State.SUCCESSFUL)
        assert later.finished_at is not None

    def test_a_failure_keeps_its_traceback(self, immediate: Any) -> None:
        result = explode.delay("no")
        assert result.status == "FAILED"
        assert result.errors[0].exception_class is ValueError
        assert result.errors[0].traceback.endswith("ValueError: no\n")
        with pytest.raises(ValueError, match="Task failed"):
            result.return_value  # noqa: B018

    def test_exit_is_a_failure_of_the_job(self, immediate: Any) -> None:
        assert leave.delay().errors[0].exception_class is SystemExit

    def test_ctrl_c_goes_through(self, immediate: Any) -> None:
        with pytest.raises(KeyboardInterrupt):
            interrupt.delay()

    def test_a_retry_is_not_waited_for(self, immediate: Any) -> None:
        result = stumble.delay()
        assert (result.status, result.state, result.attempts) == ("READY", State.RETRYABLE, 1)
        assert result.finished_at is None
        assert result.errors[0].exception_class is ConnectionError

    def test_a_job_for_later_is_not_run(self, immediate: Any) -> None:
        result = note.using(run_after=dt.timedelta(hours=1)).delay(1)
        assert (result.status, result.state, SEEN) == ("READY", State.SCHEDULED, [])

    def test_a_job_whose_time_has_come_is_run(self, immediate: Any) -> None:
        assert note.using(run_after=timezone.now()).delay(1).return_value == 1

    def test_the_context_is_that_of_a_worker(self, immediate: Any) -> None:
        result = about.delay(extra=3)
        assert result.return_value == {
            "id": result.id,
            "attempt": 1,
            "status": "RUNNING",
            "started": True,
            "workers": 1,
            "args": [],
            "extra": 3,
        }

    def test_results_can_be_asked_for_again(self, immediate: Any) -> None:
        result = note.delay(1)
        assert note.get_result(result.id) == result
        result.refresh()
        assert immediate.results == [result]
        immediate.clear()
        with pytest.raises(compat.TaskResultDoesNotExist):
            note.get_result(result.id)

    def test_it_does_not_claim_results_for_other_threads(self, immediate: Any) -> None:
        assert (immediate.supports_get_result, immediate.supports_defer) == (False, True)
        assert (immediate.supports_async_task, immediate.supports_priority) == (True, True)

    def test_signals_come_in_order_with_the_class_as_sender(self, immediate: Any, signals: Signals) -> None:
        note.delay(1)
        assert signals.seen == [
            ("enqueued", ImmediateBackend, "READY", None),
            ("started", ImmediateBackend, "RUNNING", None),
            ("finished", ImmediateBackend, "SUCCESSFUL", None),
        ]

    def test_receivers_of_task_finished_find_the_exception(self, immediate: Any, signals: Signals) -> None:
        explode.delay()
        assert signals.seen[-1] == ("finished", ImmediateBackend, "FAILED", ValueError)

    def test_a_receiver_of_task_enqueued_that_raises_is_heard(self, immediate: Any) -> None:
        def refuse(**_: Any) -> None:
            raise RuntimeError("refused")

        compat.task_signals.task_enqueued.connect(refuse)
        with pytest.raises(RuntimeError, match="refused"):
            note.delay(1)

    def test_the_log_is_that_of_django(self, immediate: Any, caplog: Any) -> None:
        logger = "django.tasks" if compat.Task.__module__.startswith("django.tasks") else "django_tasks"
        with caplog.at_level(logging.DEBUG, logger=logger):
            explode.delay()
        assert [record.levelname for record in caplog.records if record.name == logger] == [
            "DEBUG",
            "INFO",
            "ERROR",
        ]

    def test_jobs_that_a_job_enqueues_run_as_well(self, immediate: Any, transactional_db: Any) -> None:
        parent.delay(3)
        assert SEEN == [0, 1, 2]

    def test_the_class_form_runs(self, immediate: Any) -> None:
        assert Greet().delay("you").return_value == "hello you"

    def test_attempts_are_counted_in_the_settings_way(self, use: Any) -> None:
        use("ImmediateBackend", MAX_ATTEMPTS=1)
        assert note.delay(1).state is State.SUCCESSFUL
        assert third_time_lucky.delay().state is State.RETRYABLE


@pytest.mark.parametrize("name", ["ImmediateBackend", "DummyBackend"])
class TestBothBackends:
    def test_all_our_options_are_accepted(self, use: Any, name: str) -> None:
        use(name, MAX_ATTEMPTS=2, DATABASES=["default"], SENSITIVE=["pin"], LEASE=5)
        mine = note.using(max_attempts=2, backoff=[1], timeout=3, durability="commit", sensitive=["value"], priority=3)
        assert mine.delay(1).task.max_attempts == 2

    def test_djangos_own_decorator_gives_our_task(self, use: Any, name: str) -> None:
        backend = use(name)
        assert backend.task_class is Task

    def test_arguments_that_do_not_fit_are_refused(self, use: Any, name: str) -> None:
        use(name)
        with pytest.raises(InvalidArguments, match=r"contract_tasks\.note\(value"):
            note.delay(1, 2)

    def test_arguments_that_cannot_travel_are_refused(self, use: Any, name: str) -> None:
        use(name)
        with pytest.raises(UnserializableValue, match="object"):
            note.delay(object())

    def test_arguments_that_are_too_large_are_refused(self, use: Any, name: str) -> None:
        use(name, MAX_PAYLOAD=100)
        with pytest.raises(PayloadTooLarge, match="100"):
            note.delay("x" * 100)

    def test_of_many_jobs_none_is_taken_when_one_is_wrong(self, use: Any, name: str) -> None:
        backend = use(name)
        with pytest.raises(UnserializableValue):
            note.delay_many([(1,), (object(),)])
        assert (SEEN, backend.results) == ([], [])

    def test_a_wrong_queue_is_refused(self, settings: Any, name: str) -> None:
        path = f"django_backie.testing.{name}"
        settings.TASKS = {"default": {"BACKEND": path, "QUEUES": ["default"]}}
        with pytest.raises(compat.InvalidTask, match="Queue 'other' is not valid"):
            note.using(queue_name="other")

    @pytest.mark.django_db(transaction=True)
    def test_inside_a_transaction_nothing_happens_before_the_commit(self, use: Any, name: str) -> None:
        backend = use(name)
        with transaction.atomic():
            result = note.delay(1)
            assert (backend.results, SEEN, result.enqueued_at, result.status) == ([], [], None, "READY")
        assert [handle.id for handle in backend.results] == [result.id]
        assert result.enqueued_at is not None

    @pytest.mark.django_db(transaction=True)
    def test_what_is_rolled_back_never_happens(self, use: Any, name: str) -> None:
        backend = use(name)
        with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
            note.delay(1)
            1 / 0  # noqa: B018
        assert (backend.results, SEEN) == ([], [])

    @pytest.mark.django_db(transaction=True)
    def test_a_savepoint_that_is_rolled_back_takes_its_jobs_with_it(self, use: Any, name: str) -> None:
        backend = use(name)
        with transaction.atomic():
            kept = note.delay("kept")
            with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
                note.delay("lost")
                1 / 0  # noqa: B018
        assert [handle.id for handle in backend.results] == [kept.id]

    @pytest.mark.django_db(transaction=True)
    def test_durability_now_does_not_wait(self, use: Any, name: str) -> None:
        backend = use(name)
        with transaction.atomic():
            note.using(durability="now").delay(1)
            assert len(backend.results) == 1

    @pytest.mark.django_db(transaction=True)
    def test_enqueue_does_not_wait_without_enqueue_on_commit(self, use: Any, name: str) -> None:
        backend = use(name, ENQUEUE_ON_COMMIT=False)
        with transaction.atomic():
            note.enqueue(1)
            assert len(backend.results) == 1
            note.delay(2)
            assert len(backend.results) == 1
        assert len(backend.results) == 2

    @pytest.mark.django_db(transaction=True, databases=["default", "other"])
    def test_a_job_waits_for_the_database_it_names(self, use: Any, name: str) -> None:
        backend = use(name, DATABASES=["default", "other"])
        with transaction.atomic(using="other"):
            note.delay(1)
            assert len(backend.results) == 1
            note.using(database="other").delay(2)
            assert len(backend.results) == 1
        assert len(backend.results) == 2

    @pytest.mark.django_db
    def test_a_plain_test_case_can_execute_the_callbacks(
        self, use: Any, name: str, django_capture_on_commit_callbacks: Any
    ) -> None:
        backend = use(name)
        with django_capture_on_commit_callbacks(execute=True):
            note.delay(1)
        assert len(backend.results) == 1


class TestDummyBackend:
    def test_jobs_are_kept_and_not_run(self, dummy: Any) -> None:
        result = note.delay(1)
        assert (result.status, result.attempts, SEEN) == ("READY", 0, [])
        assert result.enqueued_at is not None
        assert dummy.results == [result]

    def test_a_change_of_the_returned_handle_does_not_change_the_kept_one(self, dummy: Any) -> None:
        result = note.delay([1])
        result.args[0].append(2)
        assert dummy.results[0].args == [[1]]

    def test_the_kept_handle_is_what_refresh_reads(self, dummy: Any) -> None:
        result = note.delay(1)
        object.__setattr__(dummy.results[0], "status", compat.TaskResultStatus.SUCCESSFUL)
        result.refresh()
        assert result.status == "SUCCESSFUL"

    def test_clear_forgets_all(self, dummy: Any) -> None:
        note.delay_many([(1,), (2,)])
        assert len(dummy.results) == 2
        dummy.clear()
        assert dummy.results == []

    def test_the_class_form_is_kept_too(self, dummy: Any) -> None:
        result = Greet().delay("you")
        assert dummy.results == [result]

    def test_only_task_enqueued_is_sent(self, dummy: Any, signals: Signals) -> None:
        note.delay(1)
        assert signals.seen == [("enqueued", DummyBackend, "READY", None)]


def test_what_follows_a_job_follows_here_too(immediate: Any) -> None:
    followed.told.clear()
    result = followed.fails.using(max_attempts=1).delay()

    assert sorted(followed.told) == [("exhausted", result.id), ("failure", result.id)]
    assert [handle.task.name for handle in immediate.results] == ["fails", "after_failure", "after_all"]


def test_what_an_eager_job_reports_is_its_handles(use: Any) -> None:
    use("ImmediateBackend")
    result = progressing.walk.delay(4)

    assert result.progress is not None
    assert (result.progress.done, result.progress.percent, result.progress.message) == (4, 100, "walking")


def test_an_eager_async_job_reports_too(use: Any) -> None:
    use("ImmediateBackend")
    result = progressing.ahalfway.delay()

    assert result.progress is not None
    assert result.progress.percent == 50


def test_what_a_dummy_keeps_has_no_progress(use: Any) -> None:
    use("DummyBackend")
    assert progressing.walk.delay(4).progress is None
