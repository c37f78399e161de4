"""The child: lease as many jobs as it can start, run them, acknowledge them in batches."""

from __future__ import annotations

import logging
import queue
import time
from collections import Counter
from collections.abc import Callable, Sequence

from ..backend import RedisBackend
from ..broker.redis import RedisBroker
from ..broker.replies import Lease
from ..clock import SYSTEM, Clock
from ..core.states import State
from ..exceptions import BrokerError
from .attempt import Attempt, Finished
from .board import Board
from .executor import Executor
from .ledger import Ledger
from .listener import WAKE, ListenerThread
from .membership import Membership
from .options import WorkerOptions
from .outage import MirrorLag, Outage
from .pace import Pace
from .pools.loop import LoopPool
from .pools.threads import ThreadPool
from .retirement import Retirement
from .stopping import Stopping

logger = logging.getLogger("django_backie.worker")

MANY, GATHERING = 32, 0.001
BEAT, FLUSH_AFTER, STALE_BACKLOG = 1.0, 0.01, 0.1

OnFinished = Callable[[Sequence[Finished]], None]


class Worker:
    """Leases and runs jobs until it is stopped, in the thread that calls ``run``.

    1. Take what has ended from the pools, and wake-ups from the listener.
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
        self._inbox: queue.SimpleQueue[Finished | str] = queue.SimpleQueue()
        self._threads = ThreadPool(options.threads, self._executor, self._inbox.put, board, clock)
        self._loop = LoopPool(options.async_concurrency, self._executor, self._inbox.put, board, options.threads, clock)
        self._listener = ListenerThread(self._broker, options, self._inbox.put)
        self._pace = Pace(options)
        self._ledger = Ledger()
        self._maybe_ready = True
        self._last_turn, self._due_at = 0.0, float("inf")
        self._outage = Outage(backend.broker.address)
        self._retirement = Retirement(options.max_jobs, options.max_memory, clock)
        self._stopping = Stopping(clock)
        self._is_yielding = False
        self._mirror_lag = MirrorLag()
        self.handed_back = 0

    @property
    def name(self) -> str:
        """Return the name under which jobs are leased; a fenced worker goes on under another."""
        return self._membership.name

    def run(self) -> None:
        """Work until stopped, or until nothing is left in burst mode."""
        self._threads.start()
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
        self._inbox.put(WAKE)

    def stop_unrenewed(self) -> None:
        """Stop as long as the lease surely lasts: nobody renews it any more."""
        self._stopping.begin(min(self._options.grace, self._broker.config.lease / 2))
        self._inbox.put(WAKE)

    def abort(self) -> None:
        """Hand everything back now."""
        self._stopping.abort()
        self._inbox.put(WAKE)

    def _is_over(self) -> bool:
        if self._ledger:
            return False
        if self._stopping.has_begun or self._retirement.is_due:
            return True
        return self._options.burst and not self._maybe_ready and not self._mirror_lag

    # 1. Receive

    def _receive(self) -> None:
        """Wait for something to happen, then take all that has happened."""
        finished: list[Finished] = []
        try:
            event = self._inbox.get(timeout=self._patience())
            self._gather()
            while True:
                if isinstance(event, str):
                    self._maybe_ready = True
                else:
                    finished.append(event)
                event = self._inbox.get_nowait()
        except queue.Empty:
            self._accept(finished, self._ledger.close)
            if self._clock.monotonic() >= self._due_at:
                self._maybe_ready, self._due_at = True, float("inf")

    def _gather(self) -> None:
        """Let what ends about now come together, where so much runs that a round trip for each would cost more."""
        if len(self._ledger.running) >= MANY:
            time.sleep(max(0.0, GATHERING - (self._clock.monotonic() - self._last_turn)))

    def _patience(self) -> float:
        if self._outage.pause:
            return self._outage.pause
        if self._ledger.endings or self._wants_jobs:
            ready_to_flush = not self._ledger.endings or self._threads.backlog == 0
            return 0.0 if ready_to_flush else FLUSH_AFTER
        if self._threads.backlog or self._stopping.has_interrupted:
            return STALE_BACKLOG / 2
        nearest = min(self._due_at, self._stopping.ends_at) - self._clock.monotonic()
        return max(0.001, min(BEAT, nearest))

    def _accept(self, batch: Sequence[Finished], enter: Callable[[Finished], None]) -> None:
        """Take attempts that have ended: their endings wait for the next turn."""
        if not batch:
            return
        for finished in batch:
            enter(finished)
            if finished.ran:
                self._pace.ran(finished.ran)
        self._maybe_ready |= any(finished.has_followers for finished in batch)
        states = Counter(finished.ending.state for finished in batch)
        self._board.count(states)
        self.handed_back += states[State.READY] if self._stopping.has_begun else 0
        self._on_finished(batch)

    # 2. Turn

    @property
    def _wants_jobs(self) -> bool:
        return self._maybe_ready and self._room() > 0

    def _room(self) -> int:
        if self._stopping.has_begun or not self._membership.is_sure:
            return 0
        occupancy = self._ledger.occupancy
        room = self._pace.room(occupancy.threads, occupancy.loop, self._threads.backlog)
        return max(0, self._retirement.room(room))

    def _turn_if_due(self) -> None:
        now = self._clock.monotonic()
        flush = self._ledger.endings and (self._threads.backlog == 0 or now - self._last_turn >= FLUSH_AFTER)
        # Nothing but a turn tells a worker whose lease is not sure whether it has lapsed.
        if not (flush or self._wants_jobs or (not self._membership.is_sure and now - self._last_turn >= BEAT)):
            return
        try:
            # What is handed back because others may be free for it must not come back with the same breath.
            self._turn(self._room() if self._maybe_ready and not self._is_yielding else 0)
            self._is_yielding = False
        except BrokerError as error:
            self._outage.goes_on(error)
            if self._stopping.is_abort:
                self._ledger.endings.clear()
        else:
            self._outage.is_over()

    def _turn(self, limit: int) -> None:
        endings = self._ledger.endings[:500]
        turn = self._broker.turn(self.name, endings, limit, self._options.named_queues, self._options.mode)
        self._last_turn = self._clock.monotonic()
        self._ledger.told(turn.answers)
        if turn.fenced:
            self._rejoin()
            return
        self._start(turn.leases)
        self._due_at = float("inf") if turn.next_due is None else self._last_turn + turn.next_due
        if limit:
            self._maybe_ready = len(turn.leases) == limit
            self._mirror_lag.note(is_slow=turn.slow)
        elif self._mirror_lag:
            self._maybe_ready = True
        self._repair(turn.held)
        if not (self._maybe_ready or self._stopping.has_begun or self._options.burst or turn.slow):
            self._listener.arm()

    def _repair(self, held: int) -> None:
        """Start jobs whose lease was lost on the way here: Redis counts more than this worker knows of."""
        if held > len(self._ledger):
            self._start(self._ledger.unknown(self._broker.held(self.name)))

    # 3. Start, and take care

    def _start(self, leases: list[Lease]) -> None:
        self._retirement.take(len(leases))
        for_loop: list[Attempt] = []
        unopened: list[Finished] = []
        for lease in leases:
            attempt = self._executor.open(lease, self.name)
            if isinstance(attempt, Finished):
                unopened.append(attempt)
                continue
            self._ledger.open(attempt)
            if attempt.is_async:
                for_loop.append(attempt)
            else:
                self._threads.submit(attempt)
        self._accept(unopened, self._ledger.refuse)
        if for_loop:
            self._loop.submit(for_loop)
        if leases:
            self._pace.came(len(leases), len(for_loop))
        self._board.set("busy", len(self._ledger.running))

    def _care(self) -> None:
        self._board.add("turns")
        self._board.set("busy", len(self._ledger.running))
        self._threads.enforce_timeouts()
        if self._stopping.has_begun:
            self._stopping.tell(self._membership.stopping)
            self._hand_back_unstarted()
            if self._stopping.is_time_up:
                self._interrupt()
        elif self._threads.backlog and self._clock.monotonic() - self._threads.last_started > STALE_BACKLOG:
            # A long job came among short ones: others may be free to run what waits behind it.
            self._hand_back_unstarted()
            self._pace.forget()
            self._is_yielding = self._maybe_ready = True

    def _hand_back_unstarted(self) -> None:
        self._ledger.hand_back(self._threads.take_back(), self.name)

    # 4. Stop

    def _interrupt(self) -> None:
        """Raise Shutdown in what still runs.

        What does not end by that is handed back by the parent, or by the lease.
        """
        if not self._stopping.has_interrupted:
            # Once: a second cancellation would hit what an async task does to clean up.
            self._stopping.has_interrupted = True
            self._threads.interrupt_all()
            self._loop.interrupt_all()
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
        self._maybe_ready = True

    def _leave(self) -> None:
        self._listener.stop()
        self._membership.leave()
        self._loop.stop()
        self._threads.stop()
