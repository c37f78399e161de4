"""What the pools are busy with, whoever the jobs belong to by now."""

from __future__ import annotations

from ..broker.replies import Ending
from .attempt import Attempt


class Occupancy:
    """Counts attempts handed to the pools, by kind; each leaves once, however often its end is told."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, int], bool] = {}
        self.threads = 0
        self.loop = 0

    def take(self, attempt: Attempt) -> None:
        """Count an attempt that was handed to a pool."""
        is_async = attempt.is_async
        self._kinds[attempt.lease.id, attempt.lease.token] = is_async
        self._add(1, is_async=is_async)

    def free(self, ending: Ending) -> None:
        """Count off an attempt that has ended, or was taken back."""
        is_async = self._kinds.pop((ending.id, ending.token), None)
        if is_async is not None:
            self._add(-1, is_async=is_async)

    def _add(self, number: int, *, is_async: bool) -> None:
        if is_async:
            self.loop += number
        else:
            self.threads += number
