"""Workers that are stopping: what is killed with them has not crashed."""

from __future__ import annotations

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State

from .support import WORKER, claim, job, lose, record, vanish


def started(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    broker.renew({WORKER: ["a"]})


@pytest.mark.parametrize("by_parent", [True, False])
def test_a_job_that_is_lost_from_a_stopping_worker_is_not_charged(broker: RedisBroker, by_parent: bool) -> None:
    started(broker)
    assert broker.stopping([WORKER]) == 1
    if by_parent:
        lose(broker, started=["a"])
    else:
        vanish(broker)

    found = record(broker, "a")
    assert (found.state, found.attempt, found.crashes) == (State.READY, 0, 0)


def test_a_worker_of_the_same_name_is_charged_again(broker: RedisBroker) -> None:
    started(broker)
    broker.stopping([WORKER])
    lose(broker, started=["a"])
    claim(broker)
    lose(broker, started=["a"])

    assert record(broker, "a").crashes == 1


def test_a_worker_that_leaves_is_not_stopping_any_more(broker: RedisBroker) -> None:
    broker.join(WORKER)
    broker.stopping([WORKER])
    broker.leave(WORKER)

    assert broker.client.exists(broker.keys["ws"]) == 0


def test_a_worker_that_is_not_registered_leaves_no_trace(broker: RedisBroker) -> None:
    assert broker.stopping(["gone"]) == 0
    assert broker.client.exists(broker.keys["ws"]) == 0
