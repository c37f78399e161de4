"""Tell a worker what it holds."""

from __future__ import annotations

from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State

from .support import HOUR, WORKER, claim, end, ids_of, job, jobs, lose, make_due


def test_a_worker_whose_reply_was_lost_gets_the_same_leases(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    lost = claim(broker, 2)

    assert sorted(broker.held(WORKER), key=lambda lease: lease.id) == lost


def test_the_history_comes_with_the_lease(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0], State.RETRYABLE, delay=HOUR, note='{"n":1}')
    make_due(broker, "a")
    lost = claim(broker)

    assert broker.held(WORKER) == lost
    assert lost[0].attempts() == ({"n": 1},)


def test_what_has_ended_is_not_held(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    end(broker, claim(broker, 2)[0])

    assert ids_of(broker.held(WORKER)) == ["b"]


def test_a_worker_that_was_taken_off_holds_nothing(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    lose(broker)

    assert broker.held(WORKER) == []


def test_a_hold_whose_job_is_gone_is_dropped(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    broker.client.hdel(broker.keys["b"], "a")

    assert broker.held(WORKER) == []
    assert broker.turn(WORKER).held == 0


def test_a_hold_whose_job_runs_elsewhere_is_dropped(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker, worker="w1")
    hold = broker.client.hgetall(broker.keys.held("w1"))
    lose(broker, "w1")
    claim(broker, worker="w2")
    broker.client.hset(broker.keys.held("w1"), mapping=hold)

    assert broker.held("w1") == []
    assert ids_of(broker.held("w2")) == ["a"]
