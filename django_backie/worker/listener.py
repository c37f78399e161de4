"""Wait for jobs while the worker is idle, and take the first."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..broker.listener import Listener
from ..broker.redis import RedisBroker
from ..broker.replies import Turn
from ..exceptions import BrokerError
from .options import WorkerOptions

logger = logging.getLogger("django_backie.worker")

LONGEST_BLOCK = 5.0
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of waiting under a name for up to ``limit`` jobs; without a turn nobody knows what was taken."""

    worker: str
    limit: int
    turn: Turn | None = None


class ListenerThread:
    """Blocks on the wake-up markers while the worker is idle, and only then: a marker must go to whoever can use it.

    What is marked is taken in the same round trip. Until the worker has got what came of it (``heard``), nobody else
    takes jobs under its name: so each of its jobs is known to it but once.
    """

    def __init__(self, broker: RedisBroker, options: WorkerOptions, put: Callable[[Any], None]) -> None:
        self._listener = Listener(broker, options.queues, options.mode, LONGEST_BLOCK)
        self._put = put
        self._armed: queue.SimpleQueue[Heard | None] = queue.SimpleQueue()
        # Changed by the worker's thread alone.
        self.is_armed = False
        self._thread = threading.Thread(target=self._work, name="backie-listener", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def arm(self, worker: str, limit: int) -> None:
        """Wait for one marker, take up to so many jobs and put what was heard; does nothing while it waits already."""
        if not self.is_armed:
            self.is_armed = True
            self._armed.put(Heard(worker, limit))

    def heard(self) -> None:
        """Note that the worker has got what was put."""
        self.is_armed = False

    def stop(self) -> None:
        """Let the thread end with its present block; nobody waits for it."""
        self._armed.put(None)

    def _work(self) -> None:
        while (wanted := self._armed.get()) is not None:
            heard = wanted
            try:
                turn = self._listener.take(LONGEST_BLOCK, wanted.worker, wanted.limit)
                heard = Heard(wanted.worker, wanted.limit, turn)
            except Exception as error:
                if not isinstance(error, BrokerError):
                    logger.exception("listening failed")
                threading.Event().wait(PAUSE)
            finally:
                self._put(heard)
        self._listener.close()
