"""Register a worker."""

from __future__ import annotations

import pytest

from django_backie.broker.redis import RedisBroker

from .support import WORKER, claim, job, lapse, now_ms


def test_a_worker_has_one_lease(broker: RedisBroker) -> None:
    broker.join(WORKER)

    left = broker.client.zscore(broker.keys["w"], WORKER) - now_ms(broker)

    assert left == pytest.approx(broker.config.lease * 1000, abs=1000)


def test_what_a_worker_says_of_itself_is_kept(broker: RedisBroker) -> None:
    broker.join(WORKER, info='{"host":"ä"}')

    assert broker.client.hget(broker.keys["wi"], WORKER) == '{"host":"ä"}'


def test_joining_again_renews_the_lease_and_keeps_what_is_held(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    lapse(broker)
    broker.join(WORKER)

    assert broker.tick().buried == 0
    assert [lease.id for lease in broker.held(WORKER)] == ["a"]
