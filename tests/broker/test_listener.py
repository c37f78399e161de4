"""Waiting for jobs and taking the first is one round trip."""

from __future__ import annotations

import threading
from typing import Any
from unittest import mock

import pytest
import redis

from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.conf import Config
from django_backie.exceptions import BrokerUnavailable
from tests.helpers import counted

from .support import WORKER, claim, forgotten, ids_of, job, jobs, make_due, taken


@pytest.fixture
def worker(broker: RedisBroker) -> str:
    """Return a worker that is registered; the server has seen the script of a turn."""
    broker.join(WORKER)
    broker.turn(WORKER)
    return WORKER


def test_a_job_that_comes_while_one_waits_is_taken_in_the_same_round_trip(broker: RedisBroker, worker: str) -> None:
    listener = Listener(broker, ["mail"], "only", longest=10.0)
    arrival = threading.Timer(0.03, broker.enqueue, [[job("a", queue="mail")]])
    arrival.start()
    with counted() as counts:
        assert ids_of(taken(listener.take(10.0, worker, 5))) == ["a"]
    arrival.join()

    assert counts["PIPELINE"] == 1


def test_no_more_than_wanted_is_taken_and_the_rest_wakes_another(broker: RedisBroker, worker: str) -> None:
    broker.enqueue(jobs("abc"))
    first, second = (Listener(broker, [], "all", longest=1.0) for _ in range(2))

    assert ids_of(taken(first.take(1.0, worker, 2))) == ["a", "b"]
    assert ids_of(taken(second.take(1.0, worker, 2))) == ["c"]


def test_what_has_fallen_due_is_taken_though_no_marker_was_set(broker: RedisBroker, worker: str) -> None:
    broker.enqueue([job("a", run_after=4e9)])
    make_due(broker, "a")

    assert ids_of(taken(Listener(broker, [], "all", longest=1.0).take(0.01, worker, 1))) == ["a"]


def test_only_jobs_of_the_served_queues_are_taken(broker: RedisBroker, worker: str) -> None:
    broker.enqueue([job("a", queue="mail"), job("b", queue="slow")])

    assert ids_of(taken(Listener(broker, ["slow"], "only", longest=1.0).take(1.0, worker, 9))) == ["b"]
    assert taken(Listener(broker, ["mail"], "all", longest=1.0).take(0.01, worker, 9)) == []
    assert ids_of(claim(broker)) == ["a"]


def test_a_worker_that_was_struck_off_takes_nothing(broker: RedisBroker, worker: str) -> None:
    broker.bury(worker)
    broker.enqueue([job("a")])
    turn = Listener(broker, [], "all", longest=1.0).take(1.0, worker, 1)

    assert turn is not None
    assert (turn.fenced, turn.leases) == (True, [])


def test_a_server_that_has_forgotten_the_script_takes_nothing(broker: RedisBroker, worker: str) -> None:
    broker.enqueue([job("a")])
    with forgotten("turn"):
        assert Listener(broker, [], "all", longest=1.0).take(0.01, worker, 1) is None

    assert ids_of(broker.turn(worker, limit=1).leases) == ["a"]


def test_it_never_blocks_for_ever(broker: RedisBroker, worker: str) -> None:
    listener = Listener(broker, [], "all", longest=0.01)

    assert taken(listener.take(0.0, worker, 1)) == []
    assert taken(listener.take(3600.0, worker, 1)) == []


class _Refused:
    """Stands for a client whose wait is refused; the second command was carried out all the same."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.connection_pool = mock.Mock()

    def pipeline(self, transaction: bool) -> Any:
        return self

    def bzpopmin(self, *arguments: Any) -> None:
        """Be part of the pipeline."""

    evalsha = bzpopmin

    def execute(self, raise_on_error: bool) -> list[Any]:
        return [self.error, ["OK", [], [], 0, -1]]


def test_one_that_is_thrown_out_while_it_waits_says_so(broker: RedisBroker) -> None:
    listener = Listener(broker, ["mail"], "only", longest=1.0)
    listener._client = _Refused(redis.exceptions.ResponseError("UNBLOCKED by CLIENT UNBLOCK"))  # type: ignore[assignment]

    with pytest.raises(BrokerUnavailable, match="UNBLOCKED"):
        listener.take(1.0, WORKER, 1)


def test_the_connections_to_a_server_that_was_demoted_are_given_up(broker: RedisBroker) -> None:
    listener = Listener(broker, ["mail"], "only", longest=1.0)
    client = _Refused(redis.exceptions.ReadOnlyError("READONLY"))
    listener._client = client  # type: ignore[assignment]
    with pytest.raises(BrokerUnavailable, match="READONLY"):
        listener.take(1.0, WORKER, 1)

    client.connection_pool.disconnect.assert_called_once_with()


def test_without_a_server_it_says_so(namespace: str) -> None:
    away = RedisBroker(Config(alias="default", url="unix:///nowhere/redis.sock", namespace=namespace))

    with pytest.raises(BrokerUnavailable, match=r"/nowhere/redis\.sock"):
        Listener(away, [], "all", longest=1.0).take(0.01, WORKER, 1)
