"""Eager mode: the worker's executor without a broker, in the thread of the caller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import async_to_sync

from .. import compat, result
from ..base_backend import BackieBackend
from ..broker.replies import Lease, Record
from ..clock import SYSTEM
from ..core.cancellation import Cancellation
from ..core.job import Job, Packed
from ..core.outcome import Outcome
from ..core.states import State
from ..moments import moment
from ..result import TaskResult
from ..worker.attempt import Attempt, Finished
from ..worker.executor import Executor
from ..worker.options import worker_name

_WORKER = worker_name()
# The attempts that run, by the ids of their jobs, and how each is interrupted.
_running: dict[str, tuple[Attempt, Callable[[], object]]] = {}


@dataclass(slots=True, eq=False)
class LocalJob:
    """A job that stays in this process: its handle, its signed body, and the notes of its attempts."""

    handle: TaskResult[Any]
    packed: Packed
    notes: list[str] = field(default_factory=list)
    announced: bool = False

    @property
    def is_due(self) -> bool:
        """Tell whether a worker would take the job now."""
        return self.packed.run_after is None or self.packed.run_after <= SYSTEM.now()


class _EagerExecutor(Executor):
    """Lets Ctrl-C through: in a worker it cannot reach a job, here it is meant for the whole program."""

    def _raised(self, attempt: Attempt, error: BaseException, kind: type[BaseException] | None = None) -> Outcome:
        if isinstance(error, KeyboardInterrupt):
            raise error
        return super()._raised(attempt, error, kind)


def announce(backend: BackieBackend, job: LocalJob) -> None:
    """Say that a job is on its way, as a backend does after its push: once."""
    if job.announced:
        return
    job.announced = True
    object.__setattr__(job.handle, "enqueued_at", moment(_unpacked(backend, job).created))
    compat.task_signals.task_enqueued.send(type(backend), task_result=job.handle)


def run(backend: BackieBackend, job: LocalJob) -> None:
    """Run one attempt, from the signed body; afterwards the handle tells what a worker's job would tell.

    A retry is not waited for: the job is RETRYABLE then, and may be run once more.
    """
    executor = _EagerExecutor(backend)
    attempt = executor.open(_lease(job), _WORKER)
    if isinstance(attempt, Finished):
        finished = attempt
    elif attempt.is_async:
        finished = async_to_sync(_arun)(executor, attempt)
    else:
        with _cancellable(attempt, lambda: None):
            finished = executor.run(attempt)
    if finished.ending.note:
        job.notes.append(finished.ending.note)
    job.handle.copy(result.from_record(job.handle.task, _unpacked(backend, job), _record(job, finished)))


async def _arun(executor: Executor, attempt: Attempt) -> Finished:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker
    # Who asks may sit in a thread of its own.
    with _cancellable(attempt, lambda: loop.call_soon_threadsafe(task.cancel)):
        return await executor.arun(attempt)


@contextmanager
def _cancellable(attempt: Attempt, interrupt: Callable[[], object]) -> Iterator[None]:
    """Let an attempt be found by the id of its job while it runs."""
    _running[attempt.lease.id] = attempt, interrupt
    try:
        yield
    finally:
        del _running[attempt.lease.id]


def cancel(handle: TaskResult[Any], reason: str) -> Cancellation:
    """Cancel a job that waits; ask one that runs to end."""
    attempt, interrupt = _running.get(handle.id, (None, None))
    if attempt is not None and interrupt is not None:
        if attempt.hold.asked is None:
            attempt.hold.asked = reason
            interrupt()
        return Cancellation.ASKED
    if handle.state.is_final:
        return Cancellation.REFUSED
    result.show_cancellation(handle, reason, moment(SYSTEM.now()))
    return Cancellation.DONE


def _lease(job: LocalJob) -> Lease:
    first = json.loads(job.notes[0])["s"] if job.notes else SYSTEM.now()
    return Lease(job.packed.id, 1, len(job.notes) + 1, 0, job.packed.body, first, "\n".join(job.notes))


def _record(job: LocalJob, finished: Finished) -> Record:
    notes = tuple(map(json.loads, job.notes))
    state, last = finished.ending.state, notes[-1] if notes else {}
    return Record(
        state,
        attempt=len(notes),
        worker=_WORKER,
        first_started=notes[0]["s"] if notes else None,
        started=last.get("s"),
        finished=last.get("e") if state.is_final else None,
        due=last.get("r") if state is State.RETRYABLE else None,
        reason=finished.ending.reason,
        attempts=notes,
    )


def _unpacked(backend: BackieBackend, job: LocalJob) -> Job:
    return backend.unpack(job.packed.id, job.packed.body)
