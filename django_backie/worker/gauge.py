"""How far running attempts are, on its way to Redis. No attempt ever waits for that, or fails by it."""

from __future__ import annotations

import logging
import threading
import time
from queue import Empty, SimpleQueue

from ..broker.redis import RedisBroker
from ..broker.sent import Shown
from ..core.progress import Reported

logger = logging.getLogger("django_backie.worker")

# Seconds from one write to the next, of whichever attempts, and after one that has failed.
PAUSE, LONG_PAUSE = 0.25, 2.0


class Gauge:
    """How far one attempt is. Nobody but the attempt itself sees it, unless there are ``gauges`` to show it."""

    __slots__ = ("_gauges", "_is_over", "_is_queued", "_job", "_latest", "_token", "_worker")

    def __init__(self, gauges: Gauges | None = None, worker: str = "", job: str = "", token: int = 0) -> None:
        self._gauges = gauges
        self._worker = worker
        self._job = job
        self._token = token
        self._latest: Reported | None = None
        self._is_queued = False
        self._is_over = False

    def show(self, reported: Reported) -> None:
        """Take a report, unless the attempt has ended."""
        # Without a lock: a time limit may raise anywhere in here, and a lock that stays taken would stop other jobs.
        if self._is_over:
            return
        self._latest = reported
        if self._gauges is not None and not self._is_queued:
            self._is_queued = True
            self._gauges.put(self)

    def close(self) -> Reported | None:
        """Take no more reports; return the last, which travels with the end of the attempt."""
        self._is_over = True
        return self._latest

    def taken(self) -> Shown | None:
        """Return what is to be written now, if anything."""
        # First: what is reported from here on queues again.
        self._is_queued = False
        if self._is_over or self._latest is None:
            return None
        return Shown(self._worker, self._job, self._token, self._latest.text())

    def put_back(self) -> None:
        """Note that what was taken has not been written; what an attempt has ended with goes another way."""
        if self._gauges is not None and not self._is_queued and not self._is_over:
            self._is_queued = True
            self._gauges.put(self)


class Gauges:
    """Writes what the attempts of one worker report, a few times a second, from a thread of its own.

    There is no such thread before the first report.
    """

    def __init__(self, broker: RedisBroker, pause: float = PAUSE) -> None:
        self._broker = broker
        self._pause = pause
        self._queue: SimpleQueue[Gauge | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._has_started = False

    def put(self, gauge: Gauge) -> None:
        """Have a gauge written soon."""
        self._queue.put(gauge)
        # Whoever finds it taken leaves the start to the other.
        if not self._has_started and self._starting.acquire(blocking=False):
            self._has_started = True
            try:
                threading.Thread(target=self._work, name="backie-progress", daemon=True).start()
            except RuntimeError as error:
                logger.debug("no progress is shown: %s", error)

    def stop(self) -> None:
        """Write no more; the attempts have ended, and their last values with them."""
        if self._has_started:
            self._queue.put(None)

    def _work(self) -> None:
        while (gauge := self._queue.get()) is not None:
            took = self._write([gauge, *self._waiting()])
            time.sleep(self._pause if took else LONG_PAUSE)

    def _waiting(self) -> list[Gauge]:
        gauges: list[Gauge] = []
        while True:
            try:
                gauge = self._queue.get_nowait()
            except Empty:
                return gauges
            if gauge is None:
                self._queue.put(None)
                return gauges
            gauges.append(gauge)

    def _write(self, gauges: list[Gauge]) -> bool:
        shown = [found for gauge in gauges if (found := gauge.taken()) is not None]
        try:
            self._broker.show(shown)
        except Exception as error:  # noqa: BLE001 - whatever it is, the jobs go on, and others are shown
            logger.debug("the progress of %d job(s) is not shown: %s", len(shown), error)
            for gauge in gauges:
                gauge.put_back()
            return False
        return True
