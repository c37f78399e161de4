"""Copy what changed in Redis into the job table."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence

from django.db import DatabaseError, InterfaceError

from .. import hooks, mirror, outbox
from ..backend import RedisBackend
from ..base_backend import describe
from ..broker.replies import Snapshot
from ..courtesy import give_way
from ..rows import Describe

logger = logging.getLogger("django_backie.duties")


class Mirror:
    """Twice a second, without pause while there is a full batch."""

    name = "mirror"
    interval = 0.5
    # Where nothing can be written, the pauses grow up to this: a database that was away for a moment is soon caught up.
    longest_interval = 5.0
    batch = 500
    most_pages = 10
    # Where so large a part of a batch had no rows, nobody looks for those of the batches that follow.
    mostly = 0.9
    unlooked = 9

    def __init__(self, backend: RedisBackend) -> None:
        self._backend = backend
        self._stuck = 0
        self._has_lifted = False
        self._new_batches = 0

    def tick(self) -> float:
        """Mirror one batch."""
        if self.flush() == self.batch:
            return 0.0
        return min(self.interval * 2.0 ** max(0, self._stuck - 1), self.longest_interval)

    def flush(self) -> int:
        """Mirror one batch; answer how many jobs were written. What cannot be written now does not stand in the way."""
        written = skipped = 0
        for _ in range(self.most_pages):
            size, failed = self._flush_from(skipped)
            written += size - failed
            skipped += failed
            if not failed or size < self.batch:
                break
        # Not so far that the pause could not be computed any more.
        self._stuck = min(self._stuck + 1, 10) if skipped > 0 and not written else 0
        return min(written, self.batch)

    def _flush_from(self, offset: int) -> tuple[int, int]:
        backend, broker = self._backend, self._backend.broker
        snapshots = broker.take(self.batch, offset)
        self._has_lifted = False
        if not snapshots:
            return 0, 0
        describing = functools.partial(describe, config=backend.config)
        give_way(len(snapshots))
        result = self._write(snapshots, describing)
        left = result.failed | self._catch_up(result.behind)
        for snapshot in snapshots:
            # Before its mark goes, lest it be lost.
            if snapshot.id not in left:
                hooks.follow_unheard(backend, snapshot)
        written = {snapshot.id: snapshot.version for snapshot in snapshots if snapshot.id not in left}
        give_way(len(snapshots))
        mirror.forget(broker.done(written), backend.config.databases)
        return len(snapshots), len(left)

    def _write(self, snapshots: Sequence[Snapshot], describing: Describe) -> mirror.Written:
        backend, are_new = self._backend, self._new_batches > 0
        databases = backend.config.databases
        result = mirror.write(snapshots, databases, backend.unpack, describing, backend.alias, are_new=are_new)
        if are_new:
            self._new_batches -= 1
        elif len(snapshots) == self.batch and result.new >= self.mostly * self.batch:
            self._new_batches = self.unlooked
        return result

    def _catch_up(self, behind: Mapping[str, int]) -> set[str]:
        """Raise jobs above their rows; return those of which it is not known whether they have ended.

        Where the row is newer, another mirror was faster, and this changes nothing; or the clock has gone back. Or the
        server has lost its last writes, and has jobs that have ended by their rows: lifted, they would run again.
        """
        for database in self._backend.config.databases if behind else ():
            try:
                self._backend.broker.drop(outbox.ended([*behind], database))
            except (DatabaseError, InterfaceError) as error:
                logger.warning("mirror: %d job(s) wait for %r: %s", len(behind), database, error)
                return {*behind}
        self._has_lifted = self._backend.broker.lift(behind) > 0
        return set()

    def drain(self) -> None:
        """Mirror until nothing is left, at most what a busy namespace changes meanwhile."""
        for _ in range(1000):
            if self.flush() < self.batch and not self._has_lifted:
                return
