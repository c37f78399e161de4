"""What a duty is, and the loop that runs duties: written once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Protocol

from django.db import DatabaseError, InterfaceError, connections

from ..clock import SYSTEM, Clock
from ..exceptions import BrokerError

logger = logging.getLogger("django_backie.duties")

# Work that lets others have their turn after each page; it answers how many jobs it has changed.
Pages = Generator[None, None, int]

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0


class Duty(Protocol):
    """Something that any worker does for all; safe when two do it at once."""

    name: str

    def tick(self) -> float:
        """Do what is due and return the seconds until the next time."""


def on_each(databases: Iterable[str], work: Callable[[str], object], what: str) -> None:
    """Do some work on each database; one that is down does not hold up the others."""
    for alias in databases:
        try:
            work(alias)
        except (DatabaseError, InterfaceError) as error:
            _leave_out(alias, what, error)


def pages_of_each(
    databases: Iterable[str], pages: Callable[[str], Pages], what: str
) -> Generator[None, None, tuple[int, bool]]:
    """Do the same for work that goes on page by page; return the sum of its answers, and whether all went well."""
    count, is_well = 0, True
    for alias in databases:
        try:
            count += yield from pages(alias)
        except (DatabaseError, InterfaceError) as error:
            _leave_out(alias, what, error)
            is_well = False
    return count, is_well


def _drop_old_connections() -> None:
    # Not ``close_old_connections``: it closes one inside an atomic block, such as the one of a ``TestCase``.
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _leave_out(alias: str, what: str, error: Exception) -> None:
    logger.warning("%s: %r is left out for now: %s", what, alias, error)


class Bell:
    """Wakes a rota: to hurry, or to stop."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self.is_stop = False

    def hurry(self) -> None:
        """Have everything done that somebody may wait for."""
        self._rung.set()

    def stop(self) -> None:
        """End the rota."""
        self.is_stop = True
        self._rung.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the bell, at most the given seconds; tell whether it has rung."""
        has_rung = self._rung.wait(seconds)
        self._rung.clear()
        return has_rung


class Rota:
    """Runs duties one after the other until it is stopped. A duty that fails is tried again, at growing distances."""

    def __init__(self, duties: Sequence[Duty], bell: Bell, clock: Clock = SYSTEM, urgent: str = "mirror") -> None:
        self._duties = duties
        self._bell = bell
        self._urgent = urgent
        self._clock = clock
        self._due = {duty.name: 0.0 for duty in duties}
        self._pauses: dict[str, float] = {}

    def run(self) -> None:
        """Run until stopped."""
        while not self._bell.is_stop:
            self.run_due()
            nearest = min(self._due.values(), default=self._clock.monotonic() + 1)
            if self._bell.wait(max(0.0, nearest - self._clock.monotonic())) and self._urgent in self._due:
                self._due[self._urgent] = 0.0

    def run_through(self) -> None:
        """Run each duty until it has nothing more to do at once, or fails."""
        for duty in self._duties:
            while self._tick(duty) == 0.0:
                pass

    def run_due(self) -> None:
        """Run every duty whose time has come, once."""
        for duty in self._duties:
            if self._due[duty.name] <= self._clock.monotonic():
                self._due[duty.name] = self._clock.monotonic() + self._tick(duty)

    def _tick(self, duty: Duty) -> float:
        try:
            _drop_old_connections()
            delay = duty.tick()
        except Exception as error:
            pause = min(self._pauses.get(duty.name, FIRST_PAUSE / 2) * 2, LONGEST_PAUSE)
            self._pauses[duty.name] = pause
            known = isinstance(error, BrokerError)
            logger.warning("%s failed, again in %.1f s: %s", duty.name, pause, error, exc_info=not known)
            return pause
        if self._pauses.pop(duty.name, None) is not None:
            logger.info("%s works again", duty.name)
        return delay
