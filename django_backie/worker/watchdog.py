"""Tell, once each, what keeps a child's threads or its event loop from going on."""

from __future__ import annotations

import logging
import sys
import traceback

from ..clock import SYSTEM, Clock
from .attempt import Attempt, Stuck
from .pools.both import Pools

logger = logging.getLogger("django_backie.worker")

LOOK_EVERY = 1.0
MOST_NAMED = 5

_UNHEEDING = "%s goes on %.0f s after its timeout and keeps its thread; it is there:\n%s"
_BLOCKED = "the event loop has not turned for %.0f s, blocked by %s; it is there:\n%s"


class Watchdog:
    """Looks once a second, from the child's main thread, for what has not gone on for ``patience`` seconds.

    Where a job holds the interpreter's lock nothing of the child looks any more: then the parent does (``standstill``).
    None as patience means that nobody wants to know.
    """

    def __init__(self, pools: Pools, patience: float | None, clock: Clock = SYSTEM) -> None:
        self._pools = pools
        self._patience = float("inf") if patience is None else patience
        self._interval = min(LOOK_EVERY, self._patience)
        self._next = float("inf") if patience is None else 0.0
        self._clock = clock

    def look(self) -> None:
        """Look if it is time to."""
        now = self._clock.monotonic()
        if now < self._next:
            return
        self._next = now + self._interval
        for stuck in self._pools.unheeding(now, self._patience):
            logger.warning(_UNHEEDING, _names(stuck.attempts), stuck.seconds, _stack(stuck))
        for stuck in self._pools.blocked(now, self._patience):
            logger.warning(_BLOCKED, stuck.seconds, _names(stuck.attempts), _stack(stuck))


def _names(attempts: tuple[Attempt, ...]) -> str:
    if len(attempts) == 1:
        return _name(attempts[0])
    some = ", ".join(map(_name, attempts[:MOST_NAMED]))
    rest = f" and {len(attempts) - MOST_NAMED} more" if len(attempts) > MOST_NAMED else ""
    return f"one of {len(attempts)} jobs: {some}{rest}" if attempts else "no job: something that one has left there"


def _name(attempt: Attempt) -> str:
    return f"job {attempt.job.id} ({attempt.job.task})"


def _stack(stuck: Stuck) -> str:
    frame = sys._current_frames().get(stuck.thread)
    return "".join(traceback.format_stack(frame)).rstrip() if frame else "  (it has ended meanwhile)"
