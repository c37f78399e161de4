"""A worker's name and its lease on it."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable

from ..broker.redis import RedisBroker
from ..broker.replies import Lease
from ..clock import SYSTEM, Clock
from ..exceptions import BrokerError
from .board import Board
from .gauge import Gauges
from .hold import Leased
from .options import WorkerOptions

logger = logging.getLogger("django_backie.worker")

PAUSE = 0.5
SURE = 0.8


class Membership:
    """Registers the worker; a fenced one goes on under another name, for its former jobs are not its own any more."""

    def __init__(
        self, broker: RedisBroker, options: WorkerOptions, base_name: str, board: Board, clock: Clock = SYSTEM
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._base_name = base_name
        self._board = board
        self._gauges = Gauges(broker)
        self._name = self._present_name()
        self._info = json.dumps({"pid": os.getpid(), "queues": options.named_queues, "mode": options.mode})

    @property
    def name(self) -> str:
        """Return the name under which jobs are leased at present."""
        return self._name

    def _present_name(self) -> str:
        return f"{self._base_name}.{self._board.get('generation')}"

    def join(self, gives_up: Callable[[], bool]) -> None:
        """Register; wait for Redis until ``gives_up`` says so."""
        while not gives_up():
            # The parent judges by it whether this process still moves.
            self._board.add("turns")
            asked = self._clock.monotonic()
            try:
                self._broker.join(self.name, self._info)
            except BrokerError as error:
                logger.warning("%s; trying again", error)
                threading.Event().wait(PAUSE)
            else:
                self._board.renewed(asked)
                return

    def hold_of(self, lease: Lease, worker: str) -> Leased:
        """Return the hold of a job that was leased under a name."""
        return Leased(self._broker, self.is_sure_of, worker, lease.id, lease.token, self._gauges)

    def is_sure_of(self, worker: str) -> bool:
        """Tell whether the lease of a name surely stands, by the clock; the last fifth of it is not relied upon."""
        if worker != self._name:
            return False
        return self._clock.monotonic() - self._board.last_renewed() < SURE * self._broker.config.lease

    @property
    def is_sure(self) -> bool:
        """Tell whether the present lease surely stands."""
        return self.is_sure_of(self.name)

    def rename(self) -> None:
        """Take a new name."""
        self._board.add("generation")
        self._name = self._present_name()

    def stopping(self) -> None:
        """Say that this worker stops; unsaid, a job that is killed with it counts a crash."""
        try:
            self._broker.stopping([self.name])
        except BrokerError as error:
            logger.debug("%s could not say that it stops: %s", self.name, error)

    def leave(self) -> None:
        """Strike this worker off; what it was given when it had already ended goes back, free of charge."""
        self._gauges.stop()
        try:
            if not self._broker.leave(self.name):
                self._broker.bury(self.name)
        except BrokerError as error:
            logger.warning("%s; the lease of %s will lapse", error, self.name)
