"""A queue goes on after a pause."""

from __future__ import annotations

from django_backie.broker import inspect
from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Pause

from .support import WORKER, ids_of, job, jobs, order, taken, woken

PAUSE = Pause(1.0)


def test_a_resumed_queue_goes_on_where_it_was(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    broker.pause("default", PAUSE)
    broker.enqueue([job("c"), job("d", priority=1)])

    assert broker.resume("default") is True
    assert order(broker) == ["d", "a", "b", "c"]


def test_other_queues_stay_paused(broker: RedisBroker) -> None:
    broker.pause("default", PAUSE)
    broker.pause("mail", PAUSE)
    broker.resume("default")

    assert inspect.pauses(broker).keys() == {"mail"}


def test_a_queue_that_is_not_paused_may_be_resumed(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])

    assert broker.resume("default") is False
    assert order(broker) == ["a"]


def test_a_worker_that_waits_takes_what_is_there(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    broker.pause("default", PAUSE)
    broker.join(WORKER)
    # The server knows the script from then on.
    broker.turn(WORKER)
    for listener in (Listener(broker, [], "all", longest=1.0), Listener(broker, ["default"], "only", longest=1.0)):
        while woken(listener):
            pass
        assert taken(listener.take(0.01, WORKER, 1)) == []
    markers = [broker.keys.marker(None), broker.keys.marker("default")]
    broker.client.delete(*markers)
    broker.resume("default")

    assert broker.client.exists(*markers) == 2
    assert ids_of(taken(listener.take(1.0, WORKER, 1))) == ["a"]
    # And wakes the next.
    assert woken(Listener(broker, ["default"], "only", longest=1.0))
    assert woken(Listener(broker, [], "all", longest=1.0))


def test_a_queue_without_jobs_wakes_nobody(broker: RedisBroker) -> None:
    broker.pause("default", PAUSE)
    broker.resume("default")

    assert not woken(Listener(broker, [], "all", longest=1.0))
