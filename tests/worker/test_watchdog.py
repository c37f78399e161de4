"""What keeps threads and the loop from going on is told, once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from django_backie import task
from django_backie.exceptions import TaskTimeout
from django_backie.worker.attempt import Finished
from django_backie.worker.board import Board
from django_backie.worker.executor import Executor
from django_backie.worker.options import WorkerOptions
from django_backie.worker.pools.both import Pools
from django_backie.worker.watchdog import LOOK_EVERY, Watchdog
from tests.helpers import StandingClock, lease
from tests.lifecycle.conftest import until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

PATIENCE = 10.0
# What the tasks of this page wait for, and what tells that they do.
GATE, BEGUN, INTERRUPTED = threading.Event(), threading.Event(), threading.Event()


@task(timeout=30)
def deaf() -> None:
    """Go on when the time is up."""
    BEGUN.set()
    try:
        while not GATE.wait(0.01):
            pass
    except TaskTimeout:
        INTERRUPTED.set()
        GATE.wait()


@task
async def blocking() -> None:
    """Wait where nobody may."""
    BEGUN.set()
    GATE.wait()


@task
async def patient() -> None:
    """Be there."""


def told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what the worker has logged; Django logs the jobs."""
    return [record for record in caplog.records if record.name == "django_backie.worker"]


class Stage:
    """Pools with a clock that stands, and their watchdog."""

    def __init__(self, backend: Any, patience: float | None = PATIENCE) -> None:
        options = WorkerOptions(threads=1, async_concurrency=3)
        self.backend, self.clock, self.finished = backend, StandingClock(), list[Finished]()
        self.executor = Executor(backend, self.clock)
        self.pools = Pools(options, self.executor, self.finished.append, Board(4), self.clock)
        self.watchdog = Watchdog(self.pools, patience, self.clock)
        self.pools.start()

    def run(self, *tasks: Any) -> list[str]:
        """Run jobs of tasks; return their ids."""
        results = [one.delay() for one in tasks]
        self.pools.submit([self.executor.open(found, "w") for found in lease(self.backend)])  # type: ignore[misc]
        return [result.id for result in results]

    def pass_time(self, seconds: float) -> None:
        """Move the clock and look, as the worker's main thread does."""
        self.clock.time += seconds
        self.pools.enforce_timeouts()
        self.watchdog.look()


@pytest.fixture
def stage(backend: Any) -> Iterator[Stage]:
    """Return a stage whose jobs go on at the end."""
    for event in (GATE, BEGUN, INTERRUPTED):
        event.clear()
    made = Stage(backend)
    yield made
    GATE.set()
    made.pools.stop()


def test_a_thread_that_goes_on_after_its_timeout_is_told_once_with_its_stack(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    (job,) = stage.run(deaf)
    BEGUN.wait()
    stage.pass_time(30)
    INTERRUPTED.wait()
    stage.pass_time(PATIENCE)
    assert told(caplog) == []
    for _ in range(3):
        stage.pass_time(LOOK_EVERY)
    (record,) = told(caplog)
    assert record.levelname == "WARNING"
    text = record.getMessage()
    assert text.startswith(f"job {job} (tests.worker.test_watchdog.deaf) goes on 11 s after its timeout")
    assert "in deaf\n    GATE.wait()" in text


def test_a_thread_that_heeds_its_timeout_is_not_told(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.run(deaf)
    BEGUN.wait()
    GATE.set()
    until(lambda: stage.finished)
    stage.pass_time(30 + 2 * PATIENCE)
    assert told(caplog) == []


def test_a_loop_that_a_job_blocks_is_told_once_with_the_job_and_its_stack(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    (job,) = stage.run(blocking)
    BEGUN.wait()
    stage.pass_time(1)
    stage.pass_time(PATIENCE)
    assert told(caplog) == []
    for _ in range(3):
        stage.pass_time(LOOK_EVERY)
    (record,) = told(caplog)
    assert record.levelname == "WARNING"
    text = record.getMessage()
    name = f"job {job} (tests.worker.test_watchdog.blocking)"
    assert text.startswith(f"the event loop has not turned for 11 s, blocked by {name}")
    assert "in blocking\n    GATE.wait()" in text


def test_a_loop_that_is_blocked_again_is_told_again(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        GATE.clear()
        BEGUN.clear()
        stage.run(blocking)
        BEGUN.wait()
        stage.pass_time(1)
        stage.pass_time(PATIENCE + 1)
        ended = len(stage.finished) + 1
        GATE.set()
        until(lambda ended=ended: len(stage.finished) == ended and stage.pools.loop._asked is None)
    assert len(told(caplog)) == 2


def test_a_loop_that_turns_is_not_told(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.run(patient)
    until(lambda: stage.finished)
    for _ in range(3):
        stage.pass_time(PATIENCE)
        until(lambda: stage.pools.loop._asked is None)
    assert told(caplog) == []


def test_a_loop_may_answer_in_the_very_moment_of_the_question(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage.run(patient)
    until(lambda: stage.finished)
    with monkeypatch.context() as patch:
        patch.setattr(stage.pools.loop._loop, "call_soon_threadsafe", lambda answer: answer())
        assert stage.pools.blocked(1.0, PATIENCE) == []

    assert stage.pools.loop._asked is None
    assert told(caplog) == []


def test_without_patience_nothing_is_told(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    for event in (GATE, BEGUN):
        event.clear()
    stage = Stage(backend, None)
    stage.run(blocking)
    BEGUN.wait()
    stage.pass_time(1)
    stage.pass_time(1e9)
    GATE.set()
    stage.pools.stop()
    assert told(caplog) == []
