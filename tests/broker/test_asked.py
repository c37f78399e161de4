"""Tell a worker which of its jobs were asked to cancel."""

from __future__ import annotations

from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Request
from django_backie.core.states import State

from .support import HOUR, WORKER, claim, end, jobs, lose


def test_a_worker_is_told_its_own_jobs_with_token_and_reason(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abcd"))
    mine = {lease.id: lease for lease in claim(broker, 3)}
    claim(broker, worker="w2")
    broker.cancel(["a", "c", "d"], "enough")

    assert sorted(broker.asked(WORKER)) == [
        Request("a", mine["a"].token, "enough"),
        Request("c", mine["c"].token, "enough"),
    ]


def test_a_worker_is_not_told_of_what_has_ended(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    first, _ = claim(broker, 2)
    broker.cancel(["a", "b"])
    end(broker, first)

    assert [request.id for request in broker.asked(WORKER)] == ["b"]


def test_a_worker_is_not_told_of_what_another_runs_by_now(broker: RedisBroker) -> None:
    """Half of a script may have left the hold of a former attempt (lua/mend.lua)."""
    broker.enqueue(jobs("a"))
    claim(broker)
    hold = broker.client.hget(broker.keys.held(WORKER), "a")
    lose(broker)
    claim(broker, worker="w2")
    broker.cancel(["a"])
    broker.client.hset(broker.keys.held(WORKER), "a", hold)

    assert broker.asked(WORKER) == []
    assert [request.id for request in broker.asked("w2")] == ["a"]


def test_a_worker_that_nobody_knows_is_told_nothing(broker: RedisBroker) -> None:
    assert broker.asked("nobody") == []


def test_a_worker_is_not_told_of_what_waits_already(broker: RedisBroker) -> None:
    """Half of a script may have left the hold of an attempt that has ended."""
    broker.enqueue(jobs("a"))
    (lease,) = claim(broker)
    hold = broker.client.hget(broker.keys.held(WORKER), "a")
    end(broker, lease, State.RETRYABLE, delay=HOUR)
    broker.client.hset(broker.keys.held(WORKER), "a", hold)

    assert broker.asked(WORKER) == []
