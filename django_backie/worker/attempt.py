"""A leased job on its way through a worker: what can be run, and how it ended."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..broker.replies import Ending, Lease, Record
from ..core.job import Job
from ..core.outcome import Transition
from ..core.states import State
from ..result import TaskResult, from_record
from ..task_definition import Task
from .hold import Hold


class Finished(NamedTuple):
    """An attempt that has ended: what the broker is told, and what people read about it. Times are seconds."""

    ending: Ending
    worker: str
    job: Job | None = None
    attempt: int = 0
    waited: float = 0.0
    ran: float = 0.0
    transition: Transition | None = None
    # Whether there may be more jobs than before.
    has_followers: bool = False


class Stuck(NamedTuple):
    """A thread that does not go on as it should, for how many seconds, and the attempts of which one is to blame."""

    thread: int
    seconds: float
    attempts: tuple[Attempt, ...]


# Asked several times for each job, and of the same few functions.
_is_async = functools.lru_cache(maxsize=4096)(inspect.iscoroutinefunction)


def _nothing() -> None:
    """Note nothing: nobody wants to know."""


@dataclass(slots=True)
class Attempt:
    """A leased job that can be run. ``on_start`` is called right before the task's own code."""

    lease: Lease
    job: Job
    task: Task[..., Any]
    worker: str
    hold: Hold
    started: float = 0.0
    ended: float = 0.0
    on_start: Callable[[], None] = field(default=_nothing, repr=False)
    _result: TaskResult[Any] | None = field(default=None, repr=False)

    @property
    def is_async(self) -> bool:
        """Tell whether the task is a coroutine function."""
        return _is_async(self.task.func)

    def ends(self, now: float) -> tuple[float, float, int]:
        """Return until when the attempt may run that begins now, when its process is killed (0: never), its token."""
        timeout, hard = self.job.options.timeout, self.job.options.hard_timeout
        if hard is not None:
            return now + hard, now + hard, self.lease.token
        return float("inf") if timeout is None else now + timeout, 0.0, 0

    @property
    def result(self) -> TaskResult[Any]:
        """Return the handle that signals and the context show, made when first asked for."""
        if self._result is None:
            record = Record(
                State.RUNNING,
                attempt=self.lease.attempt,
                crashes=self.lease.crashes,
                worker=self.worker,
                first_started=self.lease.first_started,
                started=self.started,
                attempts=self.lease.attempts(),
            )
            self._result = from_record(self.task, self.job, record)
        return self._result
