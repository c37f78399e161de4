"""What a worker does while Redis does not answer: wait, longer each time, and say so once."""

from __future__ import annotations

import logging

from ..exceptions import BrokerError

logger = logging.getLogger("django_backie.worker")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class Outage:
    """Knows whether there is one, and how long to wait before the next call; ``pause`` is seconds."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.pause = 0.0

    def goes_on(self, error: BrokerError) -> None:
        """Note that a call has failed."""
        if not self.pause:
            logger.warning("%s; running jobs go on, their results are kept until it is back", error)
        self.pause = min(max(self.pause * 2, FIRST_PAUSE), LONGEST_PAUSE)

    def is_over(self) -> None:
        """Note that a call has succeeded."""
        if self.pause:
            logger.info("Redis at %s is back", self._address)
        self.pause = 0.0
