"""Which job has a unique key; see also ``test_unique.py``."""

from __future__ import annotations

from django_backie.broker.redis import RedisBroker

from .support import job


def test_each_key_is_answered_in_its_place(broker: RedisBroker) -> None:
    broker.enqueue([job("a", unique="e1"), job("b", unique="s2")])

    assert broker.holders(["s2", "e3", "e1"]) == ["b", "", "a"]


def test_no_keys_are_no_question(broker: RedisBroker) -> None:
    assert broker.holders([]) == []


def test_to_ask_changes_nothing(broker: RedisBroker) -> None:
    broker.client.hset(broker.keys["u"], "e1", "gone")

    assert broker.holders(["e1"]) == [""]
    assert broker.client.hgetall(broker.keys["u"]) == {"e1": "gone"}
