"""The threads and the loop of a worker, as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...clock import Clock
from ..attempt import Attempt, Finished, Stuck
from ..board import Board
from ..executor import Executor
from ..options import WorkerOptions
from .backlog import Backlog
from .loop import LoopPool
from .threads import ThreadPool


class Pools:
    """Runs sync tasks in threads and async tasks in a loop."""

    def __init__(
        self,
        options: WorkerOptions,
        executor: Executor,
        report: Callable[[Finished], None],
        board: Board,
        clock: Clock,
    ) -> None:
        self.threads = ThreadPool(options.threads, executor, report, board, clock)
        self.loop = LoopPool(options.async_concurrency, executor, report, board, options.threads, clock)
        self._backlog = Backlog()
        self._clock = clock

    def start(self) -> None:
        """Start the threads; the loop starts with its first job."""
        self.threads.start()

    def submit(self, attempts: Sequence[Attempt]) -> int:
        """Hand attempts to their pools; answer how many are for the loop."""
        for_loop: list[Attempt] = []
        for attempt in attempts:
            if attempt.is_async:
                for_loop.append(attempt)
            else:
                self.threads.submit(attempt)
        if for_loop:
            self.loop.submit(for_loop)
        return len(for_loop)

    @property
    def backlog(self) -> int:
        """Return how many attempts wait for a thread."""
        return self.threads.backlog

    def is_stuck(self) -> bool:
        """Tell whether attempts wait behind long ones; to be asked again and again."""
        return self._backlog.is_stuck(self.backlog, self.threads.last_started, self._clock.monotonic())

    def take_back(self) -> list[Attempt]:
        """Return the attempts that nothing has started, and forget them."""
        return self.threads.take_back()

    def enforce_timeouts(self) -> None:
        """Interrupt every attempt whose time is up; the loop does so by itself."""
        self.threads.enforce_timeouts()

    def unheeding(self, now: float, patience: float) -> list[Stuck]:
        """Return the threads whose attempts go on so long after their timeout; each attempt once."""
        return self.threads.unheeding(now, patience)

    def blocked(self, now: float, patience: float) -> list[Stuck]:
        """Return the loop's thread where the loop has not turned for so long; once."""
        return self.loop.blocked(now, patience)

    def cancel(self, attempt: Attempt) -> None:
        """Interrupt an attempt whose job is to be cancelled, where that is safe: a sync one looks for itself."""
        if attempt.is_async:
            self.loop.cancel(attempt)

    def interrupt_all(self) -> None:
        """Interrupt every attempt, because the worker stops."""
        self.threads.interrupt_all()
        self.loop.interrupt_all()

    def stop(self) -> None:
        """End the loop and the idle threads."""
        self.loop.stop()
        self.threads.stop()
