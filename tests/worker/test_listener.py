"""The thread that waits for work must outlive whatever Redis answers."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.exceptions import BrokerError
from django_backie.worker import listener
from django_backie.worker.options import WorkerOptions


class _Answers:
    """Stands for the blocking connection; each wait takes the next answer."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def wait(self, seconds: float) -> bool:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("error", [BrokerError("UNBLOCKED"), RuntimeError("whatever")])
def test_an_error_wakes_the_worker_and_the_next_wait_works(
    broker: RedisBroker, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(listener, "PAUSE", 0.001)
    inbox: queue.SimpleQueue[str] = queue.SimpleQueue()
    thread = listener.ListenerThread(broker, WorkerOptions(), inbox.put)
    thread._listener = _Answers(error, True)  # type: ignore[assignment]
    thread.start()
    for _ in range(2):
        thread.arm()
        assert inbox.get(timeout=5) == listener.WAKE
    thread.stop()
