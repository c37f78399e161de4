"""A worker's right to run one attempt, as far as its process can know it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..broker.redis import RedisBroker
from ..exceptions import BrokerError
from .gauge import Gauge, Gauges


class Hold(Protocol):
    """What an attempt may ask about its lease, and where it shows how far it is.

    ``asked`` is why somebody wants its job cancelled, else None. ``shown`` is None before anything is shown: most
    attempts never do.
    """

    asked: str | None
    shown: Gauge | None

    def is_sure(self) -> bool:
        """Tell by the clock alone whether the lease surely stands."""

    def is_mine(self) -> bool:
        """Tell whether the lease stands, by asking the broker."""

    def gauge(self) -> Gauge:
        """Return where to show how far the attempt is."""

    def hold(self, limits: Sequence[str], seconds: float) -> None:
        """Let no job of some limits start for a time."""


class Unlimited:
    """The hold of an attempt that runs without a broker."""

    __slots__ = ("asked", "shown")

    def __init__(self) -> None:
        self.asked: str | None = None
        self.shown: Gauge | None = None

    def is_sure(self) -> bool:
        """Return True: there is no lease to lose."""
        return True

    def is_mine(self) -> bool:
        """Return True: nobody else runs the job."""
        return True

    def gauge(self) -> Gauge:
        """Return where the last value is kept until the attempt ends."""
        self.shown = self.shown or Gauge()
        return self.shown

    def hold(self, limits: Sequence[str], seconds: float) -> None:
        """Do nothing: there is nobody who could start."""


class Leased:
    """The hold of an attempt that was leased from the broker."""

    __slots__ = ("_broker", "_gauges", "_is_sure_of", "_job", "_token", "_worker", "asked", "shown")

    def __init__(
        self,
        broker: RedisBroker,
        is_sure_of: Callable[[str], bool],
        worker: str,
        job: str,
        token: int,
        gauges: Gauges | None = None,
    ) -> None:
        self._broker = broker
        self._is_sure_of = is_sure_of
        self._worker = worker
        self._job = job
        self._token = token
        self._gauges = gauges
        self.asked: str | None = None
        self.shown: Gauge | None = None

    def is_sure(self) -> bool:
        """Tell by the clock alone whether the lease surely stands."""
        return self._is_sure_of(self._worker)

    def is_mine(self) -> bool:
        """Tell whether the lease stands; while Redis does not answer, what the clock says counts."""
        if not self.is_sure():
            return False
        try:
            return self._broker.is_mine(self._worker, self._job, self._token)
        except BrokerError:
            return self.is_sure()

    def gauge(self) -> Gauge:
        """Return where to show how far the attempt is."""
        self.shown = self.shown or Gauge(self._gauges, self._worker, self._job, self._token)
        return self.shown

    def hold(self, limits: Sequence[str], seconds: float) -> None:
        """Let no job of some limits start for a time."""
        self._broker.hold(limits, seconds)
