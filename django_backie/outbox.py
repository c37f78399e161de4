"""Keep jobs in the database until they have reached Redis.

A job's row is written in the caller's transaction. It stays at version 0 until the mirror has seen the job in Redis;
rows that are still at 0 after two seconds are pushed again (``duties.relay``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections, transaction
from django.db.models import F, Q, prefetch_related_objects

from . import bulk
from .broker.replies import Answer, Arrival
from .broker.sent import Restored
from .bulk import Row, Values
from .clock import SYSTEM
from .core import head
from .core.cancellation import wish_of
from .core.ids import is_id
from .core.job import Job, Packed
from .core.states import FINAL, WAITING, State
from .moments import epoch, moment

if TYPE_CHECKING:
    from .models import Job as JobRow

BringBack = Callable[[list[Restored]], Sequence[int]]
Push = Callable[[list[Packed]], Sequence[Answer]]

GRACE = 2.0
# The version of a row that the relay has pushed; the mirror's are milliseconds.
PUSHED = 1
BATCH = 500
# In the order in which most jobs go through them: one that goes on while it is looked for is met again.
_WAY = (State.SCHEDULED, State.BLOCKED, State.READY, State.RUNNING, State.RETRYABLE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A job with its body, and its arguments as people may read them."""

    job: Job
    packed: Packed
    arguments: dict[str, Any]


def write(entries: Sequence[Entry], using: str) -> None:
    """Insert the rows of new jobs, in the transaction that is open on the alias."""
    values = Values(using)
    rows = [_row(entry, values) for entry in entries]
    with _all_or_nothing(using, len(rows)):
        for start in range(0, len(rows), BATCH):
            bulk.write(_insert(using), rows[start : start + BATCH], using)


def _all_or_nothing(using: str, count: int) -> AbstractContextManager[object]:
    """Return the transaction that rows need: one row in autocommit is a transaction by itself."""
    if count <= 1 and not connections[using].in_atomic_block:
        return nullcontext()
    return transaction.atomic(using=using, savepoint=False)


def _row(entry: Entry, values: Values) -> Row:
    job = entry.job
    return _blank() | {
        "id": values.id(job.id),
        "task": job.task,
        "backend": job.backend,
        "queue": job.queue,
        "priority": job.priority,
        "state": "READY" if job.run_after is None else "SCHEDULED",
        "arguments": values.json(entry.arguments),
        "body": entry.packed.body,
        "max_attempts": job.options.max_attempts,
        "enqueued_at": values.time(job.created),
        "run_after": values.time(job.run_after),
    }


@cache
def _blank() -> Row:
    """Return the columns of a job that has not been tried."""
    return {field.attname: field.get_default() for field in _model()._meta.concrete_fields}


@cache
def _insert(using: str) -> str:
    return bulk.statement("insert", using, "Job", [*_blank()])


def find(job_id: str, using: str) -> JobRow | None:
    """Return the row of a job with its attempts, or None."""
    rows = _model()._default_manager.using(using).prefetch_related("attempts")
    return rows.filter(pk=job_id).first()


def relay(using: str, backend: str, push: Push, now: float) -> int:
    """Push rows that never reached Redis, through ``push(packed)``; answer how many have arrived.

    The rows stay locked meanwhile: the mirror cannot finish a job between the reading of its row and its push, so a job
    that has run already is not pushed again. Several workers may relay at once; where rows cannot be skipped, they
    wait. Rows of a full queue stay, and do not stand in the way of the others.
    """
    table = _model()._default_manager.using(using)
    waiting = table.filter(version=0, enqueued_at__lt=moment(now - GRACE), state__in=WAITING, backend=backend)
    full: set[str] = set()
    count = 0
    while True:
        with transaction.atomic(using=using):
            size, refused = _push_locked(waiting.exclude(queue__in=full), using, push)
        count += size - len(refused)
        full |= {row.queue for row in refused}
        if not refused or size < BATCH:
            return count


def push_late(ids: Sequence[str], using: str, push: Push) -> None:
    """Push those of the jobs that nobody else has pushed meanwhile; for a push that comes so late that one may have."""
    waiting = _model()._default_manager.using(using).filter(version=0, state__in=WAITING)
    for start in range(0, len(ids), BATCH):
        with transaction.atomic(using=using):
            _push_locked(waiting.filter(pk__in=ids[start : start + BATCH]), using, push)


def _push_locked(waiting: Any, using: str, push: Push) -> tuple[int, list[Any]]:
    """Push rows; answer how many there were, and those that found their queue full."""
    rows = _locked(waiting, using)
    arrivals = dict(zip(rows, push([_packed(row) for row in rows]), strict=True)) if rows else {}
    arrived = [row.pk for row, arrival in arrivals.items() if arrival is not Arrival.FULL]
    if arrived:
        # Not for the relay any more, whatever becomes of the mirror; should Redis lose them, they are brought back.
        _model()._default_manager.using(using).filter(pk__in=arrived).update(version=PUSHED)
    return len(rows), [row for row, arrival in arrivals.items() if arrival is Arrival.FULL]


def unfinished_pages(using: str, backend: str, before: float) -> Iterator[list[str]]:
    """Yield pages of ids of jobs that were in Redis, have not ended, and were enqueued before a time."""
    table = _model()._default_manager.using(using)
    for state in _WAY:
        rows = table.filter(state=state, backend=backend, version__gt=0, enqueued_at__lt=moment(before))
        for page in _pages(rows):
            yield [str(job_id) for _, job_id in page]


def ended(job_ids: Sequence[str], using: str) -> dict[str, int]:
    """Return those of the jobs that have ended by their rows, with the rows' versions."""
    rows = _model()._default_manager.using(using).filter(pk__in=list(filter(is_id, job_ids)), state__in=FINAL)
    return {str(job_id): version for job_id, version in rows.values_list("pk", "version")}


def parked(using: str, backend: str) -> Iterator[list[tuple[str, str, str]]]:
    """Yield pages of id, body and reason of jobs that wait for a person, or for a release that understands them."""
    rows = _model()._default_manager.using(using).filter(state=State.BLOCKED, backend=backend)
    for page in _pages(rows, "body", "reason"):
        yield [(str(job_id), body, reason) for _, job_id, body, reason in page]


def _pages(rows: Any, *columns: str) -> Iterator[list[tuple[Any, ...]]]:
    """Yield pages of rows of one state as an index has them: time of enqueueing, id, then the columns."""
    rows = rows.order_by("enqueued_at", "pk")
    page = list(rows.values_list("enqueued_at", "pk", *columns)[:BATCH])
    while page:
        yield page
        at, last, *_ = page[-1]
        rest = rows.filter(Q(enqueued_at__gt=at) | Q(pk__gt=last), enqueued_at__gte=at)
        page = list(rest.values_list("enqueued_at", "pk", *columns)[:BATCH])


def restore(ids: Sequence[str], using: str, bring_back: BringBack) -> int:
    """Bring back jobs that are not in Redis and have not ended by their rows; answer how many.

    The rows stay locked meanwhile, as in ``relay``: a job that has run and been mirrored in between would run again.
    Their versions are raised, lest a snapshot from before the loss that is still on its way end a job that now waits.
    One that was asked to cancel while it ran does not run again: it ends here.
    """
    if not ids:
        return 0
    lost = _unfinished(using).filter(pk__in=ids).exclude(body="")
    with transaction.atomic(using=using):
        rows = _without_unwanted(_locked(lost, using), using)
        prefetch_related_objects(rows, "attempts")
        versions = bring_back([restored(row) for row in rows]) if rows else []
        brought_back = [row for row, version in zip(rows, versions, strict=True) if version]
        for row, version in zip(rows, versions, strict=True):
            row.version = version - 1
        _model()._default_manager.using(using).bulk_update(brought_back, ["version"])
    return len(brought_back)


def _without_unwanted(rows: list[Any], using: str) -> list[Any]:
    """Cancel rows whose jobs were asked to cancel while they ran; return the others."""
    wishes = {row.pk: wish_of(row.state, row.reason) for row in rows}
    unwanted = [row for row in rows if wishes[row.pk] is not None]
    now = SYSTEM.now()
    for row in unwanted:
        row.state, row.reason, row.finished_at = State.CANCELLED, wishes[row.pk], moment(now)
        row.attempt = max(row.attempt - 1, 0)
        row.version = max(row.version + 1, round(now * 1000))
    if unwanted:
        columns = ["state", "reason", "finished_at", "attempt", "version"]
        _model()._default_manager.using(using).bulk_update(unwanted, columns)
    return [row for row in rows if wishes[row.pk] is None]


def unwanted(using: str, backend: str) -> Iterator[list[tuple[str, int, str]]]:
    """Yield pages of id, version and reason of running jobs that were asked to cancel."""
    rows = _model()._default_manager.using(using).filter(state=State.RUNNING, backend=backend)
    for page in _pages(rows, "version", "reason"):
        wishes = [(str(job_id), version, wish_of(State.RUNNING, reason)) for _, job_id, version, reason in page]
        yield [(job_id, version, wish) for job_id, version, wish in wishes if wish is not None]


def _unfinished(using: str) -> Any:
    return _model()._default_manager.using(using).filter(state__in=[*WAITING, State.RUNNING])


def notes_of(row: Any) -> tuple[dict[str, Any], ...]:
    """Return the ended attempts of a row as Redis keeps them (``Transition.record``)."""
    return tuple(_note(attempt) for attempt in row.attempts.all())


def _note(attempt: Any) -> dict[str, Any]:
    note = {
        "n": attempt.number,
        "w": attempt.worker,
        "s": epoch(attempt.started_at),
        "e": epoch(attempt.finished_at),
        "o": attempt.outcome,
    }
    if attempt.error_class:
        note |= {"c": attempt.error_class, "m": attempt.error_message, "t": attempt.traceback}
    if attempt.progress is not None:
        note["p"] = attempt.progress
    return note


def restored(row: Any) -> Restored:
    """Return a job that has not ended as its row remembers it."""
    # A RUNNING row counts its present attempt, which nobody will finish now.
    attempt = row.attempt - 1 if row.state == State.RUNNING else row.attempt
    due = row.run_after if row.state in {State.SCHEDULED, State.RETRYABLE} else None
    return Restored(
        str(row.pk),
        row.body,
        None if due is None else epoch(due),
        max(attempt, 0),
        row.crashes,
        notes_of(row),
        row.version,
        None if row.started_at is None else epoch(row.started_at),
    )


def _locked(waiting: Any, using: str) -> list[Any]:
    features = connections[using].features
    if features.has_select_for_update:
        waiting = waiting.select_for_update(skip_locked=features.has_select_for_update_skip_locked)
    rows = list(waiting.order_by("enqueued_at", "pk")[:BATCH])
    if rows and not features.has_select_for_update:
        # SQLite locks the whole database with the first write, and the rows may have changed before it.
        unchanged = waiting.filter(pk__in=[row.pk for row in rows])
        unchanged.update(version=F("version"))
        rows = list(unchanged.order_by("enqueued_at", "pk"))
    return rows


def _packed(row: Any) -> Packed:
    due = None if row.run_after is None else epoch(row.run_after)
    return Packed(str(row.pk), row.queue, row.priority, row.body, due, head.unique_of(row.body))


def _model() -> type[JobRow]:
    return apps.get_model("django_backie", "Job")
