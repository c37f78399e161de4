"""What a worker holds: attempts that run, and endings that the broker has not been told yet."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from ..broker.replies import Ending, Lease
from ..core.states import State
from .attempt import Attempt, Finished
from .occupancy import Occupancy

logger = logging.getLogger("django_backie.worker")


class Ledger:
    """Each attempt is opened once and ended once, however often its end is told."""

    def __init__(self) -> None:
        self.running: dict[str, Attempt] = {}
        self.endings: list[Ending] = []
        self.occupancy = Occupancy()

    def __bool__(self) -> bool:
        return bool(self.running or self.endings)

    def __len__(self) -> int:
        return len(self.running) + len(self.endings)

    def open(self, attempt: Attempt) -> None:
        """Note an attempt that goes to a pool."""
        self.running[attempt.lease.id] = attempt
        self.occupancy.take(attempt)

    def close(self, finished: Finished) -> None:
        """Note the end of an attempt, unless it is not this worker's to end any more.

        It is not when it was given up meanwhile, or leased under a former name.
        """
        ending = finished.ending
        self.occupancy.free(ending)
        held = self.running.get(ending.id)
        if held is not None and held.lease.token == ending.token:
            del self.running[ending.id]
            self.endings.append(ending)

    def refuse(self, finished: Finished) -> None:
        """Note the end of a lease that could not be opened."""
        self.endings.append(finished.ending)

    def hand_back(self, attempts: Iterable[Attempt], worker: str) -> None:
        """Return attempts that no pool has started; those of a former name are not this worker's any more."""
        for attempt in attempts:
            ending = _back(attempt)
            self.occupancy.free(ending)
            if attempt.worker == worker:
                self.running.pop(attempt.lease.id, None)
                self.endings.append(ending)

    def decline(self, leases: Iterable[Lease]) -> None:
        """Return leases that were not opened."""
        self.endings += [Ending(lease.id, lease.token, State.READY, refund=True) for lease in leases]

    def give_up(self) -> int:
        """Hand back all that runs, however it may end; answer how many."""
        count = len(self.running)
        self.endings += map(_back, self.running.values())
        self.running = {}
        return count

    def told(self, answers: Sequence[str]) -> None:
        """Strike the first endings off, given what the broker has answered to them."""
        for ending, answer in zip(self.endings, answers, strict=False):
            if answer == "STALE":
                logger.warning("%s: the lease had passed to another worker; this result is refused", ending.id)
        del self.endings[: len(answers)]

    def forget(self) -> None:
        """Forget everything: it belongs to others now."""
        self.running = {}
        self.endings.clear()

    def unknown(self, leases: Iterable[Lease]) -> list[Lease]:
        """Return those of the leases that are not here."""
        ending = {ending.id for ending in self.endings}
        return [lease for lease in leases if lease.id not in self.running and lease.id not in ending]


def _back(attempt: Attempt) -> Ending:
    return Ending(attempt.lease.id, attempt.lease.token, State.READY, refund=True)
