"""Capture the jobs that a test enqueues, look at them, and run them in the test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from django.db import connections, transaction
from django.test import override_settings

from .. import compat
from ..base_backend import BackieBackend
from ..core.jsonic import normalise
from ..core.states import State
from ..exceptions import InvalidArguments
from ..result import TaskResult
from ..task_definition import Task
from . import eager
from .backends import LocalBackend
from .eager import LocalJob

_MOST_RUNS = 10_000
_LONGEST_LINE = 200


class Capture:
    """The jobs of one test, from any thread and any backend of ours.

    Jobs whose transaction is still open are there too, because a ``TestCase`` never commits; those of a savepoint that
    was rolled back are not.
    """

    def __init__(self) -> None:
        self._captured: list[_Captured] = []

    @property
    def jobs(self) -> list[TaskResult[Any]]:
        """Return the handles of all jobs in the order of their enqueueing, those that ``drain`` has run included."""
        return [captured.job.handle for captured in self._captured if captured.is_there]

    def drain(self, *, retries: bool = False, scheduled: bool = False) -> list[TaskResult[Any]]:
        """Run the waiting jobs here and now, and those that they enqueue; return what was run, in this order.

        Higher priorities come first. Each job is run from its signed body, as in a worker, and what it raises becomes
        its result.

        Args:
            retries: run a job that is to be retried again and again, without waiting, until its attempts are used up.
            scheduled: run the jobs for later too.
        """
        ran: list[TaskResult[Any]] = []
        tried: set[str] = set()
        while waiting := [c for c in self._captured if c.is_waiting(tried, retries, scheduled)]:
            captured = max(waiting, key=lambda candidate: candidate.job.packed.priority)
            captured.run()
            if captured.job.handle.id not in tried:
                ran.append(captured.job.handle)
            tried.add(captured.job.handle.id)
            if len(tried) > _MOST_RUNS:
                msg = f"{_MOST_RUNS} jobs were run and there are still more; does {_shown(ran[-1])} enqueue itself?"
                raise AssertionError(msg)
        return ran

    def assert_enqueued(self, task: Any, /, *args: Any, **kwargs: Any) -> TaskResult[Any]:
        """Return the first job of a task with these arguments; without any, the first with whatever arguments.

        Arguments may be given by position or name, and may be ``unittest.mock.ANY``; defaults count.

        Raises:
            AssertionError: there is none; tells what was enqueued.
        """
        found = self._matching(task, args, kwargs)
        if not found:
            raise AssertionError(f"no job {_call(task, args, kwargs)} was enqueued; {self._listing()}")
        return found[0]

    def assert_not_enqueued(self, task: Any, /, *args: Any, **kwargs: Any) -> None:
        """Fail if there is a job of a task with these arguments; see ``assert_enqueued``."""
        found = self._matching(task, args, kwargs)
        if found:
            raise AssertionError(f"{len(found)} job(s) {_call(task, args, kwargs)} were enqueued; {self._listing()}")

    def clear(self) -> None:
        """Forget all jobs."""
        self._captured.clear()

    @contextmanager
    def installed(self) -> Iterator[Capture]:
        """Take the place of every backend of ours inside this block."""
        aliases = compat.configured_aliases()
        own = {alias: params for alias, params in aliases.items() if _is_ours(alias)}
        own = own or {compat.IMPLICIT_ALIAS: {}}
        path = f"{CapturingBackend.__module__}.{CapturingBackend.__qualname__}"
        capturing = {alias: {**params, "BACKEND": path, "CAPTURE": self} for alias, params in own.items()}
        with override_settings(TASKS={**aliases, **capturing}):
            yield self

    def add(self, captured: Sequence[_Captured]) -> None:
        """Take jobs in; the backend calls it."""
        self._captured += captured

    def find(self, job_id: str) -> TaskResult[Any] | None:
        """Return the handle of a job."""
        return next((handle for handle in self.jobs if handle.id == job_id), None)

    def _matching(self, task: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[TaskResult[Any]]:
        task = _as_task(task)
        found = [handle for handle in self.jobs if _as_task(handle.task).job_name == task.job_name]
        if not args and not kwargs:
            return found
        wanted = _bound(task, normalise(args), normalise(kwargs))
        return [handle for handle in found if _bound(task, handle.args, handle.kwargs) == wanted]

    def _listing(self) -> str:
        if not self.jobs:
            return "nothing was enqueued."
        lines = "".join(f"\n  {_shown(handle)}" for handle in self.jobs)
        return f"{len(self.jobs)} job(s) were:{lines}"


@dataclass(slots=True, eq=False)
class _Captured:
    """A job, and the transaction it waits for. Called when that is committed."""

    backend: BackieBackend
    job: LocalJob
    connection: Any = None

    def __call__(self) -> None:
        self.connection = None
        eager.announce(self.backend, self.job)

    @property
    def is_there(self) -> bool:
        """Tell whether the job has arrived, or will if nothing more is rolled back."""
        if self.connection is None or self.job.announced:
            return True
        return any(callback is self for _, callback, *_ in self.connection.run_on_commit)

    def is_waiting(self, tried: set[str], retries: bool, scheduled: bool) -> bool:
        state = self.job.handle.state
        if state is State.RETRYABLE:
            return retries and self.is_there
        if state is State.SCHEDULED and not (scheduled or self.job.is_due):
            return False
        return state in {State.READY, State.SCHEDULED} and self.job.handle.id not in tried and self.is_there

    def run(self) -> None:
        self()
        eager.run(self.backend, self.job)


class CapturingBackend(LocalBackend):
    """Hands its jobs to the ``Capture`` that has installed it."""

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self._capture: Capture = params["CAPTURE"]

    def get_result(self, result_id: str) -> TaskResult[Any]:
        """Return the handle of a captured job.

        Raises:
            TaskResultDoesNotExist: no such job under this alias.
        """
        found = self._capture.find(result_id)
        if found is None or found.backend != self.alias:
            raise compat.TaskResultDoesNotExist(result_id)
        return found

    def _wait_for_commit(self, jobs: Sequence[LocalJob], database: str) -> None:
        captured = [_Captured(self, job, connections[database]) for job in jobs]
        for one in captured:
            transaction.on_commit(one, using=database)
        self._capture.add(captured)

    def _arrive(self, jobs: Sequence[LocalJob]) -> None:
        captured = [_Captured(self, job) for job in jobs]
        self._capture.add(captured)
        for one in captured:
            one()


def _is_ours(alias: str) -> bool:
    return isinstance(compat.get_backend(alias), BackieBackend)


def _as_task(task: Any) -> Task[..., Any]:
    """Return the task of a class form or its instance, and any other task as it is."""
    return cast("Task[..., Any]", task.as_task() if hasattr(task, "as_task") else task)


def _bound(task: Task[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    try:
        bound = task.signature.bind(*args, **kwargs)
    except TypeError as error:
        raise InvalidArguments(f"{task.job_name}{task.signature}: {error}") from None
    bound.apply_defaults()
    return {name: normalise(value) for name, value in bound.arguments.items()}


def _call(task: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    name = _as_task(task).job_name
    if not args and not kwargs:
        return f"of {name}"
    parts = [*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())]
    line = f"{name}({', '.join(parts)})"
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"


def _shown(handle: TaskResult[Any]) -> str:
    task = _as_task(handle.task)
    name = task.job_name + "()" if not handle.args and not handle.kwargs else _call(task, handle.args, handle.kwargs)
    return f"{name}  {handle.state}, queue {task.queue_name!r}, priority {task.priority}"
