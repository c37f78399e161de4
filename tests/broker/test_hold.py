"""hold: no job of a limit starts for a time."""

from __future__ import annotations

from django_backie.broker.redis import RedisBroker

from .support import HOUR, now_ms


def test_each_limit_that_is_named_is_held(broker: RedisBroker) -> None:
    broker.hold(["1", "2"], HOUR)

    assert broker.client.zrangebyscore(broker.keys["lh"], now_ms(broker) + HOUR * 900, "+inf") == ["1", "2"]


def test_a_shorter_hold_does_not_end_a_longer_one(broker: RedisBroker) -> None:
    broker.hold(["1"], HOUR)
    broker.hold(["1"], 1.0)

    assert broker.client.zscore(broker.keys["lh"], "1") > now_ms(broker) + HOUR * 900
