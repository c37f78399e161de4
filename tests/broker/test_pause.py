"""A paused queue takes jobs in and gives none out."""

from __future__ import annotations

import pytest

from django_backie.broker import inspect
from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Pause
from django_backie.core.states import State

from .support import HOUR, WORKER, claim, end, far_future, ids_of, job, jobs, make_due, now_ms, order, record, woken

ALWAYS = Pause(1.0, reason="provider | is down\n…", by='an"n')


def test_nothing_is_given_out(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    broker.pause("default", ALWAYS)
    broker.enqueue([job("c")])

    assert claim(broker, 5) == []
    assert inspect.ready_counts(broker) == {"default": 3}


@pytest.mark.parametrize("named", [{}, {"queues": ["mail", "slow"], "mode": "only"}, {"queues": ["x"], "mode": "all"}])
def test_other_queues_do_not_wait(broker: RedisBroker, named: dict) -> None:
    broker.enqueue([job("a", queue="mail", priority=100), job("b", queue="slow"), job("c", queue="mail")])
    broker.pause("mail", ALWAYS)

    assert order(broker, **named) == ["b"]


def test_a_worker_of_the_paused_queue_alone_gets_nothing(broker: RedisBroker) -> None:
    broker.enqueue([job("a", queue="mail")])
    broker.pause("mail", ALWAYS)

    assert order(broker, queues=["mail"], mode="only") == []


def test_what_runs_ends_and_what_comes_back_waits(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    first, second, third = claim(broker, 3)
    broker.pause("default", ALWAYS)

    assert end(broker, first) == "OK"
    assert end(broker, second, State.READY, refund=True) == "OK"
    assert end(broker, third, State.RETRYABLE, delay=HOUR) == "OK"
    make_due(broker, "c")
    assert claim(broker, 5) == []

    broker.resume("default")
    assert order(broker) == ["b", "c"]


def test_what_falls_due_waits_in_its_queue(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])
    make_due(broker, "a")
    broker.pause("default", ALWAYS)
    broker.join(WORKER)
    turn = broker.turn(WORKER, limit=1)

    assert (turn.leases, turn.next_due) == ([], None)
    assert record(broker, "a").state is State.READY


def test_a_pause_is_over_when_its_time_has_come(broker: RedisBroker) -> None:
    """No tick is needed for it: workers that ask look for themselves."""
    broker.enqueue([job("a")])
    broker.pause("default", Pause(1.0, until=now_ms(broker) / 1000 + HOUR))
    assert claim(broker) == []

    broker.pause("default", Pause(1.0, until=now_ms(broker) / 1000))
    assert inspect.pauses(broker) == {}
    assert ids_of(claim(broker)) == ["a"]


def test_a_tick_ends_what_is_over_and_wakes_who_waits(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.pause("default", ALWAYS)
    broker.pause("mail", ALWAYS)
    listener = Listener(broker, ["default"], "only", longest=1.0)
    assert woken(listener)
    broker.pause("default", Pause(1.0, until=2.0))
    broker.tick()

    assert inspect.pauses(broker).keys() == {"mail"}
    assert broker.client.hkeys(broker.keys["p"]) == ["mail"]
    assert woken(listener)


def test_a_tick_wakes_nobody_for_a_queue_without_jobs(broker: RedisBroker) -> None:
    broker.pause("default", Pause(1.0, until=2.0))
    broker.tick()

    assert broker.client.exists(broker.keys.marker(None), broker.keys.marker("default")) == 0


@pytest.mark.parametrize("named", [([], "all"), (["default"], "only"), (["x"], "all")])
def test_a_worker_that_was_woken_for_it_wakes_no_other(broker: RedisBroker, named: tuple) -> None:
    broker.enqueue(jobs("abc"))
    broker.pause("default", ALWAYS)
    listener = Listener(broker, *named, longest=1.0)
    while woken(listener):
        pass
    queues, mode = named
    broker.join(WORKER)
    broker.turn(WORKER, limit=3, queues=queues, mode=mode)

    assert not woken(listener)


def test_a_worker_that_stops_passes_no_marker_of_it_on(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.pause("default", ALWAYS)
    listener = Listener(broker, [], "all", longest=1.0)
    assert woken(listener)
    broker.join(WORKER)
    broker.stopping([WORKER])
    broker.turn(WORKER, limit=1)

    assert not woken(listener)


def test_everything_about_it_can_be_read(broker: RedisBroker) -> None:
    broker.pause("default", ALWAYS)
    until = now_ms(broker) / 1000 + HOUR
    broker.pause("a|b", Pause(5.125, until))

    assert inspect.pauses(broker) == {"a|b": Pause(5.125, until), "default": ALWAYS}


def test_a_second_pause_takes_the_place_of_the_first(broker: RedisBroker) -> None:
    broker.pause("default", ALWAYS)
    broker.pause("default", Pause(1.0, reason="another"))

    assert inspect.pauses(broker) == {"default": Pause(1.0, reason="another")}
