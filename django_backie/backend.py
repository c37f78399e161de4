"""The django.tasks backend."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from django.apps import apps
from django.core.checks import CheckMessage, Error
from django.db import connections

from . import compat, control, enqueue, outbox, registry, result, unique
from .base_backend import BackieBackend
from .broker.redis import RedisBroker, broker_for
from .broker.replies import Snapshot
from .calls import Call, key_of, named_arguments
from .core import ids
from .core.cancellation import Cancellation
from .core.job import Job
from .core.options import Durability
from .core.unique import Unique
from .enqueue import Parcel
from .exceptions import (
    BrokerError,
    BrokerUnavailable,
    ConfigurationError,
    TooEarly,
    UnknownTask,
    UnreadableBody,
)
from .moments import epoch, moment
from .outbox import Entry
from .result import TaskResult
from .task_definition import Task

__all__ = ["BackieBackend", "RedisBackend", "task_of"]


class RedisBackend(BackieBackend):
    """Jobs in Redis, with the database's guarantees."""

    uses_redis = True

    @functools.cached_property
    def broker(self) -> RedisBroker:
        """Return the Redis side of this alias."""
        return broker_for(self.config)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Return what is wrong with this alias. What only our app could check, its absence, is checked here."""
        messages = super().check(**kwargs)
        if not messages and self.config.databases and not apps.is_installed("django_backie"):
            where = f"TASKS[{self.alias!r}]['OPTIONS']"
            missing = Error(
                f"{where}: jobs are kept in a table, but 'django_backie' is not in INSTALLED_APPS.",
                hint="Add it to INSTALLED_APPS, or set DURABILITY to 'now' and DATABASES to [].",
                id="django_backie.E005",
            )
            return [missing]
        return messages

    def get_result(self, result_id: str) -> TaskResult[Any]:
        """Return the handle of a job: from Redis, from the open transaction, or from its row.

        Raises:
            TaskResultDoesNotExist: no such job under this alias.
        """
        found = self._find(result_id)
        if found is None or found.backend != self.alias:
            raise compat.TaskResultDoesNotExist(result_id)
        return found

    def cancel(self, job_id: str, reason: str = "") -> Cancellation:
        """Cancel a job; see ``TaskResult.cancel``."""
        if self._in_transaction(job_id) is not None:
            msg = f"the transaction that makes job {job_id} is open here: roll it back, or cancel after the commit"
            raise TooEarly(msg)
        for database in self.config.databases if ids.is_id(job_id) else ():
            if outbox.find(job_id, database) is not None:
                report = control.cancel([job_id], using=database, reason=reason)
                return _ANSWERS["OK" if report.done else "ASKED" if report.asked else "ENDED"]
        # The row is the mirror's to make, or there is none.
        return _ANSWERS[self.broker.cancel([job_id], reason)[0]]

    def _find(self, job_id: str) -> TaskResult[Any] | None:
        return self._in_redis(job_id) or self._in_transaction(job_id) or self._in_rows(job_id)

    def _take_in(self, task: Task[..., Any], calls: Sequence[Call], durability: Durability) -> list[TaskResult[Any]]:
        self._require_database(task, durability)
        if task.coalesce is not False and durability != "now":
            return self._take_in_once(task, calls, durability)
        if task.unique is not False and calls:
            return self._take_in_unique(task, calls, durability)
        return self._send(task, self.make_entries(task, calls, for_rows=durability == "outbox"), durability)

    def submit_as(self, task: Task[..., Any], calls: Sequence[Call], keys: Sequence[str]) -> None:
        """Make one job of each call under a given id; through the outbox where there is one, whatever the durability.

        Raises:
            IntegrityError: one is there already.
            BrokerError: there is no outbox, and Redis is down.
        """
        durability: Durability = "outbox" if self.config.mirrored else "now"
        self._send(task, self.make_entries(task, calls, for_rows=self.config.mirrored, keys=keys), durability)

    def push_as(self, task: Task[..., Any], calls: Sequence[Call], keys: Sequence[str]) -> None:
        """Make one job of each call under a given id, in Redis; one that is there is left alone.

        Raises:
            BrokerError: Redis is down.
        """
        self.broker.enqueue([entry.packed for entry in self.make_entries(task, calls, keys=keys)])

    def _send(
        self,
        task: Task[..., Any],
        entries: Sequence[Entry],
        durability: Durability,
        keys: Sequence[str] = (),
        duplicates: dict[str, str] | None = None,
    ) -> list[TaskResult[Any]]:
        if not entries:
            return []
        results = [result.fresh(task, entry.job) for entry in entries]
        announce = functools.partial(self._announce, results, entries[0].job.created, duplicates)
        enqueue.send(Parcel(self.broker, entries, durability, entries[0].job.database, announce, keys, duplicates))
        return results

    def _take_in_unique(
        self, task: Task[..., Any], calls: Sequence[Call], durability: Durability
    ) -> list[TaskResult[Any]]:
        """Take calls in, but for those whose job there is already: they get its handle."""
        entries = self.make_entries(task, calls, for_rows=durability == "outbox")
        option = cast(Unique, task.unique)
        choice = unique.choose(
            option,
            entries,
            self.alias,
            is_at_once=durability == "now",
            ask=self._holders,
            show=lambda entry: result.fresh(task, entry.job),
        )
        # Whether somebody else was faster is told by the push; of one that is still to come, by the handle.
        duplicates: dict[str, str] = {}
        made = self._send(task, choice.new, durability, choice.keys, duplicates)
        for at, (entry, handle) in enumerate(zip(choice.new, made, strict=True)):
            survivor = duplicates.get(handle.id)
            if survivor and option.conflict == "raise":
                raise unique.duplicate(entry, survivor, choice.places.index(at))
            if survivor:
                made[at] = self._find(survivor) or self._find(handle.id) or handle
        return choice.handles(made)

    def _holders(self, keys: Sequence[str]) -> dict[str, TaskResult[Any]]:
        """Return the handles of the jobs that have some of the keys; none where Redis is down, for the push decides."""
        try:
            holders = {key: job_id for key, job_id in zip(keys, self.broker.holders(keys), strict=True) if job_id}
            snapshots = self.broker.inspect([*holders.values()])
        except BrokerError:
            return {}
        found = {}
        for key, job_id in holders.items():
            snapshot = snapshots.get(job_id)
            # One that has ended may have left Redis, and its key still stand.
            handle = self._from_body(job_id, snapshot) if snapshot and snapshot.body else self._in_rows(job_id)
            if handle is not None:
                found[key] = handle
        return found

    def _take_in_once(
        self, task: Task[..., Any], calls: Sequence[Call], durability: Durability
    ) -> list[TaskResult[Any]]:
        """Take calls in, but for those that the open transaction has made already: they get the first one's handle."""
        database = self._plan(task).database
        keys = [f"{self.alias}\0{key_of(task, task.coalesce, call, named_arguments(task, *call))}" for call in calls]
        there = {key: entry for key in keys if (entry := enqueue.coalesced(key, database))}
        is_together = connections[database].in_atomic_block
        new = {key: at for at, key in reversed([*enumerate(keys)]) if key not in there} if is_together else {}
        chosen = sorted(new.values()) if is_together else range(len(calls))
        entries = self.make_entries(task, [calls[at] for at in chosen], for_rows=durability == "outbox")
        results = self._send(task, entries, durability, [keys[at] for at in chosen] if is_together else ())
        if not is_together:
            return results
        made = {keys[at]: handle for at, handle in zip(chosen, results, strict=True)}
        return [made.get(key) or result.fresh(task, there[key].job) for key in keys]

    def _announce(
        self, results: Sequence[TaskResult[Any]], created: float, duplicates: Mapping[str, str] | None = None
    ) -> None:
        """Note in the handles of jobs that are on their way since when they are, and tell who wants to know."""
        enqueued_at = moment(created)
        for handle in results:
            object.__setattr__(handle, "enqueued_at", enqueued_at)
        if compat.is_heard(compat.task_signals.task_enqueued, logging.DEBUG):
            for handle in results:
                if duplicates and handle.id in duplicates:
                    continue
                compat.task_signals.task_enqueued.send(type(self), task_result=handle)

    def _require_database(self, task: Task[..., Any], durability: Durability) -> None:
        if durability != "now" and not self.config.mirrored:
            msg = (
                f"{task.job_name}: durability {durability!r} needs a database, but OPTIONS['DATABASES'] of "
                f"TASKS[{self.alias!r}] is empty; set OPTIONS['DURABILITY'] to 'now'"
            )
            raise ConfigurationError(msg)

    def _in_redis(self, job_id: str) -> TaskResult[Any] | None:
        try:
            snapshot = self.broker.inspect([job_id]).get(job_id)
        except BrokerUnavailable:
            if not self.config.mirrored:
                raise
            return None
        if snapshot is None or not snapshot.body:
            return None
        return self._from_body(job_id, snapshot)

    def _from_body(self, job_id: str, snapshot: Snapshot) -> TaskResult[Any] | None:
        try:
            job = self.unpack(job_id, snapshot.body)
        except UnreadableBody:
            return None
        return result.from_record(task_of(job), job, snapshot.record, snapshot.progress)

    def _in_rows(self, job_id: str) -> TaskResult[Any] | None:
        if not ids.is_id(job_id):
            return None
        for database in self.config.databases:
            row = outbox.find(job_id, database)
            if row is not None:
                job = self._job_of_row(row)
                return result.from_row(task_of(job), job, row)
        return None

    def _job_of_row(self, row: Any) -> Job:
        """Return the job of a row; one whose body is gone shows its arguments as people may read them."""
        if row.body:
            try:
                return self.unpack(str(row.pk), row.body)
            except UnreadableBody:
                pass
        due = None if row.run_after is None else epoch(row.run_after)
        return Job(
            id=str(row.pk),
            task=row.task,
            queue=row.queue,
            priority=row.priority,
            kwargs=dict(row.arguments),
            created=epoch(row.enqueued_at),
            run_after=due,
            backend=row.backend,
        )

    def _in_transaction(self, job_id: str) -> TaskResult[Any] | None:
        for alias in connections:
            entry = enqueue.waiting(job_id, alias)
            if entry is not None:
                return result.fresh(task_of(entry.job), entry.job)
        return None


_ANSWERS = {
    "OK": Cancellation.DONE,
    "ASKED": Cancellation.ASKED,
    "ENDED": Cancellation.REFUSED,
    "GONE": Cancellation.REFUSED,
}


def task_of(job: Job) -> Task[..., Any]:
    """Return the task of a job as it was enqueued: with the job's own queue, priority and time.

    Raises:
        TaskResultDoesNotExist: no installed app has a task of this name.
    """
    try:
        task = registry.get(job.task)
    except UnknownTask:
        registry.discover(_task_modules())
        try:
            task = registry.get(job.task)
        except UnknownTask as error:
            raise compat.TaskResultDoesNotExist(f"{job.id}: {error}") from error
    changes = {"queue_name": job.queue, "priority": job.priority, "backend": job.backend}
    changes = {name: value for name, value in changes.items() if getattr(task, name) != value}
    if job.run_after is not None:
        changes["run_after"] = moment(job.run_after)
    return replace(task, **changes) if changes else task


def _task_modules() -> list[str]:
    backends = [compat.get_backend(alias) for alias in compat.own_aliases()]
    return [module for backend in backends for module in backend.config.task_modules]
