"""Judge by a child's loop counter whether the child still moves."""

from __future__ import annotations

from enum import Enum

# One look of the parent counts for no more: while the parent itself stood still, it has not looked.
LONGEST_LOOK = 1.5
KILL_MARGIN = 30.0


class Verdict(Enum):
    """What the parent thinks of a child."""

    MOVING = "moving"
    STANDING = "standing"
    WEDGED = "wedged"


class Pulse:
    """Feels whether the counter moves. A loop that stands loses its lease after one lease, and then its process.

    A job may keep the whole process from moving, by holding the GIL: that is no fault until its timeout.
    """

    def __init__(self, lease: float, now: float) -> None:
        self._lease = lease
        self._turns = -1
        self._stood = 0.0
        self._looked = now
        # Also while a job excuses it.
        self.stands_for = 0.0

    def feel(self, turns: int, busy_until: float, now: float) -> Verdict:
        """Return the verdict, given the counter and the time until which a started job may run."""
        look = min(now - self._looked, LONGEST_LOOK)
        self.stands_for = 0.0 if turns != self._turns else self.stands_for + look
        self._stood = 0.0 if turns != self._turns or now < busy_until else self._stood + look
        self._turns, self._looked = turns, now
        if self._stood < self._lease:
            return Verdict.MOVING
        return Verdict.STANDING if self._stood < self._lease + KILL_MARGIN else Verdict.WEDGED
