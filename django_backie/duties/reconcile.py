"""Bring back jobs that Redis has lost, and take away those it has back though they ended: the row is the record."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from .. import outbox, pauses
from ..backend import RedisBackend
from ..broker import epoch
from ..clock import SYSTEM, Clock
from .base import Pages, pages_of_each

logger = logging.getLogger("django_backie.duties")

SLOW_INTERVAL = 60.0
# What is younger may be on its way.
SLOW_AGE = 30.0
# For so many seconds a pass goes on before the other duties have their turn: the mirror writes down meanwhile what the
# next loss of Redis would take.
TURN = 0.2
# After a full pass that a database has missed, or that found another server though nothing was lost, and between two
# that were disturbed. A proxy in front of several servers would have us compare everything all the time.
AGAIN_AFTER = 10.0


@dataclass(slots=True)
class _Pass:
    """A comparison that goes on page by page, and the server that it has begun with.

    Where that has changed meanwhile, and not for the first time within a minute, the pass goes on to its end, but does
    not tell what it was to show.
    """

    found: epoch.Epoch
    pages: Iterator[None]
    is_disturbed: bool = False


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
        self._pass: _Pass | None = None
        self._pause = self.interval
        self._disturbed_at = float("-inf")

    def tick(self) -> float:
        """Reconcile everything with another server than before, else now and then what is old enough."""
        found = epoch.look(self._broker)
        current, self._pass = self._going_on(found), None
        if current is None:
            return self.interval
        # One that is broken off by a BrokerError is forgotten, and begins once more.
        if self._turn(current.pages):
            self._pass = current
            return 0.0
        return self._pause

    def _going_on(self, found: epoch.Epoch) -> _Pass | None:
        """Return the pass that goes on or begins now."""
        current = self._pass
        if current is None or not current.found.has_changed:
            if found.has_changed:
                return self._full_pass(found)
            is_due = self._clock.monotonic() >= self._slow_at
            return current or (_Pass(found, self._slow_pages()) if is_due else None)
        if found == current.found:
            return current
        if not found.has_changed:
            # Another worker has come to the end before.
            return None
        if self._may_hurry():
            return self._full_pass(found)
        current.is_disturbed = True
        return current

    def _full_pass(self, found: epoch.Epoch) -> _Pass:
        made = _Pass(found, iter(()))
        made.pages = self._all_pages(made)
        return made

    def _may_hurry(self) -> bool:
        """Tell whether to begin anew where the server has changed in the midst of a pass: for once, not each time."""
        last, self._disturbed_at = self._disturbed_at, self._clock.monotonic()
        return self._disturbed_at - last > SLOW_INTERVAL

    def _turn(self, pages: Iterator[None]) -> bool:
        """Go on for a while; tell whether there is more."""
        until = self._clock.monotonic() + TURN
        return any(self._clock.monotonic() > until for _ in pages)

    def _all_pages(self, this: _Pass) -> Iterator[None]:
        before, databases = self._clock.now(), self._backend.config.databases
        # First of all: what is brought back must not run in a queue that somebody has paused.
        paused, has_paused = yield from pages_of_each(databases[:1], self._restore_pauses, self.name)
        dropped, has_dropped = yield from pages_of_each(databases, self._drop_ended, self.name)
        asked, has_asked = yield from pages_of_each(databases, self._ask_again, self.name)
        mended = yield from self._mend()
        restored, has_restored = yield from pages_of_each(
            databases, lambda name: self._restore(name, before), self.name
        )
        is_well = has_paused and has_dropped and has_asked and has_restored and not this.is_disturbed
        if is_well and this.found.identity is not None:
            self._broker.keep(this.found.identity)
        is_news = is_well and (paused + dropped + asked + mended + restored > 0 or this.found.known is None)
        self._pause = self.interval if is_news else AGAIN_AFTER

    def _slow_pages(self) -> Iterator[None]:
        before = self._clock.now() - SLOW_AGE
        yield from pages_of_each(self._backend.config.databases[:1], self._restore_pauses, self.name)
        yield from pages_of_each(self._backend.config.databases, lambda name: self._restore(name, before), self.name)
        self._slow_at = self._clock.monotonic() + SLOW_INTERVAL
        self._pause = self.interval

    def _restore_pauses(self, database: str) -> Pages:
        count = pauses.restore(self._backend)
        if count:
            logger.warning(
                "%d queue(s) or task(s) were paused, or not, in Redis other than in %r; put right", count, database
            )
        yield
        return count

    def _mend(self) -> Pages:
        count = 0
        for page in self._broker.present_pages():
            count += self._broker.mend(page)
            yield
        if count:
            logger.warning("Redis had half of a change of %d job(s); put right", count)
        return count

    def _restore(self, database: str, before: float) -> Pages:
        count = 0
        for ids in outbox.unfinished_pages(database, self._backend.alias, before):
            count += outbox.restore(self._broker.missing(ids), database, self._broker.restore)
            yield
        if count:
            logger.warning("Redis had lost %d job(s); brought back from %r", count, database)
        return count

    def _ask_again(self, database: str) -> Pages:
        """Ask running jobs again to cancel, where the server has lost that they were asked."""
        count = 0
        for page in outbox.unwanted(database, self._backend.alias):
            here = self._broker.inspect([job_id for job_id, *_ in page])
            for job_id, version, reason in page:
                if job_id in here and here[job_id].record.version < version:
                    count += self._broker.cancel([job_id], reason) != ["ENDED"]
            yield
        if count:
            logger.warning("Redis had forgotten that %d job(s) are to be cancelled", count)
        return count

    def _drop_ended(self, database: str) -> Pages:
        # Beginning with what is in Redis: that is little beside the rows of all that has ever ended.
        count = 0
        for page in self._broker.present_pages():
            count += self._broker.drop(outbox.ended(page, database))
            yield
        if count:
            logger.warning("Redis had %d job(s) back that have ended by %r", count, database)
        return count
