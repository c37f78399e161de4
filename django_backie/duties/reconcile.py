"""Bring back jobs that Redis has lost, and take away those it has back though they ended: the row is the record."""

from __future__ import annotations

import logging

from .. import outbox
from ..backend import RedisBackend
from ..broker import epoch
from ..clock import SYSTEM, Clock

logger = logging.getLogger("django_backie.duties")

SLOW_INTERVAL = 60.0
# What is younger may be on its way.
SLOW_AGE = 30.0
# How far back a server may be set that had the jobs once: a replica lags by seconds, an append-only file by one.
LONGEST_LOSS = 600.0


class Reconcile:
    """Each second, ask whether the server is the one that was last found to agree with the rows; if not, make it agree.

    Once a minute, and where the server does not tell who it is, compare what is older than half a minute.
    """

    name = "reconcile"
    interval = 1.0

    def __init__(self, backend: RedisBackend, clock: Clock = SYSTEM) -> None:
        self._backend = backend
        self._broker = backend.broker
        self._clock = clock
        self._slow_at = 0.0

    def tick(self) -> float:
        """Reconcile everything with another server than before, else now and then what is old enough."""
        now = self._clock.now()
        found = epoch.look(self._broker)
        if found.identity is not None and found.has_changed:
            self._drop_ended(now - LONGEST_LOSS)
            self._restore_lost(now)
            self._broker.keep(found.identity)
        elif self._clock.monotonic() >= self._slow_at:
            self._restore_lost(now - SLOW_AGE)
            self._slow_at = self._clock.monotonic() + SLOW_INTERVAL
        return self.interval

    def _restore_lost(self, before: float) -> None:
        for database in self._backend.config.databases:
            count = 0
            for ids in outbox.unfinished_pages(database, self._backend.alias, before):
                count += outbox.restore(self._broker.missing(ids), database, self._broker.restore)
            if count:
                logger.warning("Redis had lost %d job(s); brought back from %r", count, database)

    def _drop_ended(self, after: float) -> None:
        for database in self._backend.config.databases:
            pages = outbox.ended_pages(database, self._backend.alias, after)
            if count := sum(map(self._broker.drop, pages)):
                logger.warning("Redis had %d job(s) back that have ended by %r", count, database)
