"""A worker's name and its lease on it."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable

from ..broker.redis import RedisBroker
from ..exceptions import BrokerError
from .board import Board
from .options import WorkerOptions

logger = logging.getLogger("django_backie.worker")

PAUSE = 0.5


class Membership:
    """Registers the worker; a fenced one goes on under another name, for its former jobs are not its own any more."""

    def __init__(self, broker: RedisBroker, options: WorkerOptions, base_name: str, board: Board) -> None:
        self._broker = broker
        self._base_name = base_name
        self._board = board
        self._info = json.dumps({"pid": os.getpid(), "queues": options.named_queues, "mode": options.mode})

    @property
    def name(self) -> str:
        """Return the name under which jobs are leased at present."""
        return f"{self._base_name}.{self._board.get('generation')}"

    def join(self, gives_up: Callable[[], bool]) -> None:
        """Register; wait for Redis until ``gives_up`` says so."""
        while not gives_up():
            try:
                self._broker.join(self.name, self._info)
            except BrokerError as error:
                logger.warning("%s; trying again", error)
                threading.Event().wait(PAUSE)
            else:
                return

    def rename(self) -> None:
        """Take a new name."""
        self._board.add("generation")

    def leave(self) -> None:
        """Strike this worker off."""
        try:
            self._broker.leave(self.name)
        except BrokerError as error:
            logger.warning("%s; the lease of %s will lapse", error, self.name)
