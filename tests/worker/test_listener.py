"""The thread that waits for jobs must outlive whatever Redis answers."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Turn
from django_backie.exceptions import BrokerError
from django_backie.worker import listener
from django_backie.worker.listener import Heard
from django_backie.worker.options import WorkerOptions

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
    for expected in (Heard("w1", 3), Heard("w1", 3, NOTHING)):
        thread.arm("w1", 3)
        assert inbox.get(timeout=5) == expected
        thread.heard()
    thread.stop()


def test_it_waits_once_until_the_worker_has_heard(broker: RedisBroker) -> None:
    inbox: queue.SimpleQueue[Heard] = queue.SimpleQueue()
    thread = listener.ListenerThread(broker, WorkerOptions(), inbox.put)
    thread._listener = _Answers(NOTHING, NOTHING)  # type: ignore[assignment]
    thread.start()
    thread.arm("w1", 3)
    inbox.get(timeout=5)
    thread.arm("w1", 4)
    assert thread.is_armed
    thread.heard()
    thread.arm("w1", 5)
    assert inbox.get(timeout=5).limit == 5
    thread.stop()
