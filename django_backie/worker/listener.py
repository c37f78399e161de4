"""Wake the worker when there may be work."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

from ..broker.redis import Listener, RedisBroker
from ..exceptions import BrokerError
from .options import WorkerOptions

logger = logging.getLogger("django_backie.worker")

LONGEST_BLOCK = 5.0
PAUSE = 0.1
WAKE = "wake"


class ListenerThread:
    """Blocks on the wake-up markers while the worker is idle, and only then: a marker must go to whoever can use it."""

    def __init__(self, broker: RedisBroker, options: WorkerOptions, put: Callable[[Any], None]) -> None:
        self._listener = Listener(broker, options.queues, options.mode, LONGEST_BLOCK)
        self._put = put
        self._armed: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._is_armed = False
        self._thread = threading.Thread(target=self._work, name="backie-listener", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def arm(self) -> None:
        """Wait for one marker and then put one wake-up; does nothing while it waits already."""
        if not self._is_armed:
            self._is_armed = True
            self._armed.put(WAKE)

    def stop(self) -> None:
        """Let the thread end with its present block; nobody waits for it."""
        self._armed.put(None)

    def _work(self) -> None:
        while self._armed.get() is not None:
            try:
                self._listener.wait(LONGEST_BLOCK)
            except Exception as error:
                if not isinstance(error, BrokerError):
                    logger.exception("listening failed")
                threading.Event().wait(PAUSE)
            finally:
                self._is_armed = False
                self._put(WAKE)
        self._listener.close()
