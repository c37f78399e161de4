"""There is one job of all calls with a unique key, whoever makes them."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

import pytest
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_backie import Unique, compat, control, task
from django_backie.core.states import State
from django_backie.duties.reconcile import Reconcile
from django_backie.duties.relay import Relay
from django_backie.exceptions import BrokerUnavailable, DuplicateJob, InvalidOption, UnserializableValue
from django_backie.models import Job
from tests.app.tasks import add
from tests.app.unique import Export, bill, index, publish, rebuild, remind, stumble, sync, warm
from tests.helpers import drain, empty, lease, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

DURABILITIES = pytest.mark.parametrize("durability", ["outbox", "commit", "now"])


def ready(backend: Any) -> list[str]:
    return list(backend.broker.client.zrange(backend.broker.keys.queue("default"), 0, -1))


def states() -> list[str]:
    return sorted(Job.objects.values_list("state", flat=True))


@contextmanager
def undone() -> Iterator[None]:
    """Roll back what is done in this block."""
    with suppress(ZeroDivisionError), transaction.atomic():
        yield
        raise ZeroDivisionError


@contextmanager
def blind(backend: Any) -> Iterator[None]:
    """Let callers see no holder, as if somebody else's job came between their look and their push."""
    with mock.patch.object(type(backend.broker), "holders", lambda self, keys: [""] * len(keys)):
        yield


# One job.


@DURABILITIES
def test_a_second_call_gets_the_handle_of_the_first_ones_job(backend: Any, durability: Any) -> None:
    first = sync.using(durability=durability).delay(7)
    second = sync.using(durability=durability).delay(7)

    assert second.id == first.id
    assert (second.state, second.args, second.duplicate_of) == (State.READY, [7], None)
    assert second.enqueued_at is not None
    assert ready(backend) == [first.id]
    assert Job.objects.count() == (1 if durability == "outbox" else 0)


def test_other_arguments_and_other_tasks_make_other_jobs(backend: Any) -> None:
    for pk in (7, 8):
        sync.delay(pk)
    sync.delay(7, deep=True)
    index.delay(7)

    assert len(ready(backend)) == 4


def test_it_does_not_matter_how_an_argument_is_given(backend: Any) -> None:
    made = [sync.delay(7), sync.delay(pk=7), sync.delay(7, False), sync.enqueue(7)]
    made += [sync.delay_many([(7,)])[0], sync.delay_many([{"pk": 7}])[0]]

    assert len({result.id for result in made}) == 1


def test_mappings_are_the_same_in_whatever_order(backend: Any) -> None:
    value: Any = rebuild.using(unique=True)
    made = [value.delay({"a": 1, "b": {"c": 2, "d": 3}}), value.delay({"b": {"d": 3, "c": 2}, "a": 1})]

    assert made[0].id == made[1].id


def test_names_a_function_and_the_task_alone_make_keys(backend: Any) -> None:
    assert index.delay(1, "x").id == index.delay(1, "y").id != index.delay(2, "x").id
    assert warm.delay("/a/1").id == warm.delay("/a/2", language="de").id != warm.delay("/b/1").id
    assert rebuild.delay("x").id == rebuild.delay("y").id


def test_the_class_form_and_a_call_may_be_unique(backend: Any) -> None:
    assert Export().delay(1).id == Export().delay(1).id
    once = add.using(unique=True)
    assert once.delay(1, 2).id == once.delay(1, 2).id
    again = sync.using(unique=False)
    assert again.delay(1).id != again.delay(1).id


def test_many_calls_make_one_job_of_each_key(backend: Any) -> None:
    first = sync.delay(1)
    results = sync.delay_many([(2,), (1,), (2,), (3,)])

    assert results[1].id == first.id
    assert results[0].id == results[2].id
    assert [result.args for result in results] == [[2], [1], [2], [3]]
    assert len(ready(backend)) == 3
    assert sync.delay_many([]) == []


def test_the_end_of_the_job_makes_room_for_the_next(backend: Any) -> None:
    first = sync.delay(7)
    drain(backend)

    assert backend.broker.client.exists(backend.broker.keys["u"]) == 0
    assert sync.delay(7).id != first.id


def test_a_job_that_waits_for_its_next_attempt_is_there(backend: Any) -> None:
    first = stumble.delay(7)
    drain(backend)
    second = stumble.delay(7)

    assert (second.id, second.state) == (first.id, State.RETRYABLE)


def test_a_key_until_the_start_lets_a_next_job_wait_while_one_runs(backend: Any) -> None:
    first = publish.delay(7)
    lease(backend)
    second = publish.delay(7)

    assert second.id != first.id
    assert publish.delay(7).id == second.id


@pytest.mark.parametrize("is_mirrored", [True, False])
def test_a_window_outlasts_the_job(backend: Any, is_mirrored: bool) -> None:
    first = remind.delay(7)
    drain(backend)
    if is_mirrored:
        mirror(backend)
    second = remind.delay(7)

    assert (second.id, second.state) == (first.id, State.SUCCESSFUL)


# Transactions.


@pytest.mark.parametrize("durability", ["outbox", "commit"])
def test_calls_of_one_transaction_make_one_job_without_redis(backend: Any, durability: Any) -> None:
    with (
        mock.patch.object(type(backend.broker), "holders", side_effect=BrokerUnavailable("down")),
        transaction.atomic(),
    ):
        results = [sync.using(durability=durability).delay(7) for _ in range(3)]

    assert len({result.id for result in results}) == 1
    assert ready(backend) == [results[0].id]


def test_a_call_in_a_transaction_sees_the_job_of_another(backend: Any) -> None:
    first = sync.delay(7)
    with transaction.atomic():
        second = sync.delay(7)

    assert second.id == first.id
    assert Job.objects.count() == 1


def test_a_savepoint_that_is_rolled_back_takes_its_call_along(backend: Any) -> None:
    with transaction.atomic():
        with undone():
            former = sync.delay(7)
        result = sync.delay(7)

    assert result.id != former.id
    assert ready(backend) == [result.id]


def test_nothing_is_held_by_what_was_rolled_back(backend: Any) -> None:
    with undone():
        former = sync.delay(7)

    assert sync.delay(7).id != former.id


def test_whoever_commits_later_loses_and_its_handle_says_so(backend: Any) -> None:
    with transaction.atomic():
        loser = sync.delay(7)
        winner = in_thread(lambda: sync.using(durability="commit").delay(7))
    loser.refresh()

    assert (loser.state, loser.duplicate_of) == (State.CANCELLED, winner.id)
    assert ready(backend) == [winner.id]
    mirror(backend)
    row = Job.objects.get(pk=loser.id)
    assert (row.state, row.reason) == ("CANCELLED", f"duplicate of {winner.id}")
    mirror(backend)
    loser.refresh()
    assert loser.duplicate_of == winner.id


def close() -> None:
    """Close the connections of this thread; Django keeps those of a database in memory."""
    for connection in connections.all(initialized_only=True):
        BaseDatabaseWrapper.close(connection)


def in_thread(call: Any) -> Any:
    """Call in a thread, which has a connection and a transaction of its own."""
    found: list[Any] = []

    def run() -> None:
        found.append(call())
        close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_nobody_is_told_of_a_duplicate_as_of_a_job_that_was_enqueued(backend: Any) -> None:
    told: list[str] = []
    compat.task_signals.task_enqueued.connect(on_enqueued := lambda task_result, **_: told.append(task_result.id))
    first = sync.delay(7)
    sync.delay(7)
    with blind(backend):
        sync.delay(7)
    compat.task_signals.task_enqueued.disconnect(on_enqueued)

    assert told == [first.id]


@DURABILITIES
def test_a_race_outside_of_a_transaction_is_told_at_once(backend: Any, durability: Any) -> None:
    first = sync.delay(7)
    with blind(backend):
        results = sync.using(durability=durability).delay_many([(8,), (7,)])

    assert results[1].id == first.id
    assert ready(backend) == [first.id, results[0].id]


# What does not come off.


def test_a_call_that_must_not_be_a_duplicate_is_refused(backend: Any) -> None:
    first = bill.delay(7)
    with pytest.raises(DuplicateJob, match=f"call 0 is a duplicate of job {first.id}") as found:
        bill.delay(7)

    assert (found.value.survivor, found.value.index) == (first.id, 0)
    assert Job.objects.count() == 1


def test_of_many_calls_nothing_is_enqueued_where_one_is_a_duplicate(backend: Any) -> None:
    first = bill.delay(7)
    with pytest.raises(DuplicateJob) as found:
        bill.delay_many([(8,), (7,)])
    assert (found.value.survivor, found.value.index) == (first.id, 1)
    with pytest.raises(DuplicateJob, match="call 2"):
        bill.delay_many([(8,), (9,), (8,)])

    assert ready(backend) == [first.id]


def test_a_call_is_refused_within_the_transaction_of_the_first(backend: Any) -> None:
    with transaction.atomic():
        first = bill.delay(7)
        with pytest.raises(DuplicateJob) as found:
            bill.delay(7)

    assert found.value.survivor == first.id


def test_a_race_that_is_lost_is_refused_too(backend: Any) -> None:
    first = bill.delay(7)
    with blind(backend), pytest.raises(DuplicateJob, match="call 1") as found:
        bill.delay_many([(8,), (7,)])

    assert found.value.survivor == first.id


def test_a_key_function_that_raises_refuses_the_call(backend: Any) -> None:
    with pytest.raises(AttributeError):
        warm.delay(5)  # type: ignore[arg-type]

    assert ready(backend) == []


def test_a_key_that_is_no_json_refuses_the_call(backend: Any) -> None:
    wrong = task(unique=lambda **_: object())(rebuild.func)
    with pytest.raises(UnserializableValue):
        wrong.delay(why=1)

    assert Job.objects.count() == 0


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("pkk", r"unique names 'pkk', which is no argument of it, did you mean 'pk'\?"),
        (["pk", "x"], "unique names 'x'"),
        (5, "unique: its key is 5, it must be True, names of arguments, or a function"),
        ([1], "its key is"),
        (lambda: Unique(until="stop"), "until is 'stop', it must be one of 'start', 'end'"),  # type: ignore[arg-type]
        (lambda: Unique(conflict="x"), "conflict is 'x'"),  # type: ignore[arg-type]
        (
            lambda: Unique(conflict="replace", window=5),
            r"window is 5\.0 with conflict 'replace': .* leave one of them out",
        ),
        (lambda: Unique(conflict="extend", window=5), r"window is 5\.0 with conflict 'extend'"),
        (lambda: Unique(window=-1), "window is -1, it must be a number of seconds from 0"),
        (lambda: Unique(window=float("inf")), "window is inf"),
        (lambda: Unique(window=True), "window is True"),
        (lambda: Unique(by=False), "its key is False"),
    ],
)
def test_what_can_be_no_key_is_refused_at_import(option: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        task(unique=option() if callable(option) else option)(sync.func)


def test_an_async_key_function_is_refused_at_import() -> None:
    async def key(pk: int) -> int:
        return pk

    with pytest.raises(InvalidOption, match="its key function is async"):
        task(unique=key)(sync.func)


def test_a_task_is_unique_or_coalesced() -> None:
    with pytest.raises(InvalidOption, match="unique does within a transaction what coalesce does"):
        task(unique=True, coalesce=True)(sync.func)


def test_a_function_does_not_travel_but_its_task_does() -> None:
    with pytest.raises(InvalidOption, match="set unique on the task"):
        sync.using(unique=lambda pk: pk)
    with pytest.raises(InvalidOption, match="set unique on the task"):
        sync.using(unique=Unique(by=lambda pk: pk))

    assert pickle.loads(pickle.dumps(warm)).unique == warm.unique  # noqa: S301
    assert pickle.loads(pickle.dumps(sync.using(unique="pk"))).unique == Unique(by=("pk",))  # noqa: S301


# Faults.


def test_what_the_relay_pushes_late_may_be_a_duplicate(backend: Any, settings: Any) -> None:
    with mock.patch.object(type(backend.broker), "enqueue", side_effect=BrokerUnavailable("down")), blind(backend):
        first, second = sync.delay(7), sync.delay(7)
    Job.objects.filter(pk=first.id).update(enqueued_at="2020-01-01T00:00:00Z")
    Job.objects.filter(pk=second.id).update(enqueued_at="2020-01-01T00:00:01Z")
    Relay(backend).tick()
    mirror(backend)

    assert ready(backend) == [first.id]
    assert states() == ["CANCELLED", "READY"]
    second.refresh()
    assert second.duplicate_of == first.id
    Relay(backend).tick()
    assert ready(backend) == [first.id]


def test_a_row_that_redis_has_lost_takes_its_key_again(backend: Any) -> None:
    first = sync.delay(7)
    mirror(backend)
    empty(backend)
    Reconcile(backend).tick()

    assert sync.delay(7).id == first.id


def test_two_rows_with_one_key_do_not_both_come_back(backend: Any) -> None:
    with blind(backend):
        first = sync.delay(7)
        mirror(backend)
        empty(backend)
        second = sync.delay(7)
        mirror(backend)
    Reconcile(backend).tick()
    mirror(backend)

    assert ready(backend) == [second.id]
    first.refresh()
    assert first.duplicate_of == second.id


def test_a_person_is_told_why_a_duplicate_cannot_be_retried(backend: Any) -> None:
    first = sync.delay(7)
    with blind(backend), transaction.atomic():
        loser = sync.delay(7)
    mirror(backend)
    report = control.retry([loser.id])
    assert report.refused == ((loser.id, "another job with its unique key is waiting or running"),)

    drain(backend)
    mirror(backend)
    assert control.retry([loser.id]).done == (loser.id,)
    assert ready(backend) == [loser.id]
    assert first.id != loser.id


def test_without_redis_a_call_still_makes_its_row(backend: Any) -> None:
    with (
        mock.patch.object(type(backend.broker), "holders", side_effect=BrokerUnavailable("down")),
        mock.patch.object(type(backend.broker), "enqueue", side_effect=BrokerUnavailable("down")),
    ):
        sync.delay(7)

    assert states() == ["READY"]


def test_a_holder_of_which_nothing_is_known_any_more_decides_at_the_push(backend: Any) -> None:
    first = remind.using(durability="now").delay(7)
    drain(backend)
    backend.broker.client.delete(*[backend.broker.keys[name] for name in "bhd"])
    second = remind.delay(7)

    assert (second.state, second.duplicate_of) == (State.CANCELLED, first.id)


def test_each_of_many_threads_gets_the_one_job(backend: Any) -> None:
    found: list[str] = []

    def call() -> None:
        found.append(sync.delay(7).id)
        close()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert len(ready(backend)) == 1


def test_a_schedule_leaves_out_a_time_while_its_job_is_there(backend: Any) -> None:
    keys = ["0193d5a0-0000-7000-8000-000000000001", "0193d5a0-0000-7000-8000-000000000002"]
    for key in keys:
        backend.submit_as(rebuild, [((), {})], [key])
    mirror(backend)

    assert ready(backend) == keys[:1]
    assert Job.objects.get(pk=keys[1]).reason == f"duplicate of {keys[0]}"
