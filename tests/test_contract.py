"""The contract of django.tasks, on the real server with a real worker."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import logging
import pickle
import sys
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from django_backie import compat
from django_backie.core.states import State
from django_backie.exceptions import Cancelled, UnserializableValue, WorkerLost
from django_backie.models import Job
from tests import contract_tasks
from tests.contract_tasks import (
    SEEN,
    about,
    aleave,
    anote,
    await_cancelled,
    explode,
    interrupt,
    leave,
    lists,
    note,
    spread,
    stumble,
    third_time_lucky,
    unkeepable,
)
from tests.helpers import drain, empty, lease, mirror

pytestmark = pytest.mark.django_db(databases=["default", "other"])


@pytest.fixture(autouse=True)
def _forget() -> None:
    SEEN.clear()


def now(task: Any) -> Any:
    """Return a task whose jobs do not wait for the commit that a test never makes."""
    return task.using(durability="now")


class TestResultInEveryState:
    @pytest.fixture(params=["redis", "row"])
    def read(self, request: Any, backend: Any) -> Any:
        """Return a function that reads a result from Redis, or from its row after Redis has forgotten all."""

        def fetch(result: Any) -> Any:
            if request.param == "row":
                mirror(backend)
                empty(backend)
            return result.task.get_result(result.id)

        return fetch

    def test_ready(self, backend: Any, read: Any) -> None:
        found = read(now(note).delay(1))
        assert (found.status, found.state, found.attempts) == ("READY", State.READY, 0)
        assert found.enqueued_at is not None
        assert (found.started_at, found.finished_at, found.errors) == (None, None, [])
        with pytest.raises(ValueError, match="Task has not finished yet"):
            found.return_value  # noqa: B018

    def test_scheduled(self, backend: Any, read: Any) -> None:
        due = timezone.now() + dt.timedelta(hours=1)
        found = read(now(note).using(run_after=due).delay(1))
        assert (found.status, found.state) == ("READY", State.SCHEDULED)
        assert abs(found.task.run_after - due) < dt.timedelta(milliseconds=1)

    def test_running(self, backend: Any, read: Any) -> None:
        result = now(note).delay(1)
        lease(backend, "host:1.0:abcd.0")
        found = read(result)
        assert (found.status, found.state, found.attempts) == ("RUNNING", State.RUNNING, 1)
        assert found.worker_ids == ["host:1.0:abcd.0"]
        assert found.started_at == found.last_attempted_at is not None

    def test_waiting_for_a_retry(self, backend: Any, read: Any) -> None:
        result = now(stumble).delay()
        drain(backend)
        found = read(result)
        assert (found.status, found.state, found.attempts) == ("READY", State.RETRYABLE, 1)
        assert found.errors[0].exception_class is ConnectionError
        assert "again later" in found.errors[0].traceback
        assert found.finished_at is None

    def test_successful(self, backend: Any, read: Any) -> None:
        result = now(note).delay({"a": [1]})
        drain(backend)
        found = read(result)
        assert (found.status, found.state, found.return_value) == ("SUCCESSFUL", State.SUCCESSFUL, {"a": [1]})
        assert found.enqueued_at <= found.started_at <= found.finished_at
        assert found.is_finished

    def test_failed(self, backend: Any, read: Any) -> None:
        result = now(explode).delay("why")
        drain(backend)
        found = read(result)
        assert (found.status, found.state) == ("FAILED", State.FAILED)
        assert found.errors[0].exception_class is ValueError
        assert found.errors[0].traceback.endswith("ValueError: why\n")
        with pytest.raises(ValueError, match="Task failed"):
            found.return_value  # noqa: B018

    def test_cancelled(self, backend: Any, read: Any) -> None:
        result = now(note).delay(1)
        assert backend.broker.cancel([result.id], "not needed") == ["OK"]
        found = read(result)
        assert (found.status, found.state) == ("FAILED", State.CANCELLED)
        assert found.errors[0].exception_class is Cancelled
        assert "not needed" in found.errors[0].traceback

    def test_lost_and_ready_again(self, backend: Any, read: Any) -> None:
        result = now(note).delay(1)
        lease(backend, "host:1.0:dead.0")
        backend.broker.bury("host:1.0:dead.0", [result.id])
        found = read(result)
        assert found.status == "READY"
        assert found.errors[0].exception_class is WorkerLost

    def test_each_attempt_is_counted_also_by_the_same_worker(self, backend: Any, read: Any) -> None:
        result = now(third_time_lucky).delay()
        for _ in range(3):
            drain(backend)
            backend.broker.hasten([result.id])
        found = read(result)
        assert (found.return_value, found.attempts, len(found.errors)) == (3, 3, 2)
        assert found.started_at <= found.last_attempted_at <= found.finished_at

    def test_the_arguments_and_options_are_those_of_the_call(self, backend: Any, read: Any) -> None:
        found = read(now(spread).using(priority=-3, queue_name="slow").delay(1, two=[2]))
        assert (found.args, found.kwargs) == ([1], {"two": [2]})
        assert (found.task.priority, found.task.queue_name, found.backend) == (-3, "slow", "default")

    def test_refresh_brings_a_handle_up_to_date(self, backend: Any) -> None:
        result = now(note).delay(5)
        assert result.state is State.READY
        drain(backend)
        result.refresh()
        assert (result.state, result.return_value, result.attempts) == (State.SUCCESSFUL, 5, 1)


ARGUMENTS = [
    [],
    {},
    [[]],
    {"empty": [], "nothing": {}},
    None,
    "",
    2**53 + 1,
    -(2**70),
    1 / 3,
    1e308,
    0.1 + 0.2,
    -0.0,
    1.0,
    True,
    "grün 日本 🎉 \u2028",
    '\x00\x1f"\\/',
    "\ud800",
    "a\nb|c\n1\n",
    {"grün": {"ключ": "値"}},
    {"__t": "dt", "v": "2026-01-01"},
    {"__t": 1},
    [{"__t": {"__t": []}}],
    {"": 0, " ": 1},
    dt.datetime(2026, 10, 25, 1, 30, 0, 123456, tzinfo=dt.UTC),
    dt.datetime(2026, 10, 25, 1, 30, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))),
    dt.datetime(2026, 10, 25, 1, 30, 0, 1),
    dt.date(1, 1, 1),
    dt.time(23, 59, 59, 999999),
    dt.timedelta(days=-1, microseconds=1),
    uuid.UUID(int=1),
    Decimal("1.10"),
    Decimal("NaN"),
    {"deep": [{"when": dt.date(2026, 1, 1)}, (Decimal(1),)]},
]


class TestArguments:
    def test_they_come_back_exact(self, backend: Any) -> None:
        results = now(note).delay_many([(value,) for value in ARGUMENTS])
        drain(backend, threads=1)
        for result, value in zip(results, ARGUMENTS, strict=True):
            result.refresh()
            expected = [{**value, "deep": [value["deep"][0], [Decimal(1)]]}] if "deep" in str(value) else [value]
            for got in (result.args, [result.return_value], note.get_result(result.id).args):
                assert repr(got) == repr(expected)

    def test_thirty_levels_of_nesting_travel(self, backend: Any) -> None:
        value: Any = "bottom"
        for level in range(15):
            value = {"level": [value, level]}
        result = now(note).delay(value)
        drain(backend)
        assert note.get_result(result.id).return_value == value

    def test_nesting_without_end_is_refused(self, backend: Any) -> None:
        value: Any = []
        value.append(value)
        with pytest.raises(UnserializableValue, match=r"deep|[Cc]ircular"):
            note.delay(value)

    def test_tuples_and_bytes_become_what_django_makes_of_them(self, backend: Any) -> None:
        result = now(spread).delay((1, (2,)), b"text")
        assert result.args == [[1, [2]], "text"]
        drain(backend)
        assert SEEN == [(([1, [2]], "text"), {})]

    def test_keys_become_text_at_once(self, backend: Any) -> None:
        result = now(note).delay({1: "a", None: "b", False: "c"})
        drain(backend)
        assert result.args == note.get_result(result.id).args == [{"1": "a", "null": "b", "false": "c"}]

    def test_a_hundred_kilobytes_travel(self, backend: Any) -> None:
        text = "ä" * 50_000
        result = now(spread).delay(text)
        assert spread.get_result(result.id).args == [text]


class TestEndings:
    @pytest.mark.parametrize(
        ("task", "kind"), [(leave, SystemExit), (aleave, SystemExit), (interrupt, KeyboardInterrupt)]
    )
    def test_an_exit_is_a_failure_and_the_worker_goes_on(self, backend: Any, task: Any, kind: type) -> None:
        result = now(task).delay()
        other = now(note).delay("after")
        drain(backend, threads=1)
        result.refresh()
        other.refresh()
        assert (result.status, result.errors[0].exception_class) == ("FAILED", kind)
        assert other.return_value == "after"

    def test_a_cancellation_inside_a_task_is_a_failure_too(self, backend: Any) -> None:
        result = now(await_cancelled).delay()
        drain(backend, max_jobs=3)
        result.refresh()
        assert (result.state, result.attempts) == (State.FAILED, 1)
        assert result.errors[0].exception_class is asyncio.CancelledError

    def test_a_value_that_cannot_be_returned_fails_without_a_retry(self, backend: Any) -> None:
        result = now(unkeepable).delay()
        drain(backend)
        result.refresh()
        assert (result.state, result.attempts) == (State.FAILED, 1)
        assert result.errors[0].exception_class is UnserializableValue
        assert "object" in result.errors[0].traceback

    def test_return_values_are_normalised(self, backend: Any) -> None:
        result = now(lists).delay()
        drain(backend)
        result.refresh()
        assert result.return_value == {"tuple": [1, 2], "bytes": "text"}

    def test_the_context_shows_a_running_job(self, backend: Any) -> None:
        result = now(about).delay(extra=1)
        drain(backend)
        result.refresh()
        assert result.return_value == {
            "id": result.id,
            "attempt": 1,
            "status": "RUNNING",
            "started": True,
            "workers": 1,
            "args": [],
            "extra": 1,
        }


class TestSignals:
    @pytest.fixture
    def seen(self) -> Any:
        seen: list[Any] = []

        def receiver(name: str) -> Any:
            def receive(sender: Any, task_result: Any, **_: Any) -> None:
                seen.append((name, sender, str(task_result.status), sys.exc_info()[0], task_result))

            return receive

        receivers = {name: receiver(name) for name in ("task_enqueued", "task_started", "task_finished")}
        for name, receive in receivers.items():
            getattr(compat.task_signals, name).connect(receive)
        # Until the test ends: they are connected weakly.
        yield seen
        del receivers

    @pytest.mark.parametrize("task", [note, anote])
    def test_their_sender_is_the_backend_class(self, backend: Any, seen: Any, task: Any) -> None:
        now(task).delay(1)
        drain(backend)
        kind = type(backend)
        assert [entry[:4] for entry in seen] == [
            ("task_enqueued", kind, "READY", None),
            ("task_started", kind, "RUNNING", None),
            ("task_finished", kind, "SUCCESSFUL", None),
        ]

    def test_task_finished_is_sent_inside_the_except_block(self, backend: Any, seen: Any) -> None:
        now(explode).delay()
        now(aleave).delay()
        drain(backend, threads=1)
        assert {entry[3] for entry in seen if entry[0] == "task_finished"} == {ValueError, SystemExit}

    def test_task_finished_shows_the_final_result(self, backend: Any, seen: Any) -> None:
        result = now(note).delay(3)
        drain(backend)
        shown = seen[-1][4]
        assert (shown.id, shown.return_value, shown.is_finished) == (result.id, 3, True)
        assert shown.finished_at is not None

    def test_task_finished_is_not_sent_while_there_will_be_a_retry(self, backend: Any, seen: Any) -> None:
        now(stumble).delay()
        drain(backend)
        assert [entry[0] for entry in seen] == ["task_enqueued", "task_started"]

    def test_task_enqueued_knows_when(self, backend: Any, seen: Any) -> None:
        result = now(note).delay(3)
        assert seen[0][4].enqueued_at == result.enqueued_at is not None

    @pytest.mark.django_db(transaction=True, databases=["default", "other"])
    def test_receivers_may_use_the_database_for_async_tasks_too(self, backend: Any) -> None:
        counts: list[int] = []

        def count(**_: Any) -> None:
            counts.append(Job.objects.count())

        compat.task_signals.task_finished.connect(count)
        now(anote).delay(1)
        drain(backend)
        assert counts == [0]

    def test_a_receiver_that_raises_does_not_harm_the_job(self, backend: Any, caplog: Any) -> None:
        def refuse(**_: Any) -> None:
            raise RuntimeError("refused")

        compat.task_signals.task_started.connect(refuse)
        compat.task_signals.task_finished.connect(refuse)
        result = now(note).delay(1)
        drain(backend)
        result.refresh()
        assert result.return_value == 1

    def test_the_log_is_that_of_django(self, backend: Any, caplog: Any) -> None:
        logger = "django.tasks" if compat.Task.__module__.startswith("django.tasks") else "django_tasks"
        with caplog.at_level(logging.DEBUG, logger=logger):
            result = now(explode).delay("visible")
            drain(backend)
        records = [record for record in caplog.records if record.name == logger]
        assert [record.levelname for record in records] == ["DEBUG", "INFO", "ERROR"]
        assert all(result.id in record.getMessage() for record in records)
        assert "visible" in caplog.text


class TestAliases:
    def test_a_result_is_not_visible_under_another_alias(self, backend: Any) -> None:
        result = now(note).delay(1)
        with pytest.raises(compat.TaskResultDoesNotExist):
            compat.get_backend("now").get_result(result.id)

    def test_not_even_when_both_share_a_namespace(self, backend: Any, settings: Any) -> None:
        params = settings.TASKS["default"]
        settings.TASKS = {"default": params, "twin": params}
        result = now(note).delay(1)
        mirror(backend)
        with pytest.raises(compat.TaskResultDoesNotExist):
            compat.get_backend("twin").get_result(result.id)
        empty(backend)
        with pytest.raises(compat.TaskResultDoesNotExist):
            compat.get_backend("twin").get_result(result.id)

    def test_a_worker_of_one_alias_leaves_the_jobs_of_another(self, backend: Any) -> None:
        result = now(note).using(backend="now").delay(1)
        drain(backend)
        result.refresh()
        assert result.status == "READY"
        drain(compat.get_backend("now"))
        result.refresh()
        assert (result.return_value, result.backend) == (1, "now")

    def test_an_id_that_does_not_exist_is_said_so(self, backend: Any) -> None:
        for wrong in (str(uuid.uuid4()), "no", "", "x" * 100):
            with pytest.raises(compat.TaskResultDoesNotExist):
                note.get_result(wrong)

    def test_another_tasks_result_is_a_mismatch(self, backend: Any) -> None:
        result = now(note).delay(1)
        with pytest.raises(compat.TaskResultMismatch):
            anote.get_result(result.id)


class TestPriorities:
    def test_the_order_is_exact(self, backend: Any) -> None:
        for priority in (0, 100, -100, 1, -1, 99, -99, 50):
            now(note).using(priority=priority).delay(priority)
        drain(backend, threads=1)
        assert SEEN == [100, 99, 50, 1, 0, -1, -99, -100]

    def test_among_equals_the_first_comes_first(self, backend: Any) -> None:
        now(note).using(priority=7).delay_many([(number,) for number in range(50)])
        drain(backend, threads=1)
        assert list(range(50)) == SEEN


class TestFlags:
    def test_all_four_are_claimed(self, backend: Any) -> None:
        flags = ("supports_defer", "supports_async_task", "supports_get_result", "supports_priority")
        assert all(getattr(backend, flag) for flag in flags)

    def test_check_has_no_complaints(self, backend: Any) -> None:
        assert list(backend.check()) == []


class TestPickling:
    """Django's own tasks can be pickled from 6.1 on, ours on every version."""

    def test_a_task_can_be_pickled_with_its_options(self) -> None:
        mine = note.using(max_attempts=2, priority=4, run_after=dt.timedelta(minutes=1), sensitive=["value"])
        assert pickle.loads(pickle.dumps(mine)) == mine  # noqa: S301

    def test_a_result_can_be_pickled(self, backend: Any) -> None:
        result = now(note).delay([1])
        again = pickle.loads(pickle.dumps(result))  # noqa: S301
        assert again == result
        assert again.state is State.READY

    def test_the_class_form_can_be_pickled(self, backend: Any) -> None:
        mine = contract_tasks.Greet.as_task()
        assert pickle.loads(pickle.dumps(mine)) == mine  # noqa: S301
        result = mine.using(durability="now").delay("you")
        assert copy.deepcopy(result) == result


class TestWithoutTimeZones:
    @pytest.fixture(autouse=True)
    def _naive(self, settings: Any) -> None:
        settings.USE_TZ = False
        settings.TIME_ZONE = "Asia/Tokyo"

    def test_a_naive_run_after_is_local_time(self, backend: Any) -> None:
        assert timezone.is_naive(timezone.now())
        later = timezone.now() + dt.timedelta(hours=1)
        result = now(note).using(run_after=later).delay(1)
        found = note.get_result(result.id)
        assert found.state is State.SCHEDULED
        assert abs(found.task.run_after - later) < dt.timedelta(milliseconds=1)
        earlier = now(note).using(run_after=timezone.now() - dt.timedelta(seconds=1)).delay(2)
        drain(backend)
        assert note.get_result(earlier.id).return_value == 2

    def test_times_are_naive_and_comparable(self, backend: Any) -> None:
        before = timezone.now() - dt.timedelta(milliseconds=1)
        result = now(note).delay(1)
        drain(backend)
        result.refresh()
        assert before <= result.enqueued_at <= result.started_at <= result.finished_at <= timezone.now()

    def test_rows_have_them_too(self, backend: Any) -> None:
        result = now(note).delay(1)
        drain(backend)
        from_redis = note.get_result(result.id)
        mirror(backend)
        empty(backend)
        assert note.get_result(result.id) == from_redis
