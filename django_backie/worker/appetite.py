"""Whether a worker asks for jobs at its next turn, and for how many."""

from __future__ import annotations

from ..broker.replies import Turn
from ..clock import Clock
from .occupancy import Occupancy
from .options import WorkerOptions
from .pace import Pace
from .retirement import Retirement

NEVER = float("inf")


class Appetite:
    """Remembers whether there may be jobs, and weighs what the worker has room for.

    ``due_at`` is the monotonic time when the next scheduled job falls due.
    """

    def __init__(self, options: WorkerOptions, clock: Clock) -> None:
        self.pace = Pace(options)
        self.retirement = Retirement(options.max_jobs, options.max_memory, clock)
        self.maybe_ready = True
        self.due_at = NEVER
        self._is_due = False
        self._is_yielding = False
        self._clock = clock

    def look_at_clock(self) -> None:
        """Note whether a scheduled job has fallen due."""
        if self._clock.monotonic() >= self.due_at:
            self.maybe_ready, self._is_due, self.due_at = True, True, NEVER

    def give_way(self) -> None:
        """Ask for nothing once: what was just handed back because others may be free must not come back at once."""
        self.pace.forget()
        self._is_yielding = self.maybe_ready = True

    def room(self, occupancy: Occupancy, backlog: int, coming: int = 0, *, is_listening: bool) -> int:
        """Return how many jobs there is room for beside those that are coming.

        While the listener waits it is the listener who takes them.
        """
        room = self.pace.room(occupancy.threads, occupancy.loop, backlog, coming)
        room = max(0, self.retirement.room(room + coming) - coming)
        if is_listening:
            # But of what falls due nobody hears until a turn has looked.
            return min(room, 1) if self._is_due else 0
        return room

    def bite(self, room: int) -> int:
        """Return how many jobs to ask for now, given the room."""
        return room if self.maybe_ready and not self._is_yielding else 0

    def asked(self, limit: int) -> None:
        """Note that so many jobs were asked for: whatever is heard from now on is news that the answer may not have."""
        self._is_yielding = False
        if limit:
            self._is_due = self.maybe_ready = False

    def fed(self, turn: Turn, limit: int, since: float) -> None:
        """Learn from what came where up to ``limit`` jobs were asked for; it was true at a monotonic time."""
        self.due_at = NEVER if turn.next_due is None else since + turn.next_due
        if limit:
            self.maybe_ready |= len(turn.leases) == limit or turn.next_due == 0.0
