"""Judge whether what waits for a thread waits behind long attempts."""

from __future__ import annotations

STALE_BACKLOG = 0.1
# One look counts for no more: while the process itself stood still, its threads could not start anything either.
LONGEST_LOOK = STALE_BACKLOG / 2


class Backlog:
    """Feels whether the line of a pool moves, by when it has last started an attempt.

    What is handed back comes again, but maybe behind what came after it. So it must be sure that a thread is long in
    its job, and not that a slow machine has let neither threads nor worker go on.
    """

    def __init__(self) -> None:
        self._last_started = self._looked = float("-inf")
        self._stood = 0.0

    def is_stuck(self, waiting: int, last_started: float, now: float) -> bool:
        """Tell whether nothing has started for too long though so many wait."""
        has_moved = not waiting or last_started != self._last_started
        self._stood = 0.0 if has_moved else self._stood + min(now - self._looked, LONGEST_LOOK)
        self._last_started, self._looked = last_started, now
        return self._stood > STALE_BACKLOG
