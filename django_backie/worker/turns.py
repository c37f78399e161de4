"""What a worker says to the broker, and when: tell what has ended, ask for jobs, or wait until some come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..broker.redis import RedisBroker
from ..broker.replies import Lease, Turn
from ..clock import Clock
from ..exceptions import BrokerError
from .appetite import Appetite
from .ledger import Ledger
from .listener import Heard, ListenerThread, Wanted
from .membership import Membership
from .options import WorkerOptions
from .outage import MirrorLag, Outage
from .pools.backlog import LONGEST_LOOK
from .pools.both import Pools
from .stopping import Stopping

BEAT, FLUSH_AFTER = 1.0, 0.01
MOST_ENDINGS = 500


class Owner(Protocol):
    """What the turns need of their worker."""

    def start_leases(self, leases: list[Lease]) -> None:
        """Hand leased jobs to the pools."""

    def rejoin(self) -> None:
        """Go on under a new name."""


class Turns:
    """One conversation: of turns and waits there is one at a time that takes jobs, and one that tells endings.

    A turn is made by the worker's own thread where nothing else is to be done meanwhile, and by the listener's where
    the pools have work.
    """

    def __init__(
        self,
        owner: Owner,
        broker: RedisBroker,
        options: WorkerOptions,
        membership: Membership,
        ledger: Ledger,
        pools: Pools,
        stopping: Stopping,
        put: Callable[[Heard], None],
        clock: Clock,
    ) -> None:
        self._owner = owner
        self._broker = broker
        self._options = options
        self._membership = membership
        self._ledger = ledger
        self._pools = pools
        self._stopping = stopping
        self._clock = clock
        self.listener = ListenerThread(broker, options, put)
        self.appetite = Appetite(options, clock)
        self._outage = Outage(broker.address)
        self._mirror_lag = MirrorLag()
        self._has_doubts = False
        self.last = 0.0

    @property
    def is_over(self) -> bool:
        """Tell whether a worker that has nothing in hand has nothing to come either."""
        if self.listener.is_telling:
            return False
        if self._stopping.has_begun or self.appetite.retirement.is_due:
            return True
        return self._options.burst and not self.appetite.maybe_ready and not self._mirror_lag

    def patience(self) -> float:
        """Return how many seconds to wait at most for something to happen before the next look."""
        if self._outage.pause:
            return self._outage.pause
        if not self.listener.is_telling and (self._ledger.endings or self._wants_jobs):
            ready_to_flush = not self._ledger.endings or self._pools.backlog == 0
            return 0.0 if ready_to_flush else FLUSH_AFTER
        if self._pools.backlog or self._stopping.has_interrupted:
            return LONGEST_LOOK
        nearest = min(self.appetite.due_at, self._stopping.ends_at) - self._clock.monotonic()
        return max(0.001, min(BEAT, nearest))

    @property
    def _wants_jobs(self) -> bool:
        return self.appetite.maybe_ready and self._room() > 0

    def _room(self, coming: int = 0) -> int:
        if self._stopping.has_begun or not self._membership.is_sure:
            return 0
        backlog = self._pools.backlog
        return self.appetite.room(self._ledger.occupancy, backlog, coming, is_listening=self.listener.is_busy)

    def _wanted(self, coming: int = 0) -> Wanted:
        limit = self.appetite.bite(self._room(coming))
        return Wanted(self._membership.name, limit, self._ledger.endings[:MOST_ENDINGS])

    def take_if_due(self) -> None:
        """Tell what has ended and ask for jobs, where it is time for that."""
        if self.listener.is_telling:
            return
        now = self._clock.monotonic()
        flush = self._ledger.endings and (self._pools.backlog == 0 or now - self.last >= FLUSH_AFTER)
        # Nothing but a turn tells a worker whose lease is not sure whether it has lapsed, or what it was given.
        is_unsure = self._has_doubts or not self._membership.is_sure
        if not (flush or self._wants_jobs or (is_unsure and now - self.last >= BEAT)):
            return
        wanted = self._wanted()
        try:
            if wanted.limit and self._pools.backlog and not (self.listener.is_busy or self._has_doubts):
                self._ask(wanted)
                return
            self._sent(wanted)
            turn = self.listener.turn(wanted)
        except BrokerError as error:
            self._failed(error)
        else:
            self.last = self._clock.monotonic()
            self._answered(wanted, turn)

    def _ask(self, wanted: Wanted) -> None:
        # The server and the pools work at the same time.
        self._sent(wanted)
        self.listener.want(wanted)

    def _sent(self, wanted: Wanted) -> None:
        self.last = self._clock.monotonic()
        self.appetite.asked(wanted.limit)

    def heard(self, heard: Heard) -> None:
        """Start what the listener has brought."""
        self.listener.heard()
        if heard.error and not heard.wanted.is_wait:
            self._failed(heard.error)
        elif heard.turn is None or heard.wanted.worker != self._membership.name:
            self._has_doubts = self.appetite.maybe_ready = True
        elif heard.wanted.is_wait:
            self._woken(heard.turn, heard.wanted.limit)
        else:
            self._answered(heard.wanted, heard.turn)

    def _failed(self, error: BrokerError) -> None:
        self._outage.goes_on(error)
        self._has_doubts = self.appetite.maybe_ready = True
        if self._stopping.is_abort:
            self._ledger.endings.clear()

    def _answered(self, wanted: Wanted, turn: Turn) -> None:
        self._outage.is_over()
        self._ledger.told(turn.answers)
        if self._learn(turn, wanted.limit, self.last):
            self._ask_ahead(turn)
            self._open(turn.leases)
            self._repair(turn.held)
            self._rest(turn)

    def _woken(self, turn: Turn, limit: int) -> None:
        self._outage.is_over()
        # While it waited there may have become less room than it had.
        room = self._room()
        if self._learn(turn, limit, self._clock.monotonic()):
            self._ledger.decline(turn.leases[room:])
            self._open(turn.leases[:room])
            # Where Redis counts more than this worker knows of, only a turn with nobody listening can tell why.
            self.appetite.maybe_ready |= turn.held > len(self._ledger)
            self._rest(turn)

    def _learn(self, turn: Turn, limit: int, since: float) -> bool:
        """Note what a turn tells of the next ones; answer whether this worker's name still stands."""
        if turn.fenced:
            self._owner.rejoin()
            self.appetite.maybe_ready = True
            return False
        self.appetite.fed(turn, limit, since)
        if limit:
            self._mirror_lag.note(is_slow=turn.slow)
        elif self._mirror_lag:
            self.appetite.maybe_ready = True
        return True

    def _open(self, leases: list[Lease]) -> None:
        if self._stopping.has_begun:
            self._ledger.decline(leases)
            return
        self.appetite.retirement.take(len(leases))
        self._owner.start_leases(leases)

    def _ask_ahead(self, turn: Turn) -> None:
        """Ask for the next jobs before these are opened: the server has them ready when the pools have run dry."""
        is_complete = turn.held <= len(self._ledger) + len(turn.leases)
        if self._has_doubts or not (is_complete and self.appetite.maybe_ready and self.listener.is_fresh):
            return
        wanted = self._wanted(coming=len(turn.leases))
        if wanted.limit:
            try:
                self._ask(wanted)
            except BrokerError as error:
                self._failed(error)

    def _repair(self, held: int) -> None:
        """Start jobs whose lease was lost on the way here: Redis counts more than this worker knows of."""
        if self.listener.is_busy:
            return
        self._has_doubts = False
        if held <= len(self._ledger):
            return
        try:
            leases = self._broker.held(self._membership.name)
        except BrokerError as error:
            self._failed(error)
        else:
            self._open(self._ledger.unknown(leases))

    def _rest(self, turn: Turn) -> None:
        """Let the listener wait where nothing more is to be had."""
        if self.appetite.maybe_ready or self._stopping.has_begun or self._options.burst or turn.slow:
            return
        if room := self._room():
            # Beside a job that holds the interpreter what comes may lie unopened: one job at most.
            self.listener.want(Wanted(self._membership.name, 1 if self._ledger.running else room))
        elif not self.listener.is_busy:
            # With no room it would take the marker of a job from those who have.
            self.appetite.maybe_ready = True
