"""Time as a value that can be replaced."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the rest of the package may ask of time."""

    def now(self) -> float:
        """Return the wall clock as seconds since the epoch."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""


class SystemClock:
    """The machine's clock."""

    @staticmethod
    def now() -> float:
        """Return ``time.time()``."""
        return time.time()

    @staticmethod
    def monotonic() -> float:
        """Return ``time.monotonic()``."""
        return time.monotonic()


SYSTEM: Clock = SystemClock()
