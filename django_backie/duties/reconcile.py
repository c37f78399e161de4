"""Bring back jobs that Redis has lost, and take away those it has back though they ended: the row is the record."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator

from .. import outbox
from ..backend import RedisBackend
from ..broker import epoch
from ..clock import SYSTEM, Clock
from ..exceptions import BrokerError
from .base import on_each

logger = logging.getLogger("django_backie.duties")

SLOW_INTERVAL = 60.0
# What is younger may be on its way.
SLOW_AGE = 30.0
# For so many seconds a slow pass goes on before the other duties have their turn.
SLOW_TURN = 0.2
# After a full pass that a database has missed, or that found another server though nothing was lost: a proxy in front
# of several servers would have us compare everything each second.
AGAIN_AFTER = 10.0


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
        # By database, what is left of a slow pass.
        self._slow: dict[str, Iterator[None]] = {}
        self._count = 0

    def tick(self) -> float:
        """Reconcile everything with another server than before, else now and then what is old enough."""
        found = epoch.look(self._broker)
        if found.identity is not None and found.has_changed:
            return self._reconcile_all(found.identity, is_emptied=found.known is None)
        return self._compare_slowly() if self._clock.monotonic() >= self._slow_at else self.interval

    def _compare_slowly(self) -> float:
        if not self._slow:
            before = self._clock.now() - SLOW_AGE
            self._slow = {name: self._restore_pages(name, before) for name in self._backend.config.databases}
        until = self._clock.monotonic() + SLOW_TURN
        try:
            while self._slow and self._clock.monotonic() <= until:
                on_each([*self._slow][:1], self._turn_page, self.name)
        except BrokerError:
            # Once more from the beginning, and not in a minute only.
            self._slow = {}
            raise
        if self._slow:
            return 0.0
        self._slow_at = self._clock.monotonic() + SLOW_INTERVAL
        return self.interval

    def _turn_page(self, database: str) -> None:
        """Compare a page; a pass that has come to its end, or fails, is over."""
        pages = self._slow.pop(database)
        for _ in pages:
            self._slow[database] = pages
            return

    def _reconcile_all(self, identity: str, *, is_emptied: bool) -> float:
        now, self._count = self._clock.now(), 0
        databases = self._backend.config.databases
        is_well = on_each(databases, self._drop_ended, self.name)
        self._mend()
        is_well &= on_each(databases, functools.partial(self._restore_lost, before=now), self.name)
        if is_well:
            self._broker.keep(identity)
        return self.interval if is_well and (self._count or is_emptied) else AGAIN_AFTER

    def _mend(self) -> None:
        count = sum(map(self._broker.mend, self._broker.present_pages()))
        if count:
            logger.warning("Redis had half of a change of %d job(s); put right", count)
        self._count += count

    def _restore_lost(self, database: str, before: float) -> None:
        for _ in self._restore_pages(database, before):
            """Go on to the last page."""

    def _restore_pages(self, database: str, before: float) -> Iterator[None]:
        count = 0
        for ids in outbox.unfinished_pages(database, self._backend.alias, before):
            count += outbox.restore(self._broker.missing(ids), database, self._broker.restore)
            yield
        if count:
            logger.warning("Redis had lost %d job(s); brought back from %r", count, database)
        self._count += count

    def _drop_ended(self, database: str) -> None:
        # Beginning with what is in Redis: that is little beside the rows of all that has ever ended.
        count = sum(self._broker.drop(outbox.ended(page, database)) for page in self._broker.present_pages())
        if count:
            logger.warning("Redis had %d job(s) back that have ended by %r", count, database)
        self._count += count
