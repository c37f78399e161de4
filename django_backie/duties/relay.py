"""Push jobs whose row is committed but which never arrived in Redis."""

from __future__ import annotations

import logging

from .. import outbox
from ..backend import RedisBackend
from ..clock import SYSTEM, Clock
from .base import on_each

logger = logging.getLogger("django_backie.duties")


class Relay:
    """Every two seconds, without pause while there is a full batch."""

    name = "relay"
    interval = 2.0

    def __init__(self, backend: RedisBackend, clock: Clock = SYSTEM) -> None:
        self._backend = backend
        self._clock = clock

    def tick(self) -> float:
        """Push what has waited for more than the grace."""
        pushed: list[int] = []
        on_each(self._backend.config.databases, lambda database: pushed.append(self._relay(database)), self.name)
        if any(pushed):
            logger.info("pushed %d job(s) from the outbox", sum(pushed))
        return 0.0 if max(pushed, default=0) >= outbox.BATCH else self.interval

    def _relay(self, database: str) -> int:
        backend = self._backend
        return outbox.relay(database, backend.alias, backend.broker.enqueue, self._clock.now())
