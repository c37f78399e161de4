"""Tell attempts that somebody wants their jobs cancelled.

The parent hears of it first and changes a number on the board; nobody asks the broker before that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from ..broker.redis import RedisBroker
from ..broker.replies import Request
from ..clock import Clock
from ..exceptions import BrokerError
from .attempt import Attempt

logger = logging.getLogger("django_backie.worker")

PAUSE = 1.0


class Requests:
    """What a worker's jobs were asked, up to the number ``heard``."""

    def __init__(self, broker: RedisBroker, cancel: Callable[[Attempt], None], clock: Clock) -> None:
        self._broker = broker
        self._cancel = cancel
        self._clock = clock
        self._next_look = 0.0
        self.heard = 0

    def hear(self, number: int, worker: str, running: Mapping[str, Attempt]) -> None:
        """Pass on what is asked; where it could not be, or not to all, the next look comes after a pause."""
        now = self._clock.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + PAUSE
        try:
            requests = self._broker.asked(worker)
        except BrokerError as error:
            logger.debug("not known yet which jobs are to be cancelled: %s", error)
            return
        unknown = [request for request in requests if not self._pass_on(request, running)]
        # A lease may be on its way here still.
        if not unknown:
            self.heard = number

    def _pass_on(self, request: Request, running: Mapping[str, Attempt]) -> bool:
        attempt = running.get(request.id)
        if attempt is None or attempt.lease.token != request.token:
            return False
        if attempt.hold.asked is None:
            attempt.hold.asked = request.reason
            self._cancel(attempt)
        return True
