"""Move the lease end of workers."""

from __future__ import annotations

import pytest

from django_backie.broker.redis import RedisBroker

from .support import claim, job, jobs, lapse, lose, now_ms, order, record, vanish


def test_the_lease_ends_one_lease_from_now(broker: RedisBroker) -> None:
    broker.join("w1")
    lapse(broker, "w1")

    assert broker.renew({"w1": []}) == {"w1": True}
    left = broker.client.zscore(broker.keys["w"], "w1") - now_ms(broker)
    assert left == pytest.approx(broker.config.lease * 1000, abs=1000)


def test_a_worker_that_was_taken_off_is_told_and_not_brought_back(broker: RedisBroker) -> None:
    broker.join("w1")
    lose(broker, "w1")

    assert broker.renew({"w1": ["a"]}) == {"w1": False}
    assert broker.turn("w1").fenced


def test_each_worker_gets_its_own_answer(broker: RedisBroker) -> None:
    broker.join("w1")
    broker.join("w3")

    assert broker.renew({"w1": ["a", "b"], "w2": ["c"], "w3": []}) == {"w1": True, "w2": False, "w3": True}


def test_jobs_are_marked_as_started_at_their_own_worker(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abcd"))
    claim(broker, 2, worker="w1")
    claim(broker, 2, worker="w2")
    broker.renew({"w1": ["a", "c"], "w2": ["d"]})
    vanish(broker, "w1")
    vanish(broker, "w2")

    assert [record(broker, job_id).crashes for job_id in "abcd"] == [1, 0, 0, 1]


def test_a_started_job_keeps_its_place(broker: RedisBroker) -> None:
    broker.enqueue([job("a", queue="q|7", priority=3), job("b", queue="q|7", priority=3)])
    claim(broker, worker="w1")
    broker.renew({"w1": ["a"]})
    broker.renew({"w1": ["a"]})
    lose(broker, "w1")

    assert order(broker) == ["a", "b"]


def test_a_job_that_the_worker_does_not_hold_is_no_error(broker: RedisBroker) -> None:
    broker.join("w1")

    assert broker.renew({"w1": ["gone"]}) == {"w1": True}
    assert broker.held("w1") == []


def test_nobody_to_renew_is_no_error(broker: RedisBroker) -> None:
    assert broker.renew({}) == {}
