"""Ask whether a lease still stands."""

from __future__ import annotations

from django_backie.broker.redis import RedisBroker

from .support import WORKER, claim, end, job, lose


def test_a_leased_job_is_its_workers(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)

    assert broker.is_mine(WORKER, "a", lease.token)
    assert not broker.is_mine("other", "a", lease.token)


def test_an_ended_attempt_is_nobodys(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    end(broker, lease)

    assert not broker.is_mine(WORKER, "a", lease.token)


def test_the_attempt_of_a_dead_worker_is_not_its_own(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    lose(broker)

    assert not broker.is_mine(WORKER, "a", lease.token)


def test_an_earlier_attempt_of_the_same_worker_is_not_the_present_one(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (first,) = claim(broker)
    lose(broker)
    (second,) = claim(broker)

    assert not broker.is_mine(WORKER, "a", first.token)
    assert broker.is_mine(WORKER, "a", second.token)
