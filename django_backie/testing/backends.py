"""Backends that need neither Redis nor a database, for the tests of projects."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from django.db import connections, transaction

from .. import compat, result
from ..base_backend import BackieBackend
from ..calls import Call
from ..core.cancellation import Cancellation
from ..core.job import Packed
from ..exceptions import TooEarly
from ..result import TaskResult
from ..task_definition import Task
from . import eager
from .eager import LocalJob


class LocalBackend(BackieBackend):
    """Takes jobs in as the Redis backend does, signed body and commit included, but keeps them in this process."""

    def _take_in(self, task: Task[..., Any], calls: Sequence[Call], durability: Any) -> list[TaskResult[Any]]:
        entries = self.make_entries(task, calls)
        jobs = [self._local(task, entry.packed) for entry in entries]
        if not jobs:
            return []
        database = entries[0].job.database
        if durability != "now" and connections[database].in_atomic_block:
            self._wait_for_commit(jobs, database)
        else:
            self._arrive(jobs)
        return [self._shown(job) for job in jobs]

    def submit_as(self, task: Task[..., Any], calls: Sequence[Call], keys: Sequence[str]) -> None:
        """Make one job of each call under a given id."""
        self._arrive([self._local(task, entry.packed) for entry in self.make_entries(task, calls, keys=keys)])

    def cancel(self, job_id: str, reason: str = "") -> Cancellation:
        """Cancel a job; one that runs, which can only happen from inside of it, is asked to end."""
        try:
            return eager.cancel(cast("TaskResult[Any]", self.get_result(job_id)), reason)
        except compat.TaskResultDoesNotExist as error:
            msg = f"the transaction that makes job {job_id} is not committed"
            raise TooEarly(msg) from error

    def _local(self, task: Task[..., Any], packed: Packed) -> LocalJob:
        """Return a job whose handle shows the arguments as the worker would get them."""
        job = self.unpack(packed.id, packed.body)
        return LocalJob(result.fresh(task, job), packed)

    def _wait_for_commit(self, jobs: Sequence[LocalJob], database: str) -> None:
        transaction.on_commit(partial(self._arrive, jobs), using=database)

    def _arrive(self, jobs: Sequence[LocalJob]) -> None:
        raise NotImplementedError

    def _shown(self, job: LocalJob) -> TaskResult[Any]:
        return job.handle


class _KeepsResults(LocalBackend):
    # Django has one backend object for each thread: results are not seen from another one.
    supports_get_result = False

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self.results: list[TaskResult[Any]] = []

    def get_result(self, result_id: str) -> TaskResult[Any]:
        """Return the handle of a job of this thread.

        Raises:
            TaskResultDoesNotExist: no such job, or its transaction has not been committed.
        """
        for handle in self.results:
            if handle.id == result_id:
                return handle
        raise compat.TaskResultDoesNotExist(result_id)

    async def aget_result(self, result_id: str) -> TaskResult[Any]:
        """See ``get_result``."""
        return self.get_result(result_id)

    def clear(self) -> None:
        """Forget every job."""
        self.results.clear()


class DummyBackend(_KeepsResults):
    """Runs nothing: ``results`` holds the jobs that were enqueued, those of a transaction once it is committed."""

    def _arrive(self, jobs: Sequence[LocalJob]) -> None:
        for job in jobs:
            # The list gets a handle of its own, so that neither side changes the other's by accident.
            kept = LocalJob(_copied(job.handle), job.packed)
            self.results.append(kept.handle)
            eager.announce(self, kept)
            object.__setattr__(job.handle, "enqueued_at", kept.handle.enqueued_at)


class ImmediateBackend(_KeepsResults):
    """Runs each job where it is enqueued, inside a transaction when that is committed.

    Nothing is waited for: a job with a ``run_after`` to come stays SCHEDULED, one that failed with attempts left stays
    RETRYABLE. The timeout of a sync task is not enforced. ``results`` holds every job.
    """

    def _arrive(self, jobs: Sequence[LocalJob]) -> None:
        for job in jobs:
            self.results.append(job.handle)
            eager.announce(self, job)
            if job.is_due:
                eager.run(self, job)


def _copied(handle: TaskResult[Any]) -> TaskResult[Any]:
    return copy.deepcopy(handle, {id(handle.task): handle.task})
