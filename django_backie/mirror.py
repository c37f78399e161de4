"""Copy job states from Redis into the job table, in bulk.

Writes may come late, repeated or out of order: a row only takes a version larger than its own, and an attempt is
written once. Most jobs have a row already, from the outbox or from an earlier snapshot: what has changed is written
first, and a body is opened only for a row that turns out to be missing.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connections, transaction

from . import locks, upsert
from .broker.replies import Snapshot
from .bulk import Row
from .core.states import State
from .courtesy import give_way
from .rows import Describe, Reader, Rows, Unpack, size_of

logger = logging.getLogger("django_backie.duties")

# Characters; what is longer is written in several statements.
LARGEST_CHUNK = 2 * 1024 * 1024
# Seconds for somebody who holds a row: a host that is frozen holds it until it is thawed.
LONGEST_WAIT = 2.0

# What a value may raise on its way into a row, on whichever database.
_BAD_VALUE = (DataError, IntegrityError, ValidationError, ArithmeticError, LookupError, TypeError, ValueError)

Versions = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Written:
    """What has become of snapshots.

    ``failed`` could not be written; ``behind`` are those whose rows have a larger version, with that version;
    ``missing`` have no row yet; ``new`` is how many of them had none when it was looked for.
    """

    failed: frozenset[str] = frozenset()
    behind: Versions = field(default_factory=dict)
    missing: tuple[Snapshot, ...] = ()
    new: int = field(default=0, compare=False)

    def __or__(self, other: Written) -> Written:
        missing, new = self.missing + other.missing, self.new + other.new
        return Written(self.failed | other.failed, {**self.behind, **other.behind}, missing, new)


# Writes some snapshots to a database, in one transaction.
_Step = Callable[[Sequence[Snapshot], Rows], Written]

# Writes rows; answers how many took what they were given, where the database tells.
_Statement = Callable[[Sequence[Row], str], int | None]


def write(
    snapshots: Sequence[Snapshot],
    databases: Sequence[str],
    unpack: Unpack,
    describe: Describe,
    backend: str,
    *,
    are_new: bool = False,
) -> Written:
    """Write the snapshots to the tables they belong to.

    Args:
        are_new: they are believed to have no rows, so nobody looks for these first. It is right in any case, but
            dearer where they have some.
    """
    reader = Reader(unpack, describe, backend)
    written = Written()
    for alias, group in _by_database(snapshots, databases, reader).items():
        for chunk in _chunks(group):
            rows = Rows(alias, reader)
            give_way(len(chunk))
            is_blind = are_new and upsert.can_update(alias)
            changed = Written(missing=tuple(chunk)) if is_blind else _carefully(_change, chunk, rows)
            inserted = _carefully(_insert, changed.missing, rows) if changed.missing else Written()
            written |= Written(changed.failed, changed.behind, new=len(changed.missing)) | inserted
    return written


def _by_database(snapshots: Sequence[Snapshot], databases: Sequence[str], reader: Reader) -> dict[str, list[Snapshot]]:
    """Return the snapshots by the databases of their jobs, sorted, so that two mirrors never wait for each other."""
    grouped: dict[str, list[Snapshot]] = defaultdict(list)
    for snapshot in sorted(snapshots, key=attrgetter("id")):
        # A job without a body has been erased.
        if snapshot.body:
            alias = databases[0] if len(databases) == 1 else reader.database(snapshot)
            grouped[alias if alias in databases else databases[0]].append(snapshot)
    return grouped


def _chunks(snapshots: Sequence[Snapshot]) -> Iterator[list[Snapshot]]:
    """Split snapshots so that no statement exceeds what a database takes as one (MariaDB: 16 MiB)."""
    chunk: list[Snapshot] = []
    total = 0
    for snapshot in snapshots:
        size = size_of(snapshot)
        if chunk and total + size > LARGEST_CHUNK:
            yield chunk
            chunk, total = [], 0
        chunk.append(snapshot)
        total += size
    if chunk:
        yield chunk


def _carefully(step: _Step, snapshots: Sequence[Snapshot], rows: Rows) -> Written:
    """Take a step; where the database refuses a value, find the one and leave it out."""
    try:
        return step(snapshots, rows)
    except _BAD_VALUE as error:
        if len(snapshots) == 1:
            logger.exception("job %s cannot be written to %r", snapshots[0].id, rows.alias)
            return Written(frozenset({snapshots[0].id}))
        middle = len(snapshots) // 2
        logger.warning("%r refuses one of %d jobs: %s", rows.alias, len(snapshots), error)
        return _carefully(step, snapshots[:middle], rows) | _carefully(step, snapshots[middle:], rows)
    except (DatabaseError, InterfaceError) as error:
        if locks.is_timeout(error) and (free := _without_locked(snapshots, rows.alias)):
            left_out = frozenset(snapshot.id for snapshot in snapshots) - {snapshot.id for snapshot in free}
            return Written(left_out) | _carefully(step, free, rows)
        # The other databases' jobs must not wait for this one.
        logger.warning("%d job(s) could not be written to %r: %s", len(snapshots), rows.alias, error)
        return Written(frozenset(snapshot.id for snapshot in snapshots))


def _without_locked(snapshots: Sequence[Snapshot], alias: str) -> list[Snapshot]:
    """Return those whose rows nobody has locked; none where all are, or none is any more: that is for next time."""
    if not connections[alias].features.has_select_for_update_skip_locked:
        return []
    found = _rows_of(snapshots, alias)
    with transaction.atomic(using=alias):
        there = {str(key) for key in found.values_list("pk", flat=True)}
        free = {str(key) for key in found.select_for_update(skip_locked=True).values_list("pk", flat=True)}
    unlocked = [snapshot for snapshot in snapshots if snapshot.id in free or snapshot.id not in there]
    return unlocked if len(unlocked) < len(snapshots) else []


def _change(snapshots: Sequence[Snapshot], rows: Rows) -> Written:
    """Change the rows that are there, and tell which are missing."""
    if not upsert.can_update(rows.alias):
        return Written(missing=tuple(_open(snapshots, rows.alias)))
    changes = [rows.changes(snapshot) for snapshot in snapshots]
    versions = _in_one(upsert.update, changes, snapshots, rows)
    # A row that is older after all was inserted by another mirror between the two statements: the insert will see it.
    missing = tuple(snapshot for snapshot in snapshots if versions.get(snapshot.id, -1) < snapshot.version)
    return Written(behind=_behind(snapshots, versions), missing=missing)


def _insert(snapshots: Sequence[Snapshot], rows: Rows) -> Written:
    """Insert rows; one that is there after all is changed."""
    whole = []
    for snapshot in snapshots:
        whole.append(rows.whole(snapshot))
        give_way(len(snapshots))
    return Written(behind=_behind(snapshots, _in_one(upsert.insert, whole, snapshots, rows)))


def _in_one(statement: _Statement, given: Sequence[Row], snapshots: Sequence[Snapshot], rows: Rows) -> Versions:
    """Write rows and their attempts in one transaction; answer the versions that the rows have now."""
    # Not within the transaction: what is in a hurry may want its locks.
    give_way(len(given))
    with transaction.atomic(using=rows.alias):
        locks.limit_wait(rows.alias, LONGEST_WAIT)
        count = statement(given, rows.alias)
        versions = _versions(snapshots, rows.alias, count)
        # A newer snapshot bears the same attempts, unless Redis has lost them: then they count for nothing.
        _insert_attempts([one for one in snapshots if versions.get(one.id) == one.version], rows)
    give_way(len(given))
    return versions


def _open(snapshots: Sequence[Snapshot], alias: str) -> list[Snapshot]:
    """Return those whose rows have not succeeded, where the statement itself cannot see to it.

    What has succeeded stays so: a server that lost its last writes may have the job run once more.
    """
    succeeded = _rows_of(snapshots, alias).filter(state=State.SUCCESSFUL, settled=False)
    over = {str(job_id) for job_id in succeeded.values_list("pk", flat=True)}
    return [snapshot for snapshot in snapshots if snapshot.id not in over]


def _versions(snapshots: Sequence[Snapshot], alias: str, taken: int | None) -> Versions:
    """Return the versions that the rows have now; nobody has to look if all have taken what they were given."""
    if taken == len(snapshots):
        return {snapshot.id: snapshot.version for snapshot in snapshots}
    found = _rows_of(snapshots, alias).values_list("pk", "version")
    return {str(job_id): version for job_id, version in found}


def _insert_attempts(snapshots: Iterable[Snapshot], rows: Rows) -> None:
    attempts = [attempt for snapshot in snapshots for attempt in rows.attempts(snapshot)]
    if attempts:
        upsert.insert_attempts(attempts, rows.alias)


def _behind(snapshots: Sequence[Snapshot], versions: Versions) -> Versions:
    given = {snapshot.id: snapshot.version for snapshot in snapshots}
    return {job_id: version for job_id, version in versions.items() if version > given[job_id]}


def forget(ids: Iterable[str], databases: Sequence[str]) -> None:
    """Delete rows of jobs that were erased while their snapshot was on its way here."""
    keys = list(ids)
    for alias in databases if keys else ():
        _model("Attempt")._default_manager.using(alias).filter(job_id__in=keys).delete()
        _model("Job")._default_manager.using(alias).filter(pk__in=keys).delete()


def _rows_of(snapshots: Sequence[Snapshot], alias: str) -> Any:
    return _model("Job")._default_manager.using(alias).filter(pk__in=[snapshot.id for snapshot in snapshots])


def _model(name: str) -> Any:
    return apps.get_model("django_backie", name)
