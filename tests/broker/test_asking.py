"""A turn in two halves is the same as one in one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from unittest import mock

import pytest
import redis

from django_backie.broker.asking import FRESH, Asking
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Ending
from django_backie.conf import Config
from django_backie.core.states import State
from django_backie.exceptions import BrokerUnavailable
from tests.helpers import StandingClock

from .support import WORKER, claim, forgotten, ids_of, job, jobs


@pytest.fixture
def broker(redis_url: str, namespace: str) -> Iterator[RedisBroker]:
    """Return a broker on the real server: what is between question and answer is the network."""
    broker = RedisBroker(Config(alias="default", url=redis_url, namespace=namespace))
    yield broker
    for key in broker.client.scan_iter(f"{namespace}*", count=1000):
        broker.client.delete(key)


@pytest.fixture
def asking(broker: RedisBroker) -> Iterator[Asking]:
    asking = Asking(broker, [], "all")
    yield asking
    asking.close()


def test_the_answer_has_the_jobs_and_what_became_of_the_endings(broker: RedisBroker, asking: Asking) -> None:
    broker.enqueue(jobs("ab"))
    (lease,) = claim(broker)
    asking.ask(WORKER, [Ending("a", lease.token, State.SUCCESSFUL)], 1)
    turn = asking.answer()

    assert (turn.answers, ids_of(turn.leases), turn.held) == (["OK"], ["b"], 1)


def test_the_turn_is_made_though_nobody_has_read_the_answer(broker: RedisBroker, asking: Asking) -> None:
    broker.enqueue([job("a")])
    claim(broker, 0)
    asking.ask(WORKER, (), 1)
    asking.answer()

    assert ids_of(broker.held(WORKER)) == ["a"]


def test_only_the_served_queues_are_asked_for(broker: RedisBroker) -> None:
    broker.enqueue([job("a", queue="mail"), job("b", queue="slow")])
    broker.join(WORKER)
    asking = Asking(broker, ["slow"], "only")
    asking.ask(WORKER, (), 9)

    assert ids_of(asking.answer().leases) == ["b"]
    asking.close()


def test_a_server_that_has_forgotten_the_script_is_asked_once_more(broker: RedisBroker, asking: Asking) -> None:
    broker.enqueue([job("a")])
    broker.join(WORKER)
    with forgotten("turn"):
        asking.ask(WORKER, (), 1)

    assert ids_of(asking.answer().leases) == ["a"]


def test_an_answer_that_comes_too_late_is_not_taken_for_that_to_the_next_question(
    broker: RedisBroker, asking: Asking
) -> None:
    broker.join(WORKER)
    asking.ask(WORKER, (), 1)
    late = mock.patch.object(asking._connection, "read_response", side_effect=redis.exceptions.TimeoutError)
    with late, pytest.raises(BrokerUnavailable):
        asking.answer()
    asking.ask("nobody", (), 1)

    assert asking.answer().fenced


def test_after_a_pause_the_connection_is_made_anew(broker: RedisBroker) -> None:
    clock = StandingClock()
    asking = Asking(broker, [], "all", clock)
    assert not asking.is_fresh
    asking.ask("nobody", (), 0)
    asking.answer()
    assert asking.is_fresh
    asking._connection._sock.shutdown(socket.SHUT_RDWR)  # what the other side does in the meantime
    clock.time += FRESH
    assert not asking.is_fresh
    asking.ask("nobody", (), 0)

    assert asking.answer().fenced
    asking.close()


def test_a_server_that_is_away_cannot_be_asked(namespace: str) -> None:
    away = RedisBroker(Config(alias="default", url="unix:///nowhere/redis.sock", namespace=namespace))

    with pytest.raises(BrokerUnavailable, match="nowhere"):
        Asking(away, [], "all").ask(WORKER, (), 1)
