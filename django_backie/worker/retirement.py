"""When a process has done its part: after so many jobs, or with so much memory. Its parent replaces it."""

from __future__ import annotations

import logging
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from ..clock import SYSTEM, Clock

logger = logging.getLogger("django_backie.worker")

LOOK_EVERY = 1.0
MIB = 1024 * 1024
_STATM = Path("/proc/self/statm")


def resident() -> int:
    """Return the bytes of memory that this process has now; where the system does not tell, the most it ever had."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # getrusage(2): kilobytes, but on macOS bytes.
        return most if sys.platform == "darwin" else most * 1024


class Retirement:
    """Counts the jobs that a process takes and looks at its memory, once a second; None means no limit."""

    def __init__(
        self,
        max_jobs: int | None,
        max_memory: int | None,
        clock: Clock = SYSTEM,
        measure: Callable[[], int] = resident,
    ) -> None:
        self._left = max_jobs
        self._max_memory = max_memory
        self._clock = clock
        self._measure = measure
        self._look_at = 0.0
        self._is_large = False
        self._has_taken = False

    def take(self, count: int) -> None:
        """Count jobs."""
        self._has_taken |= count > 0
        if self._left is not None:
            self._left -= count

    def room(self, wanted: int) -> int:
        """Return how many of the jobs there is still room for."""
        if self._is_too_large():
            return 0
        return wanted if self._left is None else min(wanted, self._left)

    @property
    def is_due(self) -> bool:
        """Tell whether the process takes no more jobs; those in hand have all the time they need."""
        return (self._left is not None and self._left <= 0) or self._is_too_large()

    def _is_too_large(self) -> bool:
        if self._max_memory is None or self._is_large or self._clock.monotonic() < self._look_at:
            return self._is_large
        if not self._has_taken:
            # A limit below what a process has from the start would end them all before their first job.
            return False
        self._look_at = self._clock.monotonic() + LOOK_EVERY
        size = self._measure()
        self._is_large = size > self._max_memory
        if self._is_large:
            limit = self._max_memory // MIB
            logger.warning("this process has %d MiB, more than the %d of --max-memory: it ends", size // MIB, limit)
        return self._is_large
