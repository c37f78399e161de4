"""How far a worker's stop has got."""

from __future__ import annotations

from collections.abc import Callable

from ..clock import Clock

OVERDUE = 3.0
OVERDUE_IN_ABORT = 0.5


class Stopping:
    """Running jobs may finish until the grace ends; then they are interrupted, and a little later given up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ends_at = float("inf")
        self.has_begun = False
        self.has_interrupted = False
        self.is_abort = False
        self._is_told = False

    def begin(self, grace: float) -> None:
        """Begin, unless it has begun."""
        if not self.has_begun:
            self.ends_at = self._clock.monotonic() + grace
            self.has_begun = True

    def tell(self, say: Callable[[], None]) -> None:
        """Say once that it has begun."""
        if not self._is_told:
            self._is_told = True
            say()

    def abort(self) -> None:
        """End the grace now."""
        self.ends_at = self._clock.monotonic()
        self.has_begun = self.is_abort = True

    @property
    def is_time_up(self) -> bool:
        """Tell whether the grace has ended."""
        return self._clock.monotonic() >= self.ends_at

    @property
    def is_overdue(self) -> bool:
        """Tell whether the interrupted jobs have had their time to end."""
        return self._clock.monotonic() - self.ends_at > (OVERDUE_IN_ABORT if self.is_abort else OVERDUE)
