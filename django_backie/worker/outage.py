"""What a worker does while others are in trouble: wait, and say so once."""

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


class MirrorLag:
    """Knows whether workers get no jobs because the mirror has to catch up, and says so once."""

    def __init__(self) -> None:
        self._is_slow = False

    def __bool__(self) -> bool:
        return self._is_slow

    def note(self, *, is_slow: bool) -> None:
        """Note what the broker has answered to a worker that wanted jobs."""
        if is_slow and not self._is_slow:
            logger.warning("no new jobs for a while: too many changes wait for the mirror")
        self._is_slow = is_slow
