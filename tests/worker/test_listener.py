"""The thread that waits for jobs must outlive whatever Redis answers."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Ending, Turn
from django_backie.conf import Config
from django_backie.core.states import State
from django_backie.exceptions import BrokerError, BrokerUnavailable
from django_backie.worker import listener
from django_backie.worker.listener import Heard, Wanted
from django_backie.worker.options import WorkerOptions
from tests.broker.support import WORKER, jobs

NOTHING = Turn(fenced=False, answers=[], leases=[], held=0, next_due=None)


class _Answers:
    """Stands for the blocking connection; each wait takes the next answer."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def take(self, seconds: float, worker: str, limit: int) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("error", [BrokerError("UNBLOCKED"), RuntimeError("whatever")])
def test_an_error_wakes_the_worker_and_the_next_wait_works(
    broker: RedisBroker, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(listener, "PAUSE", 0.001)
    inbox: queue.SimpleQueue[Heard] = queue.SimpleQueue()
    thread = listener.ListenerThread(broker, WorkerOptions(), inbox.put)
    thread._listener = _Answers(error, NOTHING)  # type: ignore[assignment]
    thread.start()
    for expected in (None, NOTHING):
        thread.want(Wanted("w1", 3))
        assert inbox.get(timeout=5).turn == expected
        thread.heard()
    thread.stop()


def test_it_gets_one_thing_at_a_time_until_the_worker_has_heard(broker: RedisBroker) -> None:
    inbox: queue.SimpleQueue[Heard] = queue.SimpleQueue()
    thread = listener.ListenerThread(broker, WorkerOptions(), inbox.put)
    thread._listener = _Answers(NOTHING, NOTHING)  # type: ignore[assignment]
    thread.start()
    thread.want(Wanted("w1", 3))
    inbox.get(timeout=5)
    thread.want(Wanted("w1", 4))
    assert thread.is_busy
    thread.heard()
    thread.want(Wanted("w1", 5))
    assert inbox.get(timeout=5).wanted.limit == 5
    thread.stop()


def test_endings_are_told_at_once_and_nobody_else_may_tell_them_meanwhile(redis_url: str, namespace: str) -> None:
    broker = RedisBroker(Config(alias="default", url=redis_url, namespace=namespace))
    broker.join(WORKER)
    broker.enqueue(jobs("ab"))
    (first,) = broker.turn(WORKER, limit=1).leases
    inbox: queue.SimpleQueue[Heard] = queue.SimpleQueue()
    thread = listener.ListenerThread(broker, WorkerOptions(), inbox.put)
    thread.start()
    thread.want(Wanted(WORKER, 1, [Ending(first.id, first.token, State.SUCCESSFUL)]))
    assert thread.is_telling
    turn = inbox.get(timeout=5).turn
    thread.heard()
    thread.stop()

    assert turn is not None
    assert (turn.answers, [lease.id for lease in turn.leases]) == (["OK"], ["b"])
    assert not thread.is_telling
    broker.erase(["a", "b"])


def test_what_cannot_be_sent_is_not_waited_for(namespace: str) -> None:
    away = RedisBroker(Config(alias="default", url="unix:///nowhere/redis.sock", namespace=namespace))
    thread = listener.ListenerThread(away, WorkerOptions(), lambda heard: None)
    with pytest.raises(BrokerUnavailable):
        thread.want(Wanted(WORKER, 1, ()))

    assert not thread.is_busy


def test_an_answer_that_was_lost_is_put_with_what_was_to_be_told(broker: RedisBroker) -> None:
    inbox: queue.SimpleQueue[Heard] = queue.SimpleQueue()
    thread = listener.ListenerThread(broker, WorkerOptions(), inbox.put)
    thread._asking = _Lost()  # type: ignore[assignment]
    thread.start()
    wanted = Wanted(WORKER, 1, ())
    thread.want(wanted)
    heard = inbox.get(timeout=5)
    thread.stop()

    assert (heard.wanted, heard.turn, type(heard.error)) == (wanted, None, BrokerUnavailable)


class _Lost:
    """Takes every question and answers none."""

    def ask(self, *arguments: Any) -> None:
        """Take it."""

    def answer(self) -> Any:
        raise BrokerUnavailable("cut off")

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(
    ("options", "queues", "mode"),
    [
        (WorkerOptions(queues=("mail",)), ("mail",), "only"),
        (WorkerOptions(exclude_queues=("mail",)), ("mail",), "all"),
    ],
)
def test_it_waits_for_the_queues_that_the_worker_serves(
    broker: RedisBroker, options: WorkerOptions, queues: tuple[str, ...], mode: str
) -> None:
    thread = listener.ListenerThread(broker, options, lambda heard: None)

    assert (thread._listener._queues, thread._listener._mode) == (queues, mode)
