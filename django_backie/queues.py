"""What people do to queues: pause, resume, purge, move. The admin and the commands call these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import connections, transaction
from django.db.models import F

from . import mirror, pauses
from .aliases import redis_backend
from .backend import RedisBackend
from .base_backend import queue_problem
from .broker import inspect
from .broker.replies import Moved, Pause, Snapshot
from .control import write_rows
from .core import codec, head
from .exceptions import InvalidOption, UnreadableBody


@dataclass(frozen=True, slots=True)
class Move:
    """How many jobs are in the other queue now, and how many stay because no key of ours has signed them."""

    moved: int = 0
    unreadable: int = 0


def pause(
    queue: str,
    *,
    until: datetime | timedelta | None = None,
    reason: str = "",
    by: str = "",
    backend: str | None = None,
) -> None:
    """Let a queue take jobs in and give none out; what runs goes on.

    It lasts until ``resume``, or until a time by the server's clock. A second call changes its end, reason and name.

    Args:
        until: a time, or a duration from now on.
        backend: the alias of TASKS; by default the first of ours.

    Raises:
        InvalidOption: no queue has this name, or the end is not in the future.
        BrokerUnavailable: Redis is down. Where there is a job table, the pause begins when Redis is back.
    """
    end = pauses.end_of(until)
    pauses.begin(_valid(queue), redis_backend(backend), end, reason, by)


def resume(queue: str, *, backend: str | None = None) -> bool:
    """Let a queue give out jobs again, at once; tell whether it was paused.

    Raises:
        BrokerUnavailable: Redis is down. Where there is a job table, the pause ends when Redis is back.
    """
    return pauses.end(_valid(queue), redis_backend(backend))


def paused(*, backend: str | None = None) -> dict[str, Pause]:
    """Return the queues that are paused now, with since when, until when, why and by whom.

    Raises:
        BrokerUnavailable: Redis is down.
    """
    return inspect.pauses(redis_backend(backend).broker)


def purge(queue: str, *, reason: str = "", backend: str | None = None) -> int:
    """Cancel the ready jobs of a queue, as many as there are at first; answer how many were cancelled.

    Those are among them that wait for room under a limit, or for the end of their task's pause. Scheduled and retrying
    jobs are in no queue yet.

    Raises:
        BrokerUnavailable: Redis is down; the pages before are cancelled.
    """
    found, count = redis_backend(backend), 0
    for page in _waiting_pages(found, _valid(queue), from_end=True):
        answers = found.broker.cancel(page, pauses.line(reason) or "purged")
        cancelled = [job_id for job_id, answer in zip(page, answers, strict=True) if answer == "OK"]
        _write_rows(found, found.broker.inspect(cancelled).values())
        count += len(cancelled)
    return count


def move(source: str, target: str, *, backend: str | None = None) -> Move:
    """Put the ready jobs of a queue into another one, as many as there are at first.

    Those are among them that wait for room under a limit, or for the end of their task's pause. Each keeps its
    priority, and its place in the order of enqueueing. Their retries go to the other queue too.

    Raises:
        InvalidOption: both are the same.
        BrokerUnavailable, DatabaseError: the pages before are moved.
    """
    found = redis_backend(backend)
    if _valid(source) == _valid(target):
        msg = f"jobs are moved to another queue, not from {source!r} to {target!r}"
        raise InvalidOption(msg)
    moved, stays = 0, set[str]()
    for page in _waiting_pages(found, source):
        snapshots = {job_id: snapshot for job_id, snapshot in found.broker.inspect(page).items() if snapshot.body}
        new = _readdressed(snapshots, target, found)
        # Rows that are still to come would come with the former body.
        _write_rows(found, snapshots.values())
        moved += _move_with_rows(new, source, target, found)
        stays |= snapshots.keys() - {job.id for job in new}
    return Move(moved, len(stays))


def _waiting_pages(backend: RedisBackend, queue: str, *, from_end: bool = False) -> Iterator[list[str]]:
    """Yield pages of the ids of ready jobs, and of those set aside."""
    # In this order none is missed that comes back to the queue meanwhile, nor one that is set aside.
    yield from inspect.parked_pages(backend.broker, queue)
    yield from inspect.ready_pages(backend.broker, queue, from_end=from_end)
    yield from inspect.parked_pages(backend.broker, queue)


def _readdressed(snapshots: Mapping[str, Snapshot], target: str, backend: RedisBackend) -> list[Moved]:
    """Return the jobs with their new bodies: the signature covers the queue."""
    new, ageing = [], backend.config.ageing_of(target)
    for job_id, snapshot in snapshots.items():
        try:
            body = codec.readdressed(job_id, snapshot.body, target, backend.signer, ageing)
        except UnreadableBody:
            continue
        new.append(Moved(job_id, head.signature(snapshot.body), body))
    return new


def _move_with_rows(new: list[Moved], source: str, target: str, backend: RedisBackend) -> int:
    """Move jobs, their rows locked meanwhile; where a database is down, nothing is moved."""
    ids, bodies = [job.id for job in new], {job.id: job.body for job in new}
    with ExitStack() as stack:
        locked = {}
        for alias in backend.config.databases:
            stack.enter_context(transaction.atomic(using=alias))
            locked[alias] = _locked(ids, alias)
        answers = dict(zip(ids, backend.broker.move(source, target, new), strict=True))
        for alias, rows in locked.items():
            changed = [row for row in rows if answers[str(row.pk)]]
            for row in changed:
                row.queue, row.body = target, bodies[str(row.pk)]
            _jobs(alias).bulk_update(changed, ["queue", "body"])
    return sum(answers.values())


def _locked(ids: list[str], using: str) -> list[Any]:
    rows = _jobs(using).filter(pk__in=ids).exclude(body="")
    if connections[using].features.has_select_for_update:
        return list(rows.select_for_update().order_by("pk").only("pk"))
    # SQLite locks the whole database with the first write.
    rows.update(queue=F("queue"))
    return list(rows.only("pk"))


def _write_rows(backend: RedisBackend, snapshots: Iterable[Snapshot]) -> None:
    """Let rows follow at once; what cannot be written now, the mirror writes."""
    changed, databases = [*snapshots], backend.config.databases
    if not changed or not backend.config.mirrored:
        return
    write_rows(backend, changed, databases)
    # Nothing has version -1: nothing is un-marked, but it is told which of them were erased meanwhile.
    mirror.forget(backend.broker.done({snapshot.id: -1 for snapshot in changed}), databases)


def _valid(queue: str) -> str:
    if problem := queue_problem(queue):
        raise InvalidOption(problem)
    return queue


def _jobs(using: str) -> Any:
    return apps.get_model("django_backie", "Job")._default_manager.using(using)
