"""A later call with a unique key takes the place of an earlier one's job, or moves it to another time."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from django_backie.core.states import State
from django_backie.duties.reconcile import Reconcile
from django_backie.duties.relay import Relay
from django_backie.exceptions import BrokerUnavailable
from django_backie.models import Job
from tests.app.unique import draw, expire, sync, tell
from tests.helpers import drain, empty, lease, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

DURABILITIES = pytest.mark.parametrize("durability", ["outbox", "commit", "now"])


def ready(backend: Any) -> list[str]:
    return list(backend.broker.client.zrange(backend.broker.keys.queue("default"), 0, -1))


def scheduled(backend: Any) -> dict[str, float]:
    found = backend.broker.client.zrange(backend.broker.keys["s"], 0, -1, withscores=True)
    return {job_id: due / 1000 for job_id, due in found}


def in_an_hour(**more: int) -> Any:
    return timezone.now() + timedelta(hours=1, **more)


# Replace.


@DURABILITIES
def test_a_waiting_job_is_replaced_by_the_later_calls(backend: Any, durability: Any) -> None:
    first = tell.using(durability=durability).delay(7, "old")
    second = tell.using(durability=durability).delay(7, "new")
    first.refresh()

    assert (first.state, first.replaced_by, first.duplicate_of) == (State.CANCELLED, second.id, None)
    assert (second.state, second.replaced_by) == (State.READY, None)
    assert ready(backend) == [second.id]
    drain(backend)
    second.refresh()
    assert second.return_value == "new"


def test_the_row_of_a_replaced_job_says_by_which(backend: Any) -> None:
    first, second = tell.delay(7), tell.delay(7)
    mirror(backend)

    assert (Job.objects.get(pk=first.id).state, Job.objects.get(pk=first.id).reason) == (
        "CANCELLED",
        f"replaced by {second.id}",
    )
    first.refresh()
    assert first.replaced_by == second.id


def test_of_many_calls_the_last_of_each_key_runs(backend: Any) -> None:
    results = tell.delay_many([(1, "a"), (2, "b"), (1, "c")])
    for result in results:
        result.refresh()

    assert [result.replaced_by for result in results] == [results[2].id, None, None]
    assert sorted(ready(backend)) == sorted(result.id for result in results[1:])


@DURABILITIES
def test_the_handle_of_a_call_that_comes_while_the_job_runs_is_that_jobs(backend: Any, durability: Any) -> None:
    first = tell.delay(7, "old")
    lease(backend)
    second = tell.using(durability=durability).delay(7, "new")

    assert (second.id, second.state) == (first.id, State.RUNNING)
    assert ready(backend) == []


def test_with_until_start_a_call_while_the_job_runs_waits_behind_it(backend: Any) -> None:
    first = draw.delay(7, "old")
    lease(backend)
    draw.delay(7, "newer")
    last = draw.delay(7, "newest")

    assert last.id != first.id
    assert ready(backend) == [last.id]


@pytest.mark.parametrize("durability", ["outbox", "commit"])
def test_of_one_transaction_the_last_call_counts(backend: Any, durability: Any) -> None:
    before = tell.delay(7, "before")
    with transaction.atomic():
        for text in ("a", "b", "c"):
            last = tell.using(durability=durability).delay(7, text)
        assert ready(backend) == [before.id]

    assert ready(backend) == [last.id]


def test_what_is_rolled_back_replaces_nothing(backend: Any) -> None:
    first = tell.delay(7)
    with suppress(ZeroDivisionError), transaction.atomic():
        tell.delay(7)
        raise ZeroDivisionError

    assert ready(backend) == [first.id]


def test_a_savepoint_that_is_rolled_back_leaves_the_call_before_it(backend: Any) -> None:
    with transaction.atomic():
        first = tell.delay(7)
        with suppress(ZeroDivisionError), transaction.atomic():
            tell.delay(7)
            raise ZeroDivisionError

    assert ready(backend) == [first.id]
    first.refresh()
    assert first.replaced_by is None


def test_a_call_costs_no_look_at_redis(backend: Any) -> None:
    with mock.patch.object(type(backend.broker), "holders", side_effect=AssertionError):
        tell.delay(7)
        assert tell.delay(7).state is State.READY


def test_what_the_relay_pushes_late_does_not_undo_a_later_call(backend: Any) -> None:
    with mock.patch.object(type(backend.broker), "enqueue", side_effect=BrokerUnavailable("down")):
        late = tell.delay(7, "old")
    with mock.patch("time.time_ns", return_value=int(in_an_hour().timestamp()) * 10**9):
        last = tell.delay(7, "new")
    Job.objects.filter(pk=late.id).update(enqueued_at="2020-01-01T00:00:00Z")
    Relay(backend).tick()

    assert ready(backend) == [last.id]
    late.refresh()
    assert late.duplicate_of == last.id


def test_a_replaced_job_does_not_come_back_with_what_redis_has_lost(backend: Any) -> None:
    tell.delay(7)
    last = tell.delay(7)
    mirror(backend)
    empty(backend)
    Reconcile(backend).tick()

    assert ready(backend) == [last.id]


def test_threads_that_replace_each_others_jobs_leave_one(backend: Any) -> None:
    def call() -> None:
        for _ in range(5):
            tell.delay(7)
        for connection in connections.all(initialized_only=True):
            BaseDatabaseWrapper.close(connection)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ready(backend)) == 1
    mirror(backend)
    assert sorted(set(Job.objects.values_list("state", flat=True))) == ["CANCELLED", "READY"]
    assert Job.objects.filter(state="READY").count() == 1


def test_a_schedule_replaces_the_job_of_an_earlier_time(backend: Any) -> None:
    keys = ["0193d5a0-0000-7000-8000-000000000001", "0193d5a0-0001-7000-8000-000000000002"]
    for key in keys:
        backend.submit_as(tell, [((7,), {})], [key])

    assert ready(backend) == keys[1:]


def test_a_coroutine_replaces_too(backend: Any) -> None:
    first = async_to_sync(tell.adelay)(7)
    second = async_to_sync(tell.adelay)(7)
    async_to_sync(first.arefresh)()

    assert first.replaced_by == second.id


# Extend.


@DURABILITIES
def test_a_later_call_moves_the_first_ones_job(backend: Any, durability: Any) -> None:
    first = expire.using(run_after=in_an_hour(), durability=durability).delay(7, "first")
    second = expire.using(run_after=(due := in_an_hour(minutes=5)), durability=durability).delay(7, "second")

    assert (second.id, second.state, second.args) == (first.id, State.SCHEDULED, [7, "first"])
    assert scheduled(backend) == {first.id: pytest.approx(due.timestamp(), abs=0.01)}


def test_the_row_of_a_moved_job_tells_its_new_time(backend: Any) -> None:
    first = expire.using(run_after=in_an_hour()).delay(7)
    expire.using(run_after=(due := in_an_hour(minutes=5))).delay(7)
    mirror(backend)
    row = Job.objects.get(pk=first.id)

    assert row.state == "SCHEDULED"
    assert abs((row.run_after - due).total_seconds()) < 0.01


def test_a_moved_job_that_redis_has_lost_comes_back_at_its_new_time(backend: Any) -> None:
    first = expire.using(run_after=in_an_hour()).delay(7)
    expire.using(run_after=(due := in_an_hour(minutes=5))).delay(7)
    mirror(backend)
    empty(backend)
    Reconcile(backend).tick()

    assert scheduled(backend) == {first.id: pytest.approx(due.timestamp(), abs=0.01)}


def test_what_is_rolled_back_moves_nothing(backend: Any) -> None:
    with transaction.atomic():
        first = expire.using(run_after=(due := in_an_hour())).delay(7)
        with suppress(ZeroDivisionError), transaction.atomic():
            expire.using(run_after=in_an_hour(minutes=5)).delay(7)
            raise ZeroDivisionError

    assert scheduled(backend) == {first.id: pytest.approx(due.timestamp(), abs=0.01)}


def test_of_one_transaction_the_last_time_counts(backend: Any) -> None:
    with transaction.atomic():
        first = expire.using(run_after=in_an_hour()).delay(7)
        second = expire.using(run_after=(due := in_an_hour(minutes=5))).delay(7)
    second.refresh()

    assert second.duplicate_of == first.id
    assert scheduled(backend) == {first.id: pytest.approx(due.timestamp(), abs=0.01)}


def test_a_call_by_other_rules_keeps_the_job_where_it_is(backend: Any) -> None:
    first = sync.using(run_after=(due := in_an_hour())).delay(7)
    second = sync.using(run_after=in_an_hour(minutes=5)).delay(7)

    assert second.id == first.id
    assert scheduled(backend) == {first.id: pytest.approx(due.timestamp(), abs=0.01)}
