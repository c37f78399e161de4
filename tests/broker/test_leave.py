"""Strike a worker off."""

from __future__ import annotations

from django_backie.broker.redis import RedisBroker

from .support import WORKER, claim, end, job


def test_a_worker_without_jobs_leaves_no_trace(broker: RedisBroker) -> None:
    broker.join(WORKER, info="{}")

    assert broker.leave(WORKER) is True
    assert broker.client.exists(broker.keys["w"], broker.keys["wi"], broker.keys.held(WORKER)) == 0
    assert broker.turn(WORKER).fenced


def test_a_worker_that_holds_a_job_stays(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)

    assert broker.leave(WORKER) is False
    assert end(broker, lease) == "OK"
    assert broker.leave(WORKER) is True


def test_leaving_twice_is_no_error(broker: RedisBroker) -> None:
    broker.join(WORKER)
    broker.leave(WORKER)

    assert broker.leave(WORKER) is True


def test_the_others_stay(broker: RedisBroker) -> None:
    broker.join("w1")
    broker.join("w2")
    broker.leave("w1")

    assert not broker.turn("w2").fenced
