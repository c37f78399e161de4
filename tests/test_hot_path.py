"""How much Python runs for a job that does nothing: function calls are counted, without a clock.

A bound stands a little above what is needed now. Who goes beyond it has added work to every job of every project: make
it cheaper, or do it only where a job asks for it, before the bound is raised.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest

from django_backie import compat
from django_backie.broker.replies import Lease
from django_backie.clock import SYSTEM
from django_backie.worker.board import Board
from django_backie.worker.options import WorkerOptions, worker_name
from django_backie.worker.report import log_finished
from django_backie.worker.worker import Worker
from tests.app.tasks import add

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

JOBS = 100


def calls_per_job(work: Callable[[], object]) -> float:
    """Return how many functions written in Python are called, for each of a hundred jobs."""
    work()  # what is kept from the first time on
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1

    before = sys.getprofile()
    # What is collected meanwhile may call others' functions.
    gc.disable()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return sum(calls.values()) / JOBS


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Let Django log no successes, as it is in a worker that shows its own lines."""
    level = compat.LOGGER.level
    compat.LOGGER.setLevel(logging.WARNING)
    yield
    compat.LOGGER.setLevel(level)


@pytest.fixture
def worker(backend: Any) -> Worker:
    """Return a worker that holds its lease."""
    made = Worker(backend, WorkerOptions(threads=1), worker_name(), Board(101), log_finished)
    made._board.renewed(SYSTEM.monotonic())
    return made


@pytest.fixture
def leases(backend: Any) -> list[Lease]:
    entries = backend.make_entries(add, [((number, 1), {}) for number in range(JOBS)])
    return [Lease(entry.packed.id, 1, 1, 0, entry.packed.body, SYSTEM.now(), "") for entry in entries]


def test_opening_a_lease_takes_few_calls(worker: Worker, leases: list[Lease]) -> None:
    assert calls_per_job(lambda: [worker._executor.open(lease, "w") for lease in leases]) <= 27


def test_running_an_attempt_takes_few_calls(worker: Worker, leases: list[Lease]) -> None:
    attempts = [worker._executor.open(lease, worker.name) for lease in leases]

    def work() -> None:
        for attempt in attempts:
            worker._pools.threads._run(0, attempt)  # type: ignore[arg-type]

    # In a thread of its own: this one has connections to a database, as only threads have whose jobs use one.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(calls_per_job, work).result() <= 56


def test_making_many_jobs_takes_few_calls(backend: Any) -> None:
    calls = [((number, 1), {}) for number in range(JOBS)]
    assert calls_per_job(lambda: backend.make_entries(add, calls)) <= 29


def test_enqueueing_many_jobs_takes_few_calls() -> None:
    calls = [(number, 1) for number in range(JOBS)]
    assert calls_per_job(lambda: add.using(durability="commit").delay_many(calls)) <= 52
