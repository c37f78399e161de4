"""Bring back jobs that Redis has lost: the row is the record."""

from __future__ import annotations

import logging

from .. import outbox
from ..backend import RedisBackend
from ..clock import SYSTEM, Clock

logger = logging.getLogger("django_backie.duties")


class Reconcile:
    """Once a minute and at the start, page by page over the unfinished rows."""

    name = "reconcile"
    interval = 60.0

    def __init__(self, backend: RedisBackend, clock: Clock = SYSTEM) -> None:
        self._backend = backend
        self._clock = clock

    def tick(self) -> float:
        """Restore unfinished jobs older than half a minute that are not in Redis."""
        for database in self._backend.config.databases:
            count = 0
            for ids in outbox.unfinished_pages(database, self._backend.alias, self._clock.now()):
                missing = self._backend.broker.missing(ids)
                # Read again: a job may have ended, and left Redis, between the page and the question.
                lost = outbox.unfinished(missing, database)
                if lost:
                    self._backend.broker.restore(lost)
                    count += len(lost)
            if count:
                logger.warning("Redis had lost %d job(s); brought back from %r", count, database)
        return self.interval
