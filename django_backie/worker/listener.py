"""The thread that talks to Redis while the worker's own has other things to do.

It waits for jobs while nothing is to be done, and fetches the next while much is.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..broker.asking import Asking
from ..broker.listener import Listener
from ..broker.redis import RedisBroker
from ..broker.replies import Ending, Turn
from ..exceptions import BrokerError
from .options import WorkerOptions

logger = logging.getLogger("django_backie.worker")

LONGEST_BLOCK = 5.0
PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Up to ``limit`` jobs under a name: at once, with endings to tell (or none: empty), or after a wake-up (None)."""

    worker: str
    limit: int
    endings: Sequence[Ending] | None = None

    @property
    def is_wait(self) -> bool:
        """Tell whether a wake-up comes first."""
        return self.endings is None


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of it; without a turn nobody knows what was taken."""

    wanted: Wanted
    turn: Turn | None = None
    error: BrokerError | None = None


class ListenerThread:
    """Blocks on the wake-up markers while the worker is idle, and only then: a marker must go to whoever can use it.

    What is marked is taken in the same round trip. Until the worker has got what came of it (``heard``), nobody else
    takes jobs under its name: so each of its jobs is known to it but once.
    """

    def __init__(self, broker: RedisBroker, options: WorkerOptions, put: Callable[[Any], None]) -> None:
        self._broker = broker
        self._options = options
        self._listener = Listener(broker, options.named_queues, options.mode, LONGEST_BLOCK, options.queues_to_ask)
        self._asking = Asking(broker, options.named_queues, options.mode, order=options.queues_to_ask)
        self._put = put
        self._line: queue.SimpleQueue[Wanted | None] = queue.SimpleQueue()
        # Changed by the worker's thread alone.
        self._wanted: Wanted | None = None
        self._thread = threading.Thread(target=self._work, name="backie-listener", daemon=True)

    @property
    def is_busy(self) -> bool:
        """Tell whether something is wanted that the worker has not heard of yet."""
        return self._wanted is not None

    @property
    def is_telling(self) -> bool:
        """Tell whether it is about to tell endings, which nobody else must tell meanwhile."""
        return self._wanted is not None and not self._wanted.is_wait

    @property
    def is_fresh(self) -> bool:
        """Tell whether what is wanted at once goes out at once."""
        return self._asking.is_fresh

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def want(self, wanted: Wanted) -> None:
        """Get jobs and put what was heard; does nothing while something is wanted already.

        What is wanted at once is sent at once: this thread may not get the interpreter before the pools are idle.

        Raises:
            BrokerUnavailable: it could not be sent.
        """
        if self._wanted is None:
            if wanted.endings is not None:
                self._asking.ask(wanted.worker, wanted.endings, wanted.limit)
            self._wanted = wanted
            self._line.put(wanted)

    def heard(self) -> None:
        """Note that the worker has got what was put."""
        self._wanted = None

    def stop(self) -> None:
        """Let the thread end with its present block; nobody waits for it."""
        self._line.put(None)

    def _work(self) -> None:
        while (wanted := self._line.get()) is not None:
            heard = Heard(wanted)
            try:
                heard = Heard(wanted, self._get(wanted))
            except BrokerError as error:
                heard = Heard(wanted, error=error)
            except Exception:
                logger.exception("listening failed")
            if heard.turn is None and wanted.is_wait:
                threading.Event().wait(PAUSE)
            self._put(heard)
        self._listener.close()
        self._asking.close()

    def _get(self, wanted: Wanted) -> Turn | None:
        if wanted.is_wait:
            return self._listener.take(LONGEST_BLOCK, wanted.worker, wanted.limit)
        return self._asking.answer()

    def turn(self, wanted: Wanted) -> Turn:
        """Get jobs and tell endings at once, in the thread that calls.

        Raises:
            BrokerUnavailable: no answer; jobs may have been given all the same.
        """
        queues = self._options.queues_to_ask()
        return self._broker.turn(wanted.worker, wanted.endings or (), wanted.limit, queues, self._options.mode)
