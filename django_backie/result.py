"""The caller's handle on a job: django.tasks' ``TaskResult`` with our state, built from Redis or from the row."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from asgiref.sync import sync_to_async

from . import compat
from .clock import SYSTEM
from .core import jsonic
from .core.cancellation import Cancellation
from .core.job import Job
from .core.jsonic import normalise
from .core.states import State
from .exceptions import Cancelled, NotYet, WorkerLost, WouldNeverEnd
from .moments import moment
from .progress import Progress, latest, of_row

R = TypeVar("R")

# As the scripts say it (lua/include/unique.lua, lua/enqueue.lua).
DUPLICATE_OF, REPLACED_BY = "duplicate of ", "replaced by "
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult(compat.TaskResult, Generic[R]):  # type: ignore[misc, type-arg]
    """The caller's handle on a job.

    ``status`` is django.tasks' word, ``state`` ours: one of the eight of ``State``. ``progress`` is what the latest
    attempt has reported, None where it has not.
    """

    state: State = State.READY
    crashes: int = 0
    progress: Progress | None = None

    if TYPE_CHECKING:

        @property
        def return_value(self) -> R:
            """Return what the task has returned."""

    else:

        def __getattr__(self, name: str) -> Any:
            """Return what ``fresh`` has left out, from now on kept."""
            if name not in _NOT_YET:
                msg = f"{type(self).__name__!r} object has no attribute {name!r}"
                raise AttributeError(msg, name=name, obj=self)
            object.__setattr__(self, name, _NOT_YET[name]())
            return getattr(self, name)

    @property
    def duplicate_of(self) -> str | None:
        """Return the id of the job that has this one's unique key; None where this job is no duplicate of another."""
        return self._cancelled_for(DUPLICATE_OF)

    @property
    def replaced_by(self) -> str | None:
        """Return the id of the job that has taken this one's place; None where this job was not replaced."""
        return self._cancelled_for(REPLACED_BY)

    def _cancelled_for(self, why: str) -> str | None:
        if self.state is not State.CANCELLED or not self.errors:
            return None
        _, found, rest = self.errors[-1].traceback.partition(f": {why}")
        return rest.strip() if found else None

    def __post_init__(self) -> None:
        object.__setattr__(self, "args", normalise(self.args))
        object.__setattr__(self, "kwargs", normalise(self.kwargs))

    def refresh(self) -> None:
        """Read the job's present state."""
        self.copy(self.task.get_backend().get_result(self.id))

    async def arefresh(self) -> None:
        """See ``refresh``."""
        self.copy(await self.task.get_backend().aget_result(self.id))

    def wait(self, timeout: float | None = None) -> TaskResult[R]:
        """Wait until the job has ended, and return this handle, which shows the end then.

        Asks again and again, at growing distances, at most a quarter of a second apart. Without a timeout (seconds) it
        waits for as long as it takes: in a view, give it one.

        Raises:
            NotYet: the job has not ended in time; it goes on.
            WouldNeverEnd: the job is not on its way; its transaction was not committed here, or was rolled back.
        """
        for pause in _pauses(self, timeout):
            self.refresh()
            if self.state.is_final:
                break
            time.sleep(pause)
        return self

    async def await_(self, timeout: float | None = None) -> TaskResult[R]:
        """See ``wait``."""
        for pause in _pauses(self, timeout):
            await self.arefresh()
            if self.state.is_final:
                break
            await asyncio.sleep(pause)
        return self

    def cancel(self, reason: str = "") -> Cancellation:
        """Cancel the job: at once where it waits; where it runs, ask it to end.

        One that runs ends as cancelled when it notices (``context.cancelled``; async code is interrupted), and does
        not run again, whatever happens to it or its worker. If it succeeds before it notices, it has succeeded.
        The reason (200 characters) is kept; where several ask, it is the first one's.

        Raises:
            TooEarly: the transaction that makes the job is open here.
            BrokerUnavailable: Redis is down; nothing was changed.
        """
        backend: Any = self.task.get_backend()
        answer: Cancellation = backend.cancel(self.id, reason)
        if answer is not Cancellation.REFUSED:
            self.refresh()
        return answer

    async def acancel(self, reason: str = "") -> Cancellation:
        """See ``cancel``."""
        return await sync_to_async(self.cancel, thread_sensitive=True)(reason)

    def copy(self, other: Any) -> None:
        """Show what another handle of the same job shows."""
        for name in (*compat.TASK_REFRESH_ATTRS, "state", "crashes", "progress"):
            object.__setattr__(self, name, getattr(other, name))


def _pauses(handle: TaskResult[Any], timeout: float | None) -> Iterator[float]:
    """Yield how long to wait before the state is asked for again, until the time is up."""
    if handle.enqueued_at is None:
        # The transaction may have ended without anybody telling the handle.
        handle.refresh()
    if handle.enqueued_at is None:
        msg = f"job {handle.id} is not on its way: no worker sees it before the transaction here is committed"
        raise WouldNeverEnd(msg)
    until = float("inf") if timeout is None else SYSTEM.monotonic() + timeout
    pause = FIRST_PAUSE
    while True:
        left = until - SYSTEM.monotonic()
        # Once more at the very end.
        yield max(0.0, min(pause, left))
        if left <= 0:
            msg = f"job {handle.id} has not ended within {timeout} s, it is {handle.state}"
            raise NotYet(msg)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def fresh(task: Any, job: Job) -> TaskResult[Any]:
    """Return the handle of a job that was just made; it has no ``enqueued_at`` until it is on its way.

    Leaves out what nobody asks a new job for: setting everything takes longer than signing the body.
    """
    state = State.READY if job.run_after is None else State.SCHEDULED
    handle: TaskResult[Any] = object.__new__(TaskResult)
    put = object.__setattr__
    put(handle, "task", task)
    put(handle, "id", job.id)
    put(handle, "status", _STATUS[state])
    put(handle, "state", state)
    put(handle, "args", normalise(job.args))
    put(handle, "kwargs", normalise(job.kwargs))
    put(handle, "backend", job.backend)
    return handle


def from_record(task: Any, job: Job, record: Any, progress: str = "") -> TaskResult[Any]:
    """Return the handle of a job that is in Redis; ``record`` and ``progress`` are a ``broker.replies.Snapshot``'s."""
    attempts = list(record.attempts)
    workers = [attempt["w"] for attempt in attempts]
    if record.state is State.RUNNING:
        workers.append(record.worker)
    has_progress = progress or (attempts and "p" in attempts[-1])
    result = _result(
        task,
        job,
        record.state,
        enqueued_at=moment(job.created),
        started_at=moment(record.first_started),
        last_attempted_at=moment(record.last_attempted),
        finished_at=moment(record.ended),
        errors=errors_of(attempts, record.state, record.reason),
        worker_ids=workers,
        crashes=record.crashes,
        progress=latest(record.state, record.started, attempts, progress) if has_progress else None,
    )
    if record.state is State.SUCCESSFUL:
        set_return_value(result, attempts[-1].get("v", "null"))
    return result


def from_row(task: Any, job: Job, row: Any) -> TaskResult[Any]:
    """Return the handle of a job whose ``models.Job`` row is all there is; its attempts are read with it."""
    attempts = list(row.attempts.all())
    workers = [attempt.worker for attempt in attempts]
    if row.state == State.RUNNING:
        workers.append(row.worker)
    result = _result(
        task,
        job,
        State(row.state),
        enqueued_at=row.enqueued_at,
        started_at=row.started_at,
        last_attempted_at=row.last_attempted_at,
        finished_at=row.finished_at,
        errors=errors_of(map(_as_note, attempts), State(row.state), row.reason),
        worker_ids=workers,
        crashes=row.crashes,
        progress=of_row(attempts[-1].progress) if attempts and row.state != State.RUNNING else None,
    )
    if row.state == State.SUCCESSFUL:
        set_return_value(result, row.result or "null")
    return result


def _as_note(attempt: Any) -> dict[str, Any]:
    note = {"n": attempt.number, "w": attempt.worker, "o": attempt.outcome}
    return {**note, "c": attempt.error_class, "t": attempt.traceback} if attempt.error_class else note


def errors_of(attempts: Iterable[Mapping[str, Any]], state: State, reason: str) -> list[Any]:
    """Return the errors of ended attempts, and of a cancellation, as django.tasks shows them."""
    errors = []
    for attempt in attempts:
        if attempt["o"] == "lost":
            errors.append(_error(WorkerLost, f"attempt {attempt['n']} was lost: its worker {attempt['w']} died"))
        elif "c" in attempt:
            errors.append(compat.TaskError(exception_class_path=attempt["c"], traceback=attempt["t"]))
    if state is State.CANCELLED:
        errors.append(cancellation(reason))
    return errors


def cancellation(reason: str) -> Any:
    """Return a cancellation as django.tasks shows errors."""
    return _error(Cancelled, reason or "cancelled")


def show_cancellation(result: TaskResult[Any], reason: str, finished: Any) -> None:
    """Let a handle show that its job was cancelled while it waited."""
    object.__setattr__(result, "state", State.CANCELLED)
    object.__setattr__(result, "status", _STATUS[State.CANCELLED])
    object.__setattr__(result, "finished_at", finished)
    result.errors.append(cancellation(reason))


def set_return_value(result: TaskResult[Any], text: str) -> None:
    """Give a handle its return value, from JSON text."""
    object.__setattr__(result, "_return_value", jsonic.loads(text))


def _error(kind: type[Exception], message: str) -> Any:
    path = f"{kind.__module__}.{kind.__qualname__}"
    return compat.TaskError(exception_class_path=path, traceback=f"{path}: {message}\n")


def _result(task: Any, job: Job, state: State, **values: Any) -> TaskResult[Any]:
    return TaskResult(
        task=task,
        id=job.id,
        status=_STATUS[state],
        args=job.args,
        kwargs=job.kwargs,
        backend=job.backend,
        state=state,
        **values,
    )


_STATUS = {state: compat.TaskResultStatus[state.status] for state in State}
# What a new job has not, by the type whose empty value says so.
_NOT_YET: dict[str, type] = {
    **dict.fromkeys(("enqueued_at", "started_at", "last_attempted_at", "finished_at"), NoneType),
    **dict.fromkeys(("_return_value", "progress"), NoneType),
    **dict.fromkeys(("errors", "worker_ids"), list),
    "crashes": int,
}
