"""What the parent does for the leases: renew those of children that move, keep the broker's time, bury."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from ..broker.redis import RedisBroker
from ..clock import SYSTEM, Clock
from ..exceptions import BrokerError
from .children import Child

logger = logging.getLogger("django_backie.worker")

RENEWALS_PER_LEASE = 3
AGAIN_AFTER = 1.0
TICK, LONG_TICK = 1.0, 5.0


class Leases:
    """The leases of a parent's children, and the clock of all."""

    def __init__(self, broker: RedisBroker, clock: Clock = SYSTEM) -> None:
        self._broker = broker
        self._clock = clock
        self._interval = broker.config.lease / RENEWALS_PER_LEASE
        self._next_renewal = 0.0
        self._next_tick = 0.0

    def renew(self, children: Sequence[Child]) -> None:
        """Renew what is due; a child that is not among the given ones loses its lease."""
        now = self._clock.monotonic()
        if now < self._next_renewal:
            return
        boards = {child.full_name: child.board for child in children if child.board is not None}
        try:
            renewed = self._broker.renew({name: board.started() for name, board in boards.items()})
        except BrokerError as error:
            logger.warning("leases were not renewed: %s", error)
            self._next_renewal = now + AGAIN_AFTER
            return
        self._next_renewal = now + self._interval
        for name, board in boards.items():
            if renewed[name]:
                board.renewed(now)

    def tick(self, children: Sequence[Child]) -> bool:
        """Keep time for all, and tell whether jobs were taken back; children are told that jobs of theirs are unwanted.

        The duties do it too, but they wait for the database, and while nobody ticks nobody is recovered.
        """
        now = self._clock.monotonic()
        if now < self._next_tick:
            return False
        self._next_tick = now + TICK
        try:
            ticked = self._broker.tick()
        except BrokerError as error:
            self._next_tick = now + LONG_TICK
            logger.debug("no tick: %s", error)
            return False
        for child in children if ticked.asked else ():
            if child.board is not None and child.full_name in ticked.asked:
                child.board.set("asked", ticked.asked[child.full_name])
        if ticked.buried:
            logger.warning("%d worker(s) died; %d job(s) taken back", ticked.buried, ticked.recovered)
        return ticked.recovered > 0

    def stopping(self, children: Sequence[Child]) -> None:
        """Say that children stop; unsaid, jobs that are killed with them count a crash."""
        try:
            self._broker.stopping([child.full_name for child in children])
        except BrokerError as error:
            logger.debug("not said that the workers stop: %s", error)

    def bury(self, child: Child, started: Collection[str]) -> bool:
        """Take back what a dead child holds; tell whether it was anything."""
        try:
            count = self._broker.bury(child.full_name, started)
        except BrokerError as error:
            logger.warning("%s; the lease of %s will lapse instead", error, child.name)
            return False
        if count:
            logger.warning("%d job(s) of %s taken back, %d had started", count, child.name, len(started))
        return count > 0
