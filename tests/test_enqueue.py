"""Jobs and transactions: what is committed is enqueued, what is rolled back is not, in as few calls as possible."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import Client, TestCase

from django_backie import compat, enqueue
from django_backie.broker import inspect
from django_backie.core.states import State
from django_backie.duties.relay import Relay
from django_backie.exceptions import (
    BrokerUnavailable,
    ConfigurationError,
    InvalidOption,
    QueueFull,
    UnserializableValue,
)
from django_backie.models import Job
from tests import enqueue_urls
from tests.app.tasks import echo
from tests.contract_tasks import SEEN, note
from tests.helpers import counted, drain, empty, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

DURABILITIES = ["outbox", "commit", "now"]


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    SEEN.clear()
    enqueue_urls.TAKEN.clear()
    yield
    enqueue_urls.TAKEN.clear()


@pytest.fixture
def down(settings: Any) -> Any:
    """Return a backend whose Redis does not answer."""
    params = {**settings.TASKS["default"], "OPTIONS": {**settings.TASKS["default"]["OPTIONS"]}}
    params["OPTIONS"]["URL"] = "redis://:secret@127.0.0.1:1/0"
    settings.TASKS = {"default": params}
    return compat.get_backend("default")


def ready(backend: Any) -> int:
    """Return how many jobs Redis has ready."""
    return sum(inspect.ready_counts(backend.broker).values())


def with_room_for(backend: Any, settings: Any, length: int) -> None:
    """Bound the queues of the default backend."""
    params = settings.TASKS["default"]
    options = {**params["OPTIONS"], "MAX_QUEUE_LENGTH": length}
    settings.TASKS = {**settings.TASKS, "default": {**params, "OPTIONS": options}}


class TestFullQueue:
    @pytest.mark.parametrize("durability", ["commit", "now"])
    def test_a_full_queue_is_an_error_without_the_outbox(self, backend: Any, settings: Any, durability: Any) -> None:
        with_room_for(backend, settings, 1)
        echo.using(durability=durability).delay(1)
        with pytest.raises(QueueFull, match="the queue 'default' is full"):
            echo.using(durability=durability).delay(2)
        assert ready(backend) == 1

    def test_a_job_of_the_outbox_waits_in_the_database_for_room(self, backend: Any, settings: Any) -> None:
        with_room_for(backend, settings, 1)
        echo.delay_many([(1,), (2,)])
        assert ready(backend) == 1

        drain(backend)
        later = SimpleNamespace(now=lambda: time.time() + 10)
        bounded = compat.get_backend("default")
        Relay(bounded, later).tick()  # type: ignore[arg-type]
        drain(backend)
        mirror(backend)
        assert set(Job.objects.values_list("state", flat=True)) == {"SUCCESSFUL"}

    def test_the_other_jobs_of_the_transaction_arrive(self, backend: Any, settings: Any) -> None:
        with_room_for(backend, settings, 1)
        echo.delay(0)
        both = contextlib.ExitStack()
        both.enter_context(transaction.atomic())
        echo.using(durability="commit").delay(1)
        echo.using(queue_name="other", durability="commit").delay(2)
        with pytest.raises(QueueFull):
            both.close()
        assert inspect.ready_counts(backend.broker) == {"default": 1, "other": 1}


class Rollback(Exception):
    """Raised by tests to undo a transaction."""


class TestCommit:
    @pytest.mark.parametrize("durability", ["outbox", "commit"])
    def test_nothing_is_in_redis_before_the_commit(self, backend: Any, durability: Any) -> None:
        with transaction.atomic():
            result = note.using(durability=durability).delay(1)
            assert ready(backend) == 0
            assert result.enqueued_at is None
        assert ready(backend) == 1
        assert result.enqueued_at is not None

    @pytest.mark.parametrize("durability", ["outbox", "commit"])
    def test_the_result_answers_inside_the_transaction(self, backend: Any, durability: Any) -> None:
        with transaction.atomic():
            result = note.using(durability=durability).delay([1])
            found = note.get_result(result.id)
            assert (found.status, found.args) == ("READY", [[1]])
        assert note.get_result(result.id).enqueued_at is not None

    @pytest.mark.parametrize("durability", ["outbox", "commit"])
    def test_what_is_rolled_back_never_happens(self, backend: Any, durability: Any) -> None:
        with pytest.raises(Rollback), transaction.atomic():  # noqa: PT012
            result = note.using(durability=durability).delay(1)
            raise Rollback
        assert (ready(backend), Job.objects.count()) == (0, 0)
        with pytest.raises(compat.TaskResultDoesNotExist):
            note.get_result(result.id)

    @pytest.mark.parametrize("durability", ["outbox", "commit"])
    def test_a_savepoint_that_is_rolled_back_takes_its_jobs_with_it(self, backend: Any, durability: Any) -> None:
        mine = note.using(durability=durability)
        with transaction.atomic():
            mine.delay("before")
            with pytest.raises(Rollback), transaction.atomic():  # noqa: PT012
                mine.delay("lost")
                raise Rollback
            with transaction.atomic():
                mine.delay("inner")
            mine.delay("after")
        drain(backend, threads=1)
        assert SEEN == ["before", "inner", "after"]

    def test_a_last_savepoint_that_is_rolled_back_does_not_keep_the_others_from_leaving(self, backend: Any) -> None:
        with transaction.atomic():
            note.delay("kept")
            with pytest.raises(Rollback), transaction.atomic():  # noqa: PT012
                note.delay("lost")
                raise Rollback
        drain(backend)
        assert SEEN == ["kept"]

    def test_a_transaction_after_one_that_was_rolled_back_starts_clean(self, backend: Any) -> None:
        with pytest.raises(Rollback), transaction.atomic():  # noqa: PT012
            note.delay("lost")
            raise Rollback
        with transaction.atomic():
            note.delay("kept")
        drain(backend)
        assert SEEN == ["kept"]

    def test_now_does_not_wait(self, backend: Any) -> None:
        with pytest.raises(Rollback), transaction.atomic():  # noqa: PT012
            note.using(durability="now").delay(1)
            assert ready(backend) == 1
            raise Rollback
        assert ready(backend) == 1

    def test_enqueue_waits_as_delay_does(self, backend: Any) -> None:
        with transaction.atomic():
            note.enqueue(1)
            assert ready(backend) == 0
        assert ready(backend) == 1

    def test_enqueue_acts_at_once_without_enqueue_on_commit(self, backend: Any, settings: Any) -> None:
        options = {**settings.TASKS["default"]["OPTIONS"], "ENQUEUE_ON_COMMIT": False}
        settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": options}}
        with transaction.atomic():
            assert note.enqueue(1).enqueued_at is not None
            assert ready(backend) == 1
            assert note.delay(1).enqueued_at is None
            assert ready(backend) == 1

    @pytest.mark.parametrize("durability", DURABILITIES)
    def test_without_a_transaction_jobs_leave_at_once(self, backend: Any, durability: Any) -> None:
        result = note.using(durability=durability).delay(1)
        assert result.enqueued_at is not None
        assert ready(backend) == 1
        assert Job.objects.count() == (1 if durability == "outbox" else 0)
        drain(backend)
        mirror(backend)
        assert Job.objects.get().state == State.SUCCESSFUL

    def test_jobs_of_an_on_commit_callback_leave_too(self, backend: Any) -> None:
        with transaction.atomic():
            transaction.on_commit(lambda: note.delay("callback"))
            note.delay("direct")
        drain(backend, threads=1)
        assert sorted(SEEN) == ["callback", "direct"]

    def test_durable_blocks_work(self, backend: Any) -> None:
        with transaction.atomic(durable=True):
            note.delay(1)
        assert ready(backend) == 1

    def test_scheduled_jobs_wait_for_the_commit_and_for_their_time(self, backend: Any) -> None:
        before = time.time()
        with transaction.atomic():
            result = note.using(run_after=dt.timedelta(minutes=1)).delay(1)
        found = note.get_result(result.id)
        assert found.state is State.SCHEDULED
        assert 59 < found.task.run_after.timestamp() - before < 62


class TestCallbacksOfOthers:
    """A callback of somebody else that raises ends Django's run of callbacks: what stands behind it is not called."""

    @staticmethod
    def commit(durability: Any) -> None:
        """Enqueue, let somebody else's callback raise, enqueue again."""

        def refuse() -> None:
            raise RuntimeError("no")

        with pytest.raises(RuntimeError), transaction.atomic():  # noqa: PT012
            note.using(durability=durability).delay("before")
            transaction.on_commit(refuse)
            note.using(durability=durability).delay("behind")

    def test_jobs_that_stand_before_it_leave(self, backend: Any) -> None:
        self.commit("commit")
        drain(backend)
        assert SEEN == ["before"]

    def test_outbox_jobs_are_in_their_rows(self, backend: Any) -> None:
        self.commit("outbox")
        assert Job.objects.count() == 2

    @pytest.mark.parametrize("durability", ["outbox", "commit"])
    def test_nothing_is_left_to_the_next_transaction(self, backend: Any, durability: Any) -> None:
        self.commit(durability)
        empty(backend)
        with transaction.atomic():
            note.delay("next")
        drain(backend)
        assert SEEN == ["next"]


class TestTwoDatabases:
    def test_a_transaction_of_another_database_is_not_waited_for(self, backend: Any) -> None:
        with transaction.atomic(using="other"):
            note.delay(1)
            assert ready(backend) == 1

    @pytest.mark.parametrize("durability", ["outbox", "commit"])
    def test_the_database_of_the_call_is(self, backend: Any, durability: Any) -> None:
        with transaction.atomic(using="other"):
            result = note.using(database="other", durability=durability).delay(1)
            assert ready(backend) == 0
            assert note.get_result(result.id).status == "READY"
        assert ready(backend) == 1

    def test_the_row_is_in_the_database_of_the_call(self, backend: Any) -> None:
        note.using(database="other").delay(1)
        assert (Job.objects.using("default").count(), Job.objects.using("other").count()) == (0, 1)
        drain(backend)
        mirror(backend)
        assert Job.objects.using("default").count() == 0
        assert Job.objects.using("other").get().state == State.SUCCESSFUL

    def test_each_database_decides_for_its_own_jobs(self, backend: Any) -> None:
        with transaction.atomic(using="other"):
            note.using(database="other").delay("other")
            with pytest.raises(Rollback), transaction.atomic(using="default"):  # noqa: PT012
                note.delay("default")
                raise Rollback
        drain(backend)
        assert SEEN == ["other"]

    def test_a_database_without_a_job_table_is_refused(self, backend: Any, settings: Any) -> None:
        options = {**settings.TASKS["default"]["OPTIONS"], "DATABASES": ["default"]}
        settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": options}}
        with pytest.raises(InvalidOption, match=r"database 'other' of tests\.contract_tasks\.note"):
            note.using(database="other").delay(1)


class TestRequests:
    @pytest.fixture(autouse=True)
    def _urls(self, settings: Any) -> None:
        settings.ROOT_URLCONF = "tests.enqueue_urls"

    @pytest.fixture
    def atomic_requests(self, monkeypatch: Any) -> None:
        monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", True)

    def test_atomic_requests_enqueue_after_the_view(self, backend: Any, atomic_requests: None) -> None:
        with counted() as counts:
            response = Client().get("/order/")
        (result,) = enqueue_urls.TAKEN
        assert response.content.decode() == f"{result.id} True READY"
        assert counts["EVALSHA"] >= 1
        drain(backend)
        assert SEEN == [1]

    def test_a_request_that_fails_enqueues_nothing(self, backend: Any, atomic_requests: None) -> None:
        response = Client(raise_request_exception=False).get("/broken/")
        assert response.status_code == 500
        assert (len(enqueue_urls.TAKEN), ready(backend), Job.objects.count()) == (1, 0, 0)

    def test_async_views_enqueue(self, backend: Any) -> None:
        assert Client().get("/aorder/").content == b"READY"
        drain(backend)
        assert SEEN == [3]

    def test_transactions_of_async_views_are_waited_for(self, backend: Any) -> None:
        Client().get("/atransaction/")
        Client(raise_request_exception=False).get("/atransaction/?fail")
        assert [result.enqueued_at is None for result in enqueue_urls.TAKEN] == [False, True]
        assert ready(backend) == 1


class TestEventLoop:
    def test_adelay_works_without_a_transaction(self, backend: Any) -> None:
        async def work() -> list[Any]:
            mine = note.using(durability="commit")
            return [await mine.adelay(1), await mine.aenqueue(2), *await mine.adelay_many([(3,), (4,)])]

        results = asyncio.run(work())
        drain(backend, threads=1)
        assert SEEN == [1, 2, 3, 4]
        assert len({result.id for result in results}) == 4

    def test_results_can_be_awaited(self, backend: Any) -> None:
        result = note.using(durability="now", backend="now").delay(1)
        drain(compat.get_backend("now"))

        async def work() -> None:
            await result.arefresh()

        asyncio.run(work())
        assert result.return_value == 1


class TestCapturedCallbacks(TestCase):
    databases = frozenset({"default", "other"})

    @pytest.fixture(autouse=True)
    def _backend(self, backend: Any) -> None:
        self.backend = backend

    def test_jobs_leave_when_the_callbacks_are_executed(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            note.delay(1)
            assert ready(self.backend) == 0
        assert ready(self.backend) == 1

    def test_jobs_from_before_the_capture_stay(self) -> None:
        note.delay("before")
        with self.captureOnCommitCallbacks(execute=True):
            note.delay("inside")
        drain(self.backend)
        assert SEEN == ["inside"]

    def test_two_captures_push_their_own_jobs(self) -> None:
        for value in (1, 2):
            with self.captureOnCommitCallbacks(execute=True):
                note.delay(value)
        note.delay(3)
        drain(self.backend, threads=1)
        assert SEEN == [1, 2]

    def test_callbacks_may_be_executed_by_hand(self) -> None:
        with self.captureOnCommitCallbacks() as callbacks:
            note.delay(1)
            note.delay(2)
        assert ready(self.backend) == 0
        for callback in callbacks:
            callback()
        assert ready(self.backend) == 2

    def test_a_delay_between_capture_and_execution_keeps_nothing_back(self) -> None:
        with self.captureOnCommitCallbacks() as callbacks:
            note.delay("captured")
        note.delay("later")
        for callback in callbacks:
            callback()
        drain(self.backend)
        assert SEEN == ["captured"]

    def test_jobs_that_callbacks_enqueue_leave_too(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            transaction.on_commit(lambda: note.delay("callback"))
        drain(self.backend)
        assert SEEN == ["callback"]

    def test_each_database_has_its_own_callbacks(self) -> None:
        with self.captureOnCommitCallbacks(using="other", execute=True):
            note.delay("default")
            note.using(database="other").delay("other")
        drain(self.backend)
        assert SEEN == ["other"]

    def test_a_test_leaves_nothing_to_the_next(self) -> None:
        with self.captureOnCommitCallbacks() as callbacks:
            note.delay("forgotten")
        assert callbacks

    def test_a_test_leaves_nothing_to_the_next_one_either(self) -> None:
        with self.captureOnCommitCallbacks(execute=True):
            note.delay("mine")
        drain(self.backend)
        assert SEEN == ["mine"]


class TestRedisIsDown:
    def test_delay_succeeds_in_outbox_mode(self, backend: Any, down: Any, caplog: Any) -> None:
        result = note.delay(1)
        assert Job.objects.get().pk.__str__() == result.id
        assert "127.0.0.1:1" in caplog.text
        assert "secret" not in caplog.text
        assert note.get_result(result.id).status == "READY"

    def test_so_does_a_transaction(self, backend: Any, down: Any) -> None:
        with transaction.atomic():
            note.delay(1)
        assert Job.objects.count() == 1

    def test_the_job_runs_when_redis_is_back(self, backend: Any, down: Any, settings: Any) -> None:
        from django_backie.duties.relay import Relay

        note.delay("late")
        settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": backend.options}}
        Job.objects.update(enqueued_at=dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1))
        Relay(backend).tick()
        drain(backend)
        assert SEEN == ["late"]

    @pytest.mark.parametrize("durability", ["commit", "now"])
    def test_other_modes_raise_with_address_and_cause(self, backend: Any, down: Any, durability: Any) -> None:
        with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:1/0.*[Rr]efused") as caught:
            note.using(durability=durability).delay(1)
        assert "secret" not in str(caught.value)
        assert Job.objects.count() == 0

    def test_commit_mode_raises_after_the_commit(self, backend: Any, down: Any) -> None:
        mine = note.using(durability="commit")
        with pytest.raises(BrokerUnavailable), transaction.atomic():
            mine.delay(1)

    def test_a_mixed_transaction_keeps_its_outbox_jobs_and_tells_of_the_others(self, backend: Any, down: Any) -> None:
        with pytest.raises(BrokerUnavailable), transaction.atomic():  # noqa: PT012
            kept = note.delay("kept")
            lost = note.using(durability="commit").delay("lost")
        assert [str(row.pk) for row in Job.objects.all()] == [kept.id]
        assert (kept.enqueued_at is None, lost.enqueued_at is None) == (False, True)

    def test_results_come_from_the_rows(self, backend: Any, down: Any, settings: Any) -> None:
        real = {**settings.TASKS["default"], "OPTIONS": backend.options}
        unreachable = settings.TASKS
        settings.TASKS = {"default": real}
        result = note.delay(7)
        drain(backend)
        mirror(backend)
        settings.TASKS = unreachable
        assert note.get_result(result.id).return_value == 7


class TestNothingIsHalfEnqueued:
    @pytest.mark.parametrize("durability", DURABILITIES)
    def test_one_bad_call_of_many_stops_all(self, backend: Any, durability: Any) -> None:
        with pytest.raises(UnserializableValue):
            note.using(durability=durability).delay_many([(1,), (object(),), (3,)])
        assert (ready(backend), Job.objects.count()) == (0, 0)

    def test_no_calls_make_no_jobs_and_no_command(self, backend: Any) -> None:
        with counted() as counts:
            assert note.delay_many([]) == []
        assert not counts

    def test_without_a_database_only_now_is_possible(self, backend: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"'DURABILITY'.* 'now'"):
            note.using(backend="now", durability="outbox").delay(1)


class TestWithoutADatabase:
    def test_no_connection_is_opened_in_now_mode(self, backend: Any, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0), django_assert_num_queries(0, connection=connections["other"]):
            result = note.using(backend="now").delay(1)
            drain(compat.get_backend("now"))
            result.refresh()
        assert result.return_value == 1


class TestCommands:
    @pytest.fixture(autouse=True)
    def _loaded(self, backend: Any) -> None:
        """Let the server know the scripts, as it does after the first job of its life."""
        echo.using(durability="now").delay()
        drain(backend)
        empty(backend)

    @pytest.mark.parametrize("durability", DURABILITIES)
    def test_one_delay_is_one_command(self, backend: Any, durability: Any) -> None:
        with counted() as counts:
            echo.using(durability=durability).delay(1)
        assert counts == {"EVALSHA": 1}

    @pytest.mark.parametrize("durability", ["outbox", "commit"])
    def test_a_hundred_jobs_of_one_transaction_are_one_command(self, backend: Any, durability: Any) -> None:
        mine = echo.using(durability=durability)
        with counted() as counts:
            with transaction.atomic():
                for number in range(100):
                    mine.delay(number)
            assert counts == {"EVALSHA": 1}
        assert ready(backend) == 100

    def test_so_are_those_of_several_savepoints(self, backend: Any) -> None:
        with counted() as counts, transaction.atomic():
            for number in range(10):
                with transaction.atomic():
                    echo.delay(number)
        assert counts == {"EVALSHA": 1}

    @pytest.mark.parametrize("durability", DURABILITIES)
    def test_a_hundred_jobs_of_delay_many_are_one_command(self, backend: Any, durability: Any) -> None:
        with counted() as counts:
            echo.using(durability=durability).delay_many([(number,) for number in range(100)])
        assert counts == {"EVALSHA": 1}

    def test_a_hundred_outbox_rows_of_delay_many_are_few_queries(
        self, backend: Any, django_assert_max_num_queries: Any
    ) -> None:
        with django_assert_max_num_queries(8):
            echo.delay_many([(number,) for number in range(100)])


class TestLatePush:
    def test_a_job_that_ran_between_commit_and_push_does_not_run_again(
        self, backend: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def let_time_pass() -> None:
            """Do in the transaction's callbacks what others do meanwhile: relay, run, mirror."""
            Relay(backend, _later(10)).tick()
            drain(backend)
            mirror(backend)
            monkeypatch.setattr(enqueue, "SYSTEM", _later(3))

        with transaction.atomic():
            transaction.on_commit(let_time_pass)
            note.delay("once")
        drain(backend)
        assert SEEN == ["once"]


def _later(seconds: float) -> Any:
    return SimpleNamespace(now=lambda: time.time() + seconds, monotonic=time.monotonic)
