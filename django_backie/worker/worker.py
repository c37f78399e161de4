"""The child: lease as many jobs as it can start, run them, acknowledge them in batches."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

from ..backend import RedisBackend
from ..broker.redis import RedisBroker
from ..broker.replies import Lease, Turn
from ..clock import SYSTEM, Clock
from ..core.states import State
from ..exceptions import BrokerError
from .appetite import Appetite
from .attempt import Attempt, Finished
from .board import Board
from .executor import Executor
from .inbox import Inbox
from .ledger import Ledger
from .listener import Heard, ListenerThread
from .membership import Membership
from .options import WorkerOptions
from .outage import MirrorLag, Outage
from .pools.both import STALE_BACKLOG, Pools
from .stopping import Stopping

logger = logging.getLogger("django_backie.worker")

MANY, GATHERING = 32, 0.001
BEAT, FLUSH_AFTER = 1.0, 0.01

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
        self._broker: RedisBroker = backend.broker
        self._options = options
        self._membership = Membership(backend.broker, options, name, board, clock)
        self._board = board
        self._on_finished = on_finished
        self._clock = clock
        self._executor = Executor(backend, clock, hold_of=self._membership.hold_of)
        self._inbox = Inbox()
        self._pools = Pools(options, self._executor, self._inbox.put, board, clock)
        self._listener = ListenerThread(self._broker, options, self._inbox.put)
        self._ledger = Ledger()
        self._appetite = Appetite(options, clock)
        self._last_turn = 0.0
        self._outage = Outage(backend.broker.address)
        self._stopping = Stopping(clock)
        self._mirror_lag = MirrorLag()
        self.handed_back = 0

    @property
    def name(self) -> str:
        """Return the name under which jobs are leased; a fenced worker goes on under another."""
        return self._membership.name

    def run(self) -> None:
        """Work until stopped, or until nothing is left in burst mode."""
        self._pools.start()
        self._listener.start()
        self._membership.join(lambda: self._stopping.has_begun)
        try:
            while not self._is_over():
                self._receive()
                self._turn_if_due()
                self._care()
        finally:
            self._leave()

    def stop(self) -> None:
        """Take no new jobs, finish the running ones within the grace. Safe to call from a signal handler, and twice."""
        self._stopping.begin(self._options.grace)
        self._inbox.wake()

    def stop_unrenewed(self) -> None:
        """Stop as long as the lease surely lasts: nobody renews it any more."""
        self._stopping.begin(min(self._options.grace, self._broker.config.lease / 2))
        self._inbox.wake()

    def abort(self) -> None:
        """Hand everything back now."""
        self._stopping.abort()
        self._inbox.wake()

    def _is_over(self) -> bool:
        if self._ledger:
            return False
        if self._stopping.has_begun or self._appetite.retirement.is_due:
            return True
        return self._options.burst and not self._appetite.maybe_ready and not self._mirror_lag

    # 1. Receive

    def _receive(self) -> None:
        """Wait for something to happen, then take all that has happened."""
        mail = self._inbox.receive(self._patience(), self._gather)
        self._accept(mail.finished, self._ledger.close)
        self._appetite.maybe_ready |= mail.is_woken
        if mail.heard:
            self._listen(mail.heard)
        self._appetite.look_at_clock()

    def _gather(self) -> None:
        """Let what ends about now come together, where so much runs that a round trip for each would cost more."""
        if len(self._ledger.running) >= MANY:
            time.sleep(max(0.0, GATHERING - (self._clock.monotonic() - self._last_turn)))

    def _patience(self) -> float:
        if self._outage.pause:
            return self._outage.pause
        if self._ledger.endings or self._wants_jobs:
            ready_to_flush = not self._ledger.endings or self._pools.backlog == 0
            return 0.0 if ready_to_flush else FLUSH_AFTER
        if self._pools.backlog or self._stopping.has_interrupted:
            return STALE_BACKLOG / 2
        nearest = min(self._appetite.due_at, self._stopping.ends_at) - self._clock.monotonic()
        return max(0.001, min(BEAT, nearest))

    def _accept(self, batch: Sequence[Finished], enter: Callable[[Finished], None]) -> None:
        """Take attempts that have ended: their endings wait for the next turn."""
        if not batch:
            return
        for finished in batch:
            enter(finished)
            if finished.ran:
                self._appetite.pace.ran(finished.ran)
        self._appetite.maybe_ready |= any(finished.has_followers for finished in batch)
        states = Counter(finished.ending.state for finished in batch)
        self._board.count(states)
        self.handed_back += states[State.READY] if self._stopping.has_begun else 0
        self._on_finished(batch)

    # 2. Turn

    @property
    def _wants_jobs(self) -> bool:
        return self._appetite.maybe_ready and self._room() > 0

    def _room(self) -> int:
        if self._stopping.has_begun or not self._membership.is_sure:
            return 0
        backlog = self._pools.backlog
        return self._appetite.room(self._ledger.occupancy, backlog, is_listening=self._listener.is_armed)

    def _turn_if_due(self) -> None:
        now = self._clock.monotonic()
        flush = self._ledger.endings and (self._pools.backlog == 0 or now - self._last_turn >= FLUSH_AFTER)
        # Nothing but a turn tells a worker whose lease is not sure whether it has lapsed.
        if not (flush or self._wants_jobs or (not self._membership.is_sure and now - self._last_turn >= BEAT)):
            return
        try:
            self._turn(self._appetite.bite(self._room()))
        except BrokerError as error:
            self._outage.goes_on(error)
            self._appetite.maybe_ready = True
            if self._stopping.is_abort:
                self._ledger.endings.clear()
        else:
            self._outage.is_over()

    def _turn(self, limit: int) -> None:
        endings = self._ledger.endings[:500]
        turn = self._broker.turn(self.name, endings, limit, self._options.named_queues, self._options.mode)
        self._last_turn = self._clock.monotonic()
        self._ledger.told(turn.answers)
        self._take(turn, limit, limit)
        self._repair(turn.held)
        self._rest(turn)

    def _listen(self, heard: Heard) -> None:
        """Start what has come while the worker waited. What it has no room for any more goes back."""
        self._listener.heard()
        if heard.turn is None or heard.worker != self.name:
            self._appetite.maybe_ready = True
            return
        room = self._room()
        self._ledger.decline(heard.turn.leases[room:])
        self._take(heard.turn, heard.limit, room)
        # Where Redis counts more than this worker knows of, only a turn with nobody listening can tell why.
        self._appetite.maybe_ready |= heard.turn.held > len(self._ledger)
        self._rest(heard.turn)

    def _take(self, turn: Turn, limit: int, room: int) -> None:
        if turn.fenced:
            self._rejoin()
            return
        self._start(turn.leases[:room])
        self._appetite.fed(turn, limit)
        if limit:
            self._mirror_lag.note(is_slow=turn.slow)
        elif self._mirror_lag:
            self._appetite.maybe_ready = True

    def _rest(self, turn: Turn) -> None:
        """Let the listener wait where nothing more is to be had."""
        if self._appetite.maybe_ready or self._stopping.has_begun or self._options.burst or turn.slow:
            return
        if room := self._room():
            self._listener.arm(self.name, room)
        elif not self._listener.is_armed:
            # With no room it would take the marker of a job from those who have.
            self._appetite.maybe_ready = True

    def _repair(self, held: int) -> None:
        """Start jobs whose lease was lost on the way here: Redis counts more than this worker knows of."""
        if held > len(self._ledger) and not self._listener.is_armed:
            self._start(self._ledger.unknown(self._broker.held(self.name)))

    # 3. Start, and take care

    def _start(self, leases: list[Lease]) -> None:
        self._appetite.retirement.take(len(leases))
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
            self._appetite.pace.came(len(leases), for_loop)
        self._board.set("busy", len(self._ledger.running))

    def _care(self) -> None:
        self._board.add("turns")
        self._board.set("busy", len(self._ledger.running))
        self._pools.enforce_timeouts()
        if self._stopping.has_begun:
            self._stopping.tell(self._membership.stopping)
            self._hand_back_unstarted()
            if self._stopping.is_time_up:
                self._interrupt()
        elif self._pools.is_stuck:
            # A long job came among short ones: others may be free to run what waits behind it.
            self._hand_back_unstarted()
            self._appetite.give_way()

    def _hand_back_unstarted(self) -> None:
        self._ledger.hand_back(self._pools.take_back(), self.name)

    # 4. Stop

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

    def _rejoin(self) -> None:
        """Go on under a new name: the lease has lapsed and the jobs were given to others."""
        logger.warning(
            "the lease of %s has lapsed: its %d job(s) run elsewhere now", self.name, len(self._ledger.running)
        )
        self._hand_back_unstarted()
        self._ledger.forget()
        self._membership.rename()
        self._membership.join(lambda: self._stopping.has_begun)
        self._appetite.maybe_ready = True

    def _leave(self) -> None:
        self._listener.stop()
        self._membership.leave()
        self._pools.stop()
