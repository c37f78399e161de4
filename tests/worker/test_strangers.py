"""Jobs that this worker does not understand: a newer release may, so they wait, and nothing is charged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from django_backie.broker.replies import Lease
from django_backie.core import codec
from django_backie.core.states import State
from django_backie.worker.attempt import Finished
from django_backie.worker.executor import Executor
from tests.rows import make_job

MET = 1_000.0


class Clock:
    """Stands at the age of a job's first meeting with a worker."""

    def __init__(self, age: float) -> None:
        self.age = age

    def now(self) -> float:
        return MET + self.age

    def monotonic(self) -> float:
        return self.now()


def met(backend: Any, age: float, *, version: str = "1", history: str = "") -> Finished:
    job = make_job(task="newer.tasks.work", created=MET - 100_000)
    body = version + codec.pack(job, backend.signer, 1000).body.removeprefix("1")
    finished = Executor(backend, Clock(age)).open(Lease(job.id, 1, 1, 0, body, MET, history), "w")
    assert isinstance(finished, Finished)
    return finished


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize(("age", "delay"), [(0, 1), (1.9, 1), (2, 5), (25, 15), (100, 60), (500, 300), (1799, 900)])
def test_a_stranger_is_put_back_for_longer_and_longer(backend: Any, age: float, delay: float, version: str) -> None:
    ending = met(backend, age, version=version).ending
    assert (ending.state, ending.delay, ending.refund) == (State.SCHEDULED, delay, True)


@pytest.mark.parametrize(("version", "reason"), [("1", "unknown task: "), ("2", "newer body: ")])
def test_a_stranger_is_parked_in_the_end_under_its_name(backend: Any, version: str, reason: str) -> None:
    ending = met(backend, 1800, version=version).ending
    assert (ending.state, ending.refund) == (State.BLOCKED, True)
    assert ending.reason.startswith(reason)


def test_the_time_in_which_others_have_tried_the_job_does_not_count(backend: Any) -> None:
    note = json.dumps({"n": 1, "w": "w", "s": MET, "e": MET + 10_000, "o": "failed"})
    ending = met(backend, 10_001, history=f"\n{note}").ending
    assert (ending.state, ending.delay) == (State.SCHEDULED, 1)


def test_an_unreadable_body_is_parked_at_once(backend: Any) -> None:
    ending = met(backend, 0, version="0").ending
    assert (ending.state, ending.refund) == (State.BLOCKED, True)
