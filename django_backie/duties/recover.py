"""Promote due jobs, take back what dead workers hold."""

from __future__ import annotations

import logging

from ..broker.redis import RedisBroker

logger = logging.getLogger("django_backie.duties")


class Recover:
    """Once a second over all workers: the script throttles itself."""

    name = "recover"
    interval = 1.0

    def __init__(self, broker: RedisBroker) -> None:
        self._broker = broker

    def tick(self) -> float:
        """Run the broker's tick."""
        ticked = self._broker.tick()
        if ticked.buried:
            logger.warning("%d worker(s) died; %d job(s) taken back", ticked.buried, ticked.recovered)
        return self.interval
