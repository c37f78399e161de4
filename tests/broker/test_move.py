"""Move ready jobs to another queue."""

from __future__ import annotations

from typing import Any

import pytest

from django_backie.broker import inspect
from django_backie.broker.keys import pause_of_task
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Moved, Pause
from django_backie.core.states import State

from .support import (
    HOUR,
    NOTE,
    claim,
    end,
    far_future,
    ids_of,
    job,
    jobs,
    make_due,
    marked,
    order,
    record,
    run,
    without_mirror,
)

TO_BULK: dict[str, Any] = {"queues": ["bulk"], "mode": "only"}


def moved(*ids: str, queue: str = "bulk", priority: int = 0, signature: str = "signature") -> list[Moved]:
    return [Moved(job_id, signature, job(job_id, queue, priority).body) for job_id in ids]


def test_moved_jobs_keep_their_order_among_those_that_are_there(broker: RedisBroker) -> None:
    broker.enqueue([job("1"), job("2", queue="bulk"), job("3"), job("4", queue="bulk"), job("5")])

    assert broker.move("default", "bulk", moved("5", "1", "3")) == [True, True, True]
    assert inspect.ready_counts(broker) == {"bulk": 5, "default": 0}
    assert order(broker, **TO_BULK) == ["1", "2", "3", "4", "5"]


def test_moved_jobs_keep_their_priority(broker: RedisBroker) -> None:
    broker.enqueue([job("low", priority=-100), job("high", priority=100), job("a", queue="bulk")])
    broker.move("default", "bulk", [*moved("low", priority=-100), *moved("high", priority=100)])

    leases = claim(broker, 3, **TO_BULK)
    assert ids_of(leases) == ["high", "a", "low"]
    assert [end(broker, lease, State.READY, refund=True) for lease in leases] == ["OK"] * 3
    assert order(broker, **TO_BULK) == ["high", "a", "low"]


def test_a_moved_job_has_the_new_body_and_comes_back_to_the_new_queue(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.move("default", "bulk", moved("a"))
    (lease,) = claim(broker, **TO_BULK)
    assert lease.body == job("a", "bulk").body

    end(broker, lease, State.RETRYABLE, delay=HOUR)
    make_due(broker, "a")
    assert order(broker, queues=["default"], mode="only") == []
    assert order(broker, **TO_BULK) == ["a"]


def test_a_job_that_was_tried_keeps_its_attempts(broker: RedisBroker) -> None:
    run(broker, "a", State.RETRYABLE, delay=HOUR, note=NOTE)
    broker.hasten(["a"])
    broker.move("default", "bulk", moved("a"))

    found = record(broker, "a")
    assert (found.state, found.attempt, len(found.attempts)) == (State.READY, 1, 1)


def test_the_mirror_is_told_with_a_later_version(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    before = marked(broker)["a"]
    broker.move("default", "bulk", moved("a"))

    assert marked(broker)["a"] == record(broker, "a").version > before


def test_what_is_not_ready_in_the_source_stays(broker: RedisBroker) -> None:
    run(broker, "over")
    broker.enqueue([job("running"), job("mail", queue="mail"), job("later", run_after=far_future())])
    claim(broker, queues=["default"], mode="only")
    before = broker.take(10)

    assert broker.move("default", "bulk", moved("running", "mail", "later", "over", "gone")) == [False] * 5
    assert broker.take(10) == before
    assert inspect.ready_counts(broker) == {"default": 0, "mail": 1}


def test_what_stands_in_the_queue_but_runs_stays(broker: RedisBroker) -> None:
    """Half of a script may have left it there."""
    broker.enqueue([job("a")])
    claim(broker)
    broker.client.zadd(broker.keys.queue("default"), {"a": 1})

    assert broker.move("default", "bulk", moved("a")) == [False]


def test_a_job_with_another_body_than_was_read_stays(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])

    assert broker.move("default", "bulk", moved("a", signature="another")) == [False]
    assert order(broker) == ["a"]


def test_who_waits_for_the_other_queue_is_woken(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    markers = [broker.keys["kn"], broker.keys.marker(None), broker.keys.marker("bulk")]
    broker.client.delete(*markers)
    broker.move("default", "bulk", moved("a"))

    assert broker.client.exists(*markers) == 3


def test_a_move_that_was_made_is_not_made_again(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.move("default", "bulk", moved("a"))
    before = broker.take(10)

    assert broker.move("default", "bulk", moved("a")) == [False]
    assert broker.take(10) == before


def test_nothing_to_move_is_no_error(broker: RedisBroker) -> None:
    assert broker.move("default", "bulk", []) == []


def test_many_jobs_are_moved_at_once(broker: RedisBroker) -> None:
    ids = [f"{number:04}" for number in range(1200)]
    broker.enqueue(jobs(ids))

    assert broker.move("default", "bulk", moved(*ids)) == [True] * 1200
    assert order(broker, 2000, **TO_BULK) == ids


def test_without_a_mirror_nothing_is_marked(broker: RedisBroker) -> None:
    other = without_mirror(broker)
    other.enqueue([job("a")])
    assert other.move("default", "bulk", moved("a")) == [True]

    assert other.take(10) == []
    assert order(other, **TO_BULK) == ["a"]


def test_what_is_set_aside_goes_to_its_place_in_the_other_queue(broker: RedisBroker) -> None:
    broker.enqueue([job("runs", limits="c1|1"), job("parked", limits="c1|1"), job("behind", "bulk")])
    (lease,) = claim(broker, 2, queues=["default"], mode="only")
    there = [Moved("parked", "signature", job("parked", "bulk", limits="c1|1").body)]

    assert broker.move("default", "bulk", there) == [True]
    assert (inspect.parked(broker), inspect.ready_counts(broker)) == (0, {"bulk": 2, "default": 0})
    assert marked(broker)["parked"] == record(broker, "parked").version
    assert order(broker, **TO_BULK) == ["behind"]
    assert inspect.parked(broker) == 1
    end(broker, lease, State.SUCCESSFUL)
    assert order(broker, **TO_BULK) == ["parked"]


def test_what_is_set_aside_keeps_its_place_among_priorities(broker: RedisBroker) -> None:
    broker.pause(pause_of_task("task"), Pause(1.0))
    broker.enqueue([job("low", priority=-5, ageing=3, task="task"), job("high", priority=5, ageing=3, task="task")])
    assert claim(broker, 2) == []
    broker.enqueue([job("middle", "bulk", task="other")])

    assert broker.move("default", "bulk", [*moved("low", priority=-5), *moved("high", priority=5)]) == [True, True]
    broker.resume(pause_of_task("task"))
    assert order(broker, **TO_BULK) == ["high", "middle", "low"]


@pytest.mark.parametrize("queue", ["other", "0|default", "another|default"])
def test_what_another_queue_has_set_aside_stays(broker: RedisBroker, queue: str) -> None:
    broker.pause(pause_of_task("task"), Pause(1.0))
    broker.enqueue([job("a", queue, task="task")])
    assert claim(broker) == []

    assert broker.move("default", "bulk", moved("a")) == [False]
    assert inspect.parked(broker) == 1
