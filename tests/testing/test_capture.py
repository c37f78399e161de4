"""The fixture and the mixin: jobs of a test are seen and can be run without Redis and without a commit."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from typing import Any
from unittest import mock

import pytest
from django.db import transaction
from django.test import SimpleTestCase, TestCase

from django_backie import compat
from django_backie.core.cancellation import Cancellation
from django_backie.core.states import State
from django_backie.exceptions import InvalidArguments, UnserializableValue
from django_backie.testing import BackieTestMixin, Capture
from tests.app import followed
from tests.app.tasks import add
from tests.contract_tasks import (
    SEEN,
    AsyncGreet,
    Greet,
    anote,
    explode,
    forever,
    note,
    parent,
    spread,
    stumble,
    third_time_lucky,
)


class TestWithoutDatabase:
    def test_jobs_are_captured_and_not_run(self, backie: Capture) -> None:
        result = note.delay(1)
        assert backie.jobs == [result]
        assert (result.state, SEEN) == (State.READY, [])

    def test_drain_runs_them_in_their_order_and_returns_them(self, backie: Capture) -> None:
        note.delay(1)
        anote.delay(2)
        results = backie.drain()
        assert [result.return_value for result in results] == [1, 2]
        assert SEEN == [1, 2]

    def test_the_handle_that_delay_returned_shows_the_end(self, backie: Capture) -> None:
        result = note.delay(1)
        backie.drain()
        assert result.return_value == 1

    def test_a_job_that_was_cancelled_does_not_run(self, backie: Capture) -> None:
        first, second = note.delay(1), note.delay(2)
        assert first.cancel("wrong month") is Cancellation.DONE
        assert backie.drain() == [second]
        assert (first.state, backie.jobs[0].state, SEEN) == (State.CANCELLED, State.CANCELLED, [2])

    def test_higher_priorities_run_first(self, backie: Capture) -> None:
        note.delay("low")
        note.using(priority=5).delay("high")
        backie.drain()
        assert SEEN == ["high", "low"]

    def test_a_drained_job_does_not_run_again(self, backie: Capture) -> None:
        note.delay(1)
        backie.drain()
        assert backie.drain() == []
        assert SEEN == [1]

    def test_arguments_take_the_journey_through_the_codec(self, backie: Capture) -> None:
        spread.delay((1,), b"x")
        backie.drain()
        assert SEEN == [(([1], "x"), {})]

    def test_what_cannot_travel_is_refused_as_in_production(self, backie: Capture) -> None:
        with pytest.raises(UnserializableValue):
            note.delay(object())
        assert backie.jobs == []

    def test_a_failure_becomes_the_result(self, backie: Capture) -> None:
        explode.delay("no")
        (result,) = backie.drain()
        assert (result.status, result.errors[0].exception_class) == ("FAILED", ValueError)

    def test_a_retry_is_left_waiting(self, backie: Capture) -> None:
        result = third_time_lucky.delay()
        backie.drain()
        assert (result.state, result.attempts) == (State.RETRYABLE, 1)

    def test_retries_are_run_on_request(self, backie: Capture) -> None:
        result = third_time_lucky.delay()
        assert backie.drain(retries=True) == [result]
        assert (result.return_value, result.attempts, len(result.errors)) == (3, 3, 2)

    def test_retries_end_with_the_last_attempt(self, backie: Capture) -> None:
        result = stumble.delay()
        backie.drain(retries=True)
        assert (result.state, result.attempts, len(result.errors)) == (State.FAILED, 3, 3)

    def test_a_job_for_later_waits(self, backie: Capture) -> None:
        result = note.using(run_after=dt.timedelta(days=1)).delay(1)
        assert backie.drain() == []
        assert backie.drain(scheduled=True) == [result]
        assert result.return_value == 1

    def test_a_job_that_enqueues_itself_is_stopped(self, backie: Capture, monkeypatch: Any) -> None:
        monkeypatch.setattr("django_backie.testing.capture._MOST_RUNS", 20)
        forever.delay()
        with pytest.raises(AssertionError, match=r"contract_tasks\.forever\(\).* enqueue itself"):
            backie.drain()

    def test_what_follows_a_job_is_captured_and_drained(self, backie: Capture) -> None:
        followed.told.clear()
        result = followed.fails.using(max_attempts=1).delay()
        ran = backie.drain()

        assert [handle.task.name for handle in ran] == ["fails", "after_failure", "after_all"]
        assert followed.told == [("failure", result.id), ("exhausted", result.id)]

    def test_many_jobs_are_captured(self, backie: Capture) -> None:
        note.delay_many([(1,), {"value": 2}])
        assert [job.return_value for job in backie.drain()] == [1, 2]

    def test_jobs_of_other_threads_are_captured(self, backie: Capture) -> None:
        thread = threading.Thread(target=note.delay, args=(1,))
        thread.start()
        thread.join()
        backie.assert_enqueued(note, 1)

    def test_results_can_be_asked_for(self, backie: Capture) -> None:
        result = note.delay(1)
        assert note.get_result(result.id) is result
        with pytest.raises(compat.TaskResultDoesNotExist):
            note.get_result("no")

    def test_clear_forgets_all(self, backie: Capture) -> None:
        note.delay(1)
        backie.clear()
        assert backie.jobs == []

    def test_async_code_is_captured_too(self, backie: Capture) -> None:
        async def view() -> None:
            await note.adelay(1)
            await anote.aenqueue(2)

        asyncio.run(view())
        backie.assert_enqueued(note, 1)
        backie.assert_enqueued(anote, 2)

    def test_other_aliases_keep_their_names_and_options(self, backie: Capture) -> None:
        result = note.using(backend="now").delay(1)
        assert result.backend == "now"
        assert compat.get_backend("now").config.durability == "now"
        with pytest.raises(compat.TaskResultDoesNotExist):
            compat.get_backend("default").get_result(result.id)

    def test_the_real_backends_are_back_afterwards(self) -> None:
        with Capture().installed():
            pass
        assert type(compat.get_backend("default")).__name__ == "RedisBackend"

    def test_a_project_without_a_setting_is_captured(self, settings: Any) -> None:
        settings.TASKS = {"default": {"BACKEND": "django_backie.testing.DummyBackend"}}
        settings.TASKS = {}
        with Capture().installed() as capture:
            assert type(compat.get_backend("backie")).__name__ == "CapturingBackend"
            assert capture.jobs == []


class TestAssertions:
    def test_the_matching_job_is_returned(self, backie: Capture) -> None:
        add.delay(1, 2)
        result = add.using(queue_name="sums").delay(3, 4)
        assert backie.assert_enqueued(add, 3, b=4) is result
        assert result.task.queue_name == "sums"

    def test_without_arguments_any_job_of_the_task_will_do(self, backie: Capture) -> None:
        add.delay(1, 2)
        backie.assert_enqueued(add)

    def test_defaults_count(self, backie: Capture) -> None:
        note.delay()
        backie.assert_enqueued(note, None)

    def test_anything_can_stand_for_an_argument(self, backie: Capture) -> None:
        add.delay(1, 2)
        backie.assert_enqueued(add, 1, mock.ANY)

    def test_expected_values_are_normalised_as_arguments_are(self, backie: Capture) -> None:
        note.delay((1, b"x"))
        backie.assert_enqueued(note, (1, b"x"))
        backie.assert_enqueued(note, [1, "x"])

    def test_the_class_form_is_found_by_class_and_by_instance(self, backie: Capture) -> None:
        Greet().delay("you")
        backie.assert_enqueued(Greet, "you")
        backie.assert_enqueued(Greet(), "you")
        backie.assert_not_enqueued(AsyncGreet)

    def test_a_failure_lists_what_was_enqueued(self, backie: Capture) -> None:
        add.delay(1, 2)
        note.using(priority=7, queue_name="mail").delay()
        with pytest.raises(AssertionError) as caught:
            backie.assert_enqueued(add, 2, 1)
        assert str(caught.value) == (
            "no job tests.app.tasks.add(2, 1) was enqueued; 2 job(s) were:\n"
            "  tests.app.tasks.add(1, 2)  READY, queue 'default', priority 0\n"
            "  tests.contract_tasks.note()  READY, queue 'mail', priority 7"
        )

    def test_a_failure_says_when_there_was_nothing(self, backie: Capture) -> None:
        with pytest.raises(AssertionError, match=r"no job of tests\.app\.tasks\.add was enqueued; nothing was"):
            backie.assert_enqueued(add)

    def test_the_opposite_can_be_asserted(self, backie: Capture) -> None:
        add.delay(1, 2)
        backie.assert_not_enqueued(add, 2, 1)
        with pytest.raises(AssertionError, match=r"1 job\(s\) tests\.app\.tasks\.add\(1, 2\) were enqueued"):
            backie.assert_not_enqueued(add, 1, 2)

    def test_expected_arguments_must_fit_the_signature(self, backie: Capture) -> None:
        add.delay(1, 2)
        with pytest.raises(InvalidArguments, match="add"):
            backie.assert_enqueued(add, 1)


@pytest.mark.django_db
class TestInATransaction:
    def test_jobs_that_wait_for_a_commit_are_there(self, backie: Capture) -> None:
        result = note.delay(1)
        assert result.enqueued_at is None
        assert backie.jobs == [result]
        backie.drain()
        assert result.return_value == 1
        assert result.enqueued_at is not None

    def test_an_inner_transaction_changes_nothing(self, backie: Capture) -> None:
        with transaction.atomic():
            note.delay(1)
        backie.assert_enqueued(note, 1)

    def test_jobs_of_a_savepoint_that_was_rolled_back_are_gone(self, backie: Capture) -> None:
        with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
            note.delay(1)
            1 / 0  # noqa: B018
        backie.assert_not_enqueued(note)
        assert backie.drain() == []

    def test_jobs_that_a_job_enqueues_are_drained_too(self, backie: Capture) -> None:
        parent.delay(3)
        assert len(backie.drain()) == 4
        assert SEEN == [0, 1, 2]

    def test_it_goes_together_with_captured_callbacks(
        self, backie: Capture, django_capture_on_commit_callbacks: Any
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True) as callbacks:
            result = note.delay(1)
        assert len(callbacks) == 1
        assert result.enqueued_at is not None
        assert backie.jobs == [result]
        assert backie.drain() == [result]
        assert SEEN == [1]

    def test_task_enqueued_is_sent_once(self, backie: Capture, django_capture_on_commit_callbacks: Any) -> None:
        sent: list[str] = []

        def receive(task_result: Any, **_: Any) -> None:
            sent.append(task_result.id)

        compat.task_signals.task_enqueued.connect(receive)
        with django_capture_on_commit_callbacks(execute=True):
            result = note.delay(1)
        backie.drain()
        assert sent == [result.id]

    def test_an_invisible_job_row_is_not_written(self, backie: Capture, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            note.delay(1)


class MixinTests(BackieTestMixin, TestCase):
    def test_jobs_are_captured_and_drained(self) -> None:
        result = note.delay(1)
        self.backie.assert_enqueued(note, 1)
        assert self.backie.drain() == [result]
        assert result.return_value == 1

    def test_captured_callbacks_can_be_executed(self) -> None:
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            note.delay(2)
        assert len(callbacks) == 1
        assert len(self.backie.jobs) == 1

    async def test_async_test_methods_capture_too(self) -> None:
        await note.adelay(3)
        self.backie.assert_enqueued(note, 3)
        assert [job.args for job in self.backie.jobs] == [[3]]


class MixinWithoutDatabaseTests(BackieTestMixin, SimpleTestCase):
    def test_no_database_is_needed(self) -> None:
        note.delay(1)
        assert len(self.backie.drain()) == 1
