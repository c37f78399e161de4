"""Threads for sync tasks."""

from __future__ import annotations

import functools
import queue
import threading
from collections.abc import Callable

from ...clock import SYSTEM, Clock
from ...exceptions import Shutdown, TaskTimeout
from .. import hygiene
from ..attempt import Attempt, Finished, Stuck
from ..board import Board
from ..executor import Executor
from ..timelimit import Limit

Report = Callable[[Finished], None]


class ThreadPool:
    """A fixed number of threads that take attempts from one line."""

    def __init__(self, size: int, executor: Executor, report: Report, board: Board, clock: Clock = SYSTEM) -> None:
        self.size = size
        self._executor = executor
        self._report = report
        self._board = board
        self._clock = clock
        self._line: queue.SimpleQueue[Attempt | None] = queue.SimpleQueue()
        self._limits: list[Limit | None] = [None] * size
        self._running: list[Attempt | None] = [None] * size
        self.last_started = clock.monotonic()
        self._threads = [
            threading.Thread(target=self._work, args=(slot,), name=f"backie-{slot}", daemon=True)
            for slot in range(size)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def submit(self, attempt: Attempt) -> None:
        """Put an attempt in the line."""
        if self._line.empty():
            self.last_started = self._clock.monotonic()
        self._line.put(attempt)

    @property
    def backlog(self) -> int:
        """Return how many attempts wait for a thread."""
        return self._line.qsize()

    def take_back(self) -> list[Attempt]:
        """Return the attempts that no thread has started, and forget them."""
        taken: list[Attempt] = []
        while True:
            try:
                attempt = self._line.get_nowait()
            except queue.Empty:
                return taken
            if attempt is not None:
                taken.append(attempt)

    def enforce_timeouts(self) -> None:
        """Interrupt every attempt whose time is up."""
        now = self._clock.monotonic()
        for limit in self._limits:
            if limit is not None and limit.deadline is not None and limit.deadline <= now:
                limit.interrupt(TaskTimeout)

    def unheeding(self, now: float, patience: float) -> list[Stuck]:
        """Return the threads whose attempts go on so long after their timeout; each attempt once."""
        found: list[Stuck] = []
        for slot, limit in enumerate(self._limits):
            attempt = self._running[slot]
            if limit is not None and attempt is not None and limit.is_unheeded(now, patience):
                limit.is_told = True
                found.append(Stuck(limit.thread, now - (limit.deadline or now), (attempt,)))
        return found

    def interrupt_all(self) -> None:
        """Interrupt every attempt, because the worker stops."""
        for limit in self._limits:
            if limit is not None:
                limit.interrupt(Shutdown)

    def stop(self) -> None:
        """Let idle threads end; one that is stuck in a job does not keep the process alive."""
        for _ in self._threads:
            self._line.put(None)
        deadline = self._clock.monotonic() + 1.0
        for thread in self._threads:
            thread.join(timeout=max(0.0, deadline - self._clock.monotonic()))

    def _work(self, slot: int) -> None:
        self._board.serve(slot, threading.get_ident())
        while (attempt := self._line.get()) is not None:
            self._run(slot, attempt)
        hygiene.safely(hygiene.close_all)

    def _run(self, slot: int, attempt: Attempt) -> None:
        if not attempt.hold.is_sure() or attempt.hold.asked is not None:
            self._report(self._executor.interrupted(attempt))
            return
        self.last_started = self._clock.monotonic()
        attempt.on_start = functools.partial(self._begin, slot, attempt)
        hygiene.safely(hygiene.before)
        # A context of its own: what a job sets there, such as language and time zone, does not leak into the next.
        finished = hygiene.context().run(self._limited, slot, attempt)
        hygiene.safely(hygiene.after, attempt.job.task)
        self._report(finished)
        self._board.end(slot)

    def _begin(self, slot: int, attempt: Attempt) -> None:
        """Note that the task's own code runs: what waits for a database has not started, and is not charged."""
        self._board.begin(slot, attempt.lease.id, *attempt.ends(self._clock.monotonic()))

    def _limited(self, slot: int, attempt: Attempt) -> Finished:
        limit = Limit(attempt.job.options.timeout, self._clock)
        self._running[slot], self._limits[slot] = attempt, limit
        try:
            return self._executor.run(attempt, limit)
        except BaseException as error:  # noqa: BLE001 - a thread that ends would take its jobs with it
            return self._executor.broken(attempt, error)
        finally:
            self._limits[slot] = None
