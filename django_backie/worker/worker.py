"""The child: lease as many jobs as it can start, run them, acknowledge them in batches."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from ..backend import RedisBackend
from ..broker.replies import Lease
from ..clock import SYSTEM, Clock
from ..core.states import State
from .attempt import Attempt, Finished
from .board import Board
from .executor import Executor
from .inbox import Inbox
from .ledger import Ledger
from .membership import Membership
from .options import WorkerOptions
from .pools.both import Pools
from .requests import Requests
from .stopping import Stopping
from .turns import Turns
from .watchdog import Watchdog

logger = logging.getLogger("django_backie.worker")

MANY, GATHERING = 32, 0.001

OnFinished = Callable[[Sequence[Finished]], None]


class Worker:
    """Leases and runs jobs until it is stopped, in the thread that calls ``run``.

    1. Take what has ended from the pools, and the first jobs after a pause from the listener.
    2. In one round trip, acknowledge what has ended and lease what can be started.
    3. Hand leased jobs to the pools; hand back what a pool cannot start soon.
    4. When stopped: hand back what has not started, wait for the rest, interrupt it at the end of the grace.
    """

    def __init__(
        self,
        backend: RedisBackend,
        options: WorkerOptions,
        name: str,
        board: Board,
        on_finished: OnFinished,
        clock: Clock = SYSTEM,
    ) -> None:
        self._lease = backend.broker.config.lease
        self._options = options
        self._membership = Membership(backend.broker, options, name, board, clock)
        self._board = board
        self._on_finished = on_finished
        self._clock = clock
        self._executor = Executor(backend, clock, hold_of=self._membership.hold_of)
        self._inbox = Inbox()
        self._pools = Pools(options, self._executor, self._inbox.put, board, clock)
        self._watchdog = Watchdog(self._pools, backend.config.watchdog, clock)
        self._ledger = Ledger()
        self._requests = Requests(backend.broker, self._pools.cancel, clock)
        self._stopping = Stopping(clock)
        self._turns = Turns(
            self,
            backend.broker,
            options,
            self._membership,
            self._ledger,
            self._pools,
            self._stopping,
            self._inbox.put,
            clock,
        )
        self.handed_back = 0

    @property
    def name(self) -> str:
        """Return the name under which jobs are leased; a fenced worker goes on under another."""
        return self._membership.name

    def run(self) -> None:
        """Work until stopped, or until nothing is left in burst mode."""
        self._pools.start()
        self._turns.listener.start()
        self._membership.join(lambda: self._stopping.has_begun)
        try:
            while self._ledger or not self._turns.is_over:
                self._receive()
                self._turns.take_if_due()
                self._care()
        finally:
            self._leave()

    def stop(self) -> None:
        """Take no new jobs, finish the running ones within the grace. Safe to call from a signal handler, and twice."""
        self._stopping.begin(self._options.grace)
        self._inbox.wake()

    def stop_unrenewed(self) -> None:
        """Stop as long as the lease surely lasts: nobody renews it any more."""
        self._stopping.begin(min(self._options.grace, self._lease / 2))
        self._inbox.wake()

    def abort(self) -> None:
        """Hand everything back now."""
        self._stopping.abort()
        self._inbox.wake()

    # 1. Receive

    def _receive(self) -> None:
        """Wait for something to happen, then take all that has happened."""
        mail = self._inbox.receive(self._turns.patience(), self._gather)
        self._accept(mail.finished, self._ledger.close)
        self._turns.appetite.maybe_ready |= mail.is_woken
        if mail.heard:
            self._turns.heard(mail.heard)
        self._turns.appetite.look_at_clock()

    def _gather(self) -> None:
        """Let what ends about now come together, where so much runs that a round trip for each would cost more."""
        if len(self._ledger.running) >= MANY:
            time.sleep(max(0.0, GATHERING - (self._clock.monotonic() - self._turns.last)))

    def _accept(self, batch: Sequence[Finished], enter: Callable[[Finished], None]) -> None:
        """Take attempts that have ended: their endings wait for the next turn."""
        if not batch:
            return
        for finished in batch:
            enter(finished)
            if finished.ran:
                self._turns.appetite.pace.ran(finished.ran)
        self._turns.appetite.maybe_ready |= any(finished.has_followers for finished in batch)
        states = Counter(finished.ending.state for finished in batch)
        self._board.count(states)
        self.handed_back += states[State.READY] if self._stopping.has_begun else 0
        self._on_finished(batch)

    # 2. Start, and take care

    def start_leases(self, leases: list[Lease]) -> None:
        """Hand leased jobs to the pools; what cannot be run at all ends here."""
        opened: list[Attempt] = []
        unopened: list[Finished] = []
        for lease in leases:
            attempt = self._executor.open(lease, self.name)
            if isinstance(attempt, Finished):
                unopened.append(attempt)
                continue
            self._ledger.open(attempt)
            opened.append(attempt)
        for_loop = self._pools.submit(opened)
        self._accept(unopened, self._ledger.refuse)
        if leases:
            self._turns.appetite.pace.came(len(leases), for_loop)
        self._board.set("busy", len(self._ledger.running))

    def _care(self) -> None:
        if (asked := self._board.turn()) != self._requests.heard:
            self._requests.hear(asked, self.name, self._ledger.running)
        self._board.set("busy", len(self._ledger.running))
        self._pools.enforce_timeouts()
        self._watchdog.look()
        if self._stopping.has_begun:
            self._stopping.tell(self._membership.stopping)
            self._hand_back_unstarted()
            if self._stopping.is_time_up:
                self._interrupt()
        elif self._pools.is_stuck():
            # A long job came among short ones: others may be free to run what waits behind it.
            self._hand_back_unstarted()
            self._turns.appetite.give_way()

    def _hand_back_unstarted(self) -> None:
        self._ledger.hand_back(self._pools.take_back(), self.name)

    # 3. Stop

    def _interrupt(self) -> None:
        """Raise Shutdown in what still runs.

        What does not end by that is handed back by the parent, or by the lease.
        """
        if not self._stopping.has_interrupted:
            # Once: a second cancellation would hit what an async task does to clean up.
            self._stopping.has_interrupted = True
            self._pools.interrupt_all()
        if self._stopping.is_overdue:
            self.handed_back += self._ledger.give_up()

    def rejoin(self) -> None:
        """Go on under a new name: the lease has lapsed and the jobs were given to others."""
        logger.warning(
            "the lease of %s has lapsed: its %d job(s) run elsewhere now", self.name, len(self._ledger.running)
        )
        self._hand_back_unstarted()
        self._ledger.forget()
        self._membership.rename()
        self._membership.join(lambda: self._stopping.has_begun)

    def _leave(self) -> None:
        self._turns.listener.stop()
        self._pools.stop()
        self._membership.leave()
