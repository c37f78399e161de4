"""Copy job states from Redis into the job table, in bulk.

Writes may come late, repeated or out of order: a row only takes a version larger than its own, and an attempt is
written once.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connections, transaction

from . import locks, upsert
from .broker.replies import Record, Snapshot
from .cleansing import STARS
from .compat import DEFAULT_TASK_QUEUE_NAME
from .core import codec
from .core.job import Job
from .core.states import State
from .exceptions import UnreadableBody, WorkerLost
from .moments import moment

if TYPE_CHECKING:
    from .models import Job as JobRow

logger = logging.getLogger("django_backie.duties")

# Characters; what is longer is written in several statements.
LARGEST_CHUNK = 2 * 1024 * 1024
LONGEST_QUEUE = 100
# Seconds for somebody who holds a row: a host that is frozen holds it until it is thawed.
LONGEST_WAIT = 2.0
MOST_PRIORITY = 100

# What a value may raise on its way into a row, on whichever database.
_BAD_VALUE = (DataError, IntegrityError, ValidationError, ArithmeticError, LookupError, TypeError, ValueError)

Unpack = Callable[[str, str], Job]
Describe = Callable[[Job], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Written:
    """What has become of snapshots.

    ``failed`` could not be written; ``behind`` are those whose rows have a larger version, with that version.
    """

    failed: frozenset[str] = frozenset()
    behind: Mapping[str, int] = field(default_factory=dict)

    def __or__(self, other: Written) -> Written:
        return Written(self.failed | other.failed, {**self.behind, **other.behind})


def write(
    snapshots: Sequence[Snapshot], databases: Sequence[str], unpack: Unpack, describe: Describe, backend: str
) -> Written:
    """Write the snapshots to the tables they belong to."""
    written = Written()
    by_database: dict[str, list[tuple[Job, Snapshot]]] = defaultdict(list)
    for snapshot in snapshots:
        if snapshot.body:
            job = _readable_job(snapshot, unpack, databases[0], backend)
            alias = job.database if job.database in databases else databases[0]
            by_database[alias].append((job, snapshot))
    for alias, pairs in by_database.items():
        # Sorted, so that two mirrors never wait for each other's rows.
        pairs.sort(key=lambda pair: pair[0].id)
        for chunk in _chunks(pairs):
            written |= _write_chunk(chunk, alias, describe)
    return written


def _chunks(pairs: Sequence[tuple[Job, Snapshot]]) -> Iterator[list[tuple[Job, Snapshot]]]:
    """Split pairs so that no statement exceeds what a database takes as one (MariaDB: 16 MiB)."""
    chunk: list[tuple[Job, Snapshot]] = []
    size = 0
    for job, snapshot in pairs:
        weight = 2 * len(snapshot.body) + sum(len(str(note)) for note in snapshot.record.attempts)
        if chunk and size + weight > LARGEST_CHUNK:
            yield chunk
            chunk, size = [], 0
        chunk.append((job, snapshot))
        size += weight
    if chunk:
        yield chunk


def _write_chunk(pairs: Sequence[tuple[Job, Snapshot]], alias: str, describe: Describe) -> Written:
    """Write pairs in one transaction; where the database refuses a value, find the one and leave it out."""
    try:
        with transaction.atomic(using=alias):
            locks.limit_wait(alias, LONGEST_WAIT)
            open_pairs = _open(pairs, alias)
            count = upsert.write([_row(job, snapshot, describe) for job, snapshot in open_pairs], alias)
            versions = _versions(open_pairs, alias, count)
            # A newer snapshot bears the same attempts, unless Redis has lost them: then they count for nothing.
            _insert_attempts([pair for pair in open_pairs if versions.get(pair[0].id) == pair[1].version], alias)
    except _BAD_VALUE as error:
        if len(pairs) == 1:
            logger.exception("job %s cannot be written to %r", pairs[0][0].id, alias)
            return Written(frozenset({pairs[0][0].id}))
        middle = len(pairs) // 2
        logger.warning("%r refuses one of %d jobs: %s", alias, len(pairs), error)
        return _write_chunk(pairs[:middle], alias, describe) | _write_chunk(pairs[middle:], alias, describe)
    except (DatabaseError, InterfaceError) as error:
        if locks.is_timeout(error) and (free := _without_locked(pairs, alias)):
            left_out = frozenset(job.id for job, _ in pairs) - {job.id for job, _ in free}
            return Written(left_out) | _write_chunk(free, alias, describe)
        # The other databases' jobs must not wait for this one.
        logger.warning("%d job(s) could not be written to %r: %s", len(pairs), alias, error)
        return Written(frozenset(job.id for job, _ in pairs))
    seen = {job.id: snapshot.version for job, snapshot in pairs}
    return Written(behind={job_id: version for job_id, version in versions.items() if version > seen[job_id]})


def _without_locked(pairs: Sequence[tuple[Job, Snapshot]], alias: str) -> list[tuple[Job, Snapshot]]:
    """Return the pairs whose rows nobody has locked; none where all are, or none is any more: that is for next time."""
    if not connections[alias].features.has_select_for_update_skip_locked:
        return []
    rows = _model("Job")._default_manager.using(alias).filter(pk__in=[job.id for job, _ in pairs])
    with transaction.atomic(using=alias):
        there = {str(key) for key in rows.values_list("pk", flat=True)}
        free = {str(key) for key in rows.select_for_update(skip_locked=True).values_list("pk", flat=True)}
    found = [pair for pair in pairs if pair[0].id in free or pair[0].id not in there]
    return found if len(found) < len(pairs) else []


def forget(ids: Iterable[str], databases: Sequence[str]) -> None:
    """Delete rows of jobs that were erased while their snapshot was on its way here."""
    keys = list(ids)
    for alias in databases if keys else ():
        _model("Attempt")._default_manager.using(alias).filter(job_id__in=keys).delete()
        _model("Job")._default_manager.using(alias).filter(pk__in=keys).delete()


def _readable_job(snapshot: Snapshot, unpack: Unpack, database: str, backend: str) -> Job:
    """Return the job of a snapshot; of an unreadable body only its place is known."""
    try:
        return unpack(snapshot.id, snapshot.body)
    except UnreadableBody:
        queue, priority = _place(snapshot.body)
        created = snapshot.record.first_started or snapshot.version / 1000
        return Job(snapshot.id, "?", queue, priority, created=created, database=database, backend=backend)


def _place(body: str) -> tuple[str, int]:
    """Return where a body says that it belongs, as far as a row can say it; a damaged one belongs nowhere."""
    try:
        queue, priority = codec.place(body)
    except (UnreadableBody, ValueError):
        return DEFAULT_TASK_QUEUE_NAME, 0
    return queue.replace("\x00", "")[:LONGEST_QUEUE], max(-MOST_PRIORITY, min(MOST_PRIORITY, priority))


def _row(job: Job, snapshot: Snapshot, describe: Describe) -> JobRow:
    record = snapshot.record
    last: Mapping[str, Any] = record.attempts[-1] if record.attempts else {}
    failed = _error_of(last, record)
    arguments = describe(job)
    # Retries and rebuilds need the body; a finished job needs it only for exact arguments, which is no reason to keep a
    # secret.
    keeps_secret = record.state is State.SUCCESSFUL and STARS in str(arguments)
    due = record.due if record.due is not None else job.run_after
    row: JobRow = _model("Job")(
        id=job.id,
        task=job.task[:200],
        backend=job.backend,
        queue=job.queue,
        priority=job.priority,
        state=record.state,
        reason=record.reason[:200] if record.reason != "recovered" else "",
        arguments=arguments,
        body="" if keeps_secret else snapshot.body.replace("\x00", ""),
        result=last.get("v", "") if record.state is State.SUCCESSFUL else "",
        error_class=failed.get("c", "")[:200],
        error_message=failed.get("m", "")[:500],
        attempt=record.attempt,
        max_attempts=job.options.max_attempts,
        crashes=record.crashes,
        worker=record.worker[:100],
        enqueued_at=moment(job.created),
        run_after=moment(due),
        started_at=moment(record.first_started),
        last_attempted_at=moment(record.last_attempted),
        finished_at=moment(record.ended),
        version=snapshot.version,
    )
    return row


def _error_of(last: Mapping[str, Any], record: Record) -> Mapping[str, Any]:
    if record.state is State.SUCCESSFUL:
        return {}
    if last.get("o") == "lost" and record.state is State.FAILED:
        return {"c": f"{WorkerLost.__module__}.{WorkerLost.__qualname__}", "m": record.reason}
    return last if "c" in last else {}


def _open(pairs: Sequence[tuple[Job, Snapshot]], alias: str) -> Sequence[tuple[Job, Snapshot]]:
    """Return the pairs whose rows have not succeeded, where the statement itself cannot see to it.

    What has succeeded stays so: a server that lost its last writes may have the job run once more.
    """
    if connections[alias].vendor != "mysql":
        return pairs
    rows = _model("Job")._default_manager.using(alias).filter(pk__in=[job.id for job, _ in pairs])
    over = {str(job_id) for job_id in rows.filter(state=State.SUCCESSFUL, settled=False).values_list("pk", flat=True)}
    return [pair for pair in pairs if pair[0].id not in over]


def _versions(pairs: Sequence[tuple[Job, Snapshot]], alias: str, taken: int | None) -> dict[str, int]:
    """Return the versions that the rows have now; nobody has to look if all have taken what they were given."""
    if taken == len(pairs):
        return {job.id: snapshot.version for job, snapshot in pairs}
    rows = _model("Job")._default_manager.using(alias).filter(pk__in=[job.id for job, _ in pairs])
    return {str(job_id): version for job_id, version in rows.values_list("pk", "version")}


def _insert_attempts(pairs: Iterable[tuple[Job, Snapshot]], alias: str) -> None:
    model = _model("Attempt")
    attempts = [
        model(
            job_id=job.id,
            number=note["n"],
            worker=note["w"][:100],
            outcome=note["o"],
            started_at=moment(note["s"]),
            finished_at=moment(note["e"]),
            retry_at=moment(note.get("r")),
            error_class=note.get("c", "")[:200],
            error_message=note.get("m", "")[:500],
            traceback=note.get("t", ""),
        )
        for job, snapshot in pairs
        for note in snapshot.record.attempts
    ]
    if attempts:
        model._default_manager.using(alias).bulk_create(attempts, batch_size=500, ignore_conflicts=True)


def _model(name: str) -> Any:
    return apps.get_model("django_backie", name)
