"""How many jobs a worker may lease: what it can start, and a little ahead where jobs are short."""

from __future__ import annotations

from .options import WorkerOptions

AHEAD = 0.05
MOST_AHEAD = 200
SMOOTHING = 0.2


class Pace:
    """Learns from run times and from the kind of jobs that came last.

    A reserved job must not wait behind a long one while another worker is free, so no more than about 50 ms of work is
    taken ahead.
    """

    def __init__(self, options: WorkerOptions) -> None:
        self._threads = options.threads
        self._async = options.async_concurrency
        self._run_time = 1.0
        self._only_async = False

    def ran(self, seconds: float) -> None:
        """Learn how long a job ran."""
        self._run_time += SMOOTHING * (max(seconds, 1e-5) - self._run_time)

    def forget(self) -> None:
        """Take nothing ahead until run times are known again."""
        self._run_time = 1.0

    def came(self, jobs: int, for_loop: int) -> None:
        """Learn what kind of jobs came."""
        self._only_async = jobs == for_loop

    def ahead(self) -> int:
        """Return how many jobs may wait for a thread."""
        return min(MOST_AHEAD, int(AHEAD * self._threads / self._run_time))

    def room(self, for_threads: int, for_loop: int, backlog: int, coming: int = 0) -> int:
        """Return how many jobs may be leased, given those for threads and loop, and those that wait for a thread.

        ``coming`` are leased and not opened yet: of the kind that came last.

        Of what kind the next jobs are is not known: there must be room for them whichever they are.
        """
        loop_room = self._async - for_loop
        if self._only_async:
            return loop_room - coming
        if backlog + coming > self.ahead() // 2:
            return 0
        return min(self._threads + self.ahead() - for_threads - coming, loop_room)
