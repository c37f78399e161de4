"""The parent: start children, renew their leases, notice their death, replace them, stop them.

It runs no user code, holds no database connection and has one thread, so neither a task's hold of the GIL nor a slow
database can cost a lease.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

from django.db import connections

from ..backend import RedisBackend
from ..clock import SYSTEM, Clock
from ..duties.base import Bell
from ..duties.rota import perform
from .attempt import Finished
from .board import Board
from .children import Child, Totals, answering, cause, cause_of_pause
from .leases import Leases
from .options import WorkerOptions, worker_name
from .overruns import Overruns
from .pulse import Pulse, Verdict
from .signals import Wakeups, fork_with_signals_held, on_stop_signals, watch_lifeline
from .standstill import Standstills
from .worker import OnFinished, Worker

logger = logging.getLogger("django_backie.worker")

EXIT_CLEAN, EXIT_CONFIG, EXIT_HANDED_BACK = 0, 1, 3
SHORT_LIFE, RESPAWN_PAUSE = 1.0, 0.5
KILL_MARGIN = 5.0
VERDICTS = {Verdict.STANDING: "its lease is not renewed", Verdict.WEDGED: "it is killed"}


class Supervisor:
    """1. Fork the children. 2. Renew their leases. 3. Bury and replace the dead. 4. Stop.

    Drain, then abort, then kill.
    """

    def __init__(
        self,
        backend: RedisBackend,
        options: WorkerOptions,
        on_finished: OnFinished,
        on_beat: Callable[[dict[str, int]], None] = lambda totals: None,
        has_changed: Callable[[], bool] = lambda: False,
        clock: Clock = SYSTEM,
    ) -> None:
        self._backend = backend
        self._options = options
        self._on_finished = on_finished
        self._on_beat = on_beat
        self._has_changed = has_changed
        self._clock = clock
        slots = options.threads + options.async_concurrency
        self._workers = [Child(number, Board(slots)) for number in range(1, options.processes + 1)]
        self._duties = Child(0, None)
        self._totals = Totals()
        self._leases = Leases(backend.broker, clock)
        self._overruns = Overruns(backend, self._ended, clock)
        self._standstills = Standstills(backend, backend.config.watchdog)
        self._signals = 0
        self._stopping_since: float | None = None
        self._aborting = False
        self._exit_code = EXIT_CLEAN
        self.wants_restart = False

    def run(self) -> int:
        """Supervise until stopped, or until all work is done in burst mode; return the exit code."""
        self._lifeline = os.pipe()
        with Wakeups(self.stop) as self._wakeups, answering(self._workers):
            self._fork_all()
            while any(child.pid for child in self._workers) or self._is_replacing():
                self._sleep()
                self._reap()
                self._judge()
                self._overruns.enforce(self._workers)
                self._renew()
                self._replace()
                self._restart_if_changed()
                self._keep_stopping()
                self._on_beat(self._totals.with_living(self._workers))
            self._end_duties()
        for end in self._lifeline:
            os.close(end)
        return self._exit_code

    def stop(self) -> None:
        """Begin to stop; the second call aborts, as a second signal does."""
        self._signals += 1
        self.wants_restart = False

    # 1. Fork

    def _fork_all(self) -> None:
        connections.close_all()
        # What exists now is shared with the children; the collector shall not touch, and so copy, its pages.
        gc.collect()
        gc.freeze()
        self._fork(self._duties, self._run_duties)
        for child in self._workers:
            self._fork(child, self._run_worker)

    def _fork(self, child: Child, work: Callable[[Child], int]) -> None:
        if child.board is not None:
            child.board.clear()
        child.name = worker_name(child.number)
        child.born = self._clock.monotonic()
        child.pulse = Pulse(self._backend.config.lease, child.born)
        child.is_suspended, child.verdict, child.overruns = False, Verdict.MOVING, ()
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = fork_with_signals_held()
        except OSError as error:
            logger.warning("no new process: %s", error)
            child.due = self._clock.monotonic() + RESPAWN_PAUSE
            return
        if pid:
            child.pid = pid
            return
        code = EXIT_CONFIG
        try:
            os.close(self._lifeline[1])
            signal.set_wakeup_fd(-1)
            code = work(child)
        except BaseException:
            logger.exception("worker process %s ended by an error", child.name)
        finally:
            with contextlib.suppress(BaseException):
                logging.shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
            # Not sys.exit(): the parent's cleanups are not the child's.
            os._exit(code)

    def _run_worker(self, child: Child) -> int:
        assert child.board is not None  # noqa: S101 - for the type checker
        if child.stacks is not None:
            child.stacks.answer()
        worker = Worker(self._backend, self._options, child.name, child.board, self._on_finished, self._clock)
        on_stop_signals(worker.stop, worker.abort)
        watch_lifeline(self._lifeline[0], worker.stop_unrenewed)
        worker.run()
        return EXIT_HANDED_BACK if worker.handed_back else EXIT_CLEAN

    def _run_duties(self, child: Child) -> int:
        bell = Bell()
        # SIGTERM may reach the whole process group, but the workers' last changes are still to be mirrored.
        # And the bell is not rung by the handlers themselves: that could interrupt a wait() which holds its lock.
        signal.signal(signal.SIGUSR1, lambda _number, _frame: threading.Thread(target=bell.hurry).start())
        on_stop_signals(lambda: None, lambda: threading.Thread(target=bell.stop).start())
        watch_lifeline(self._lifeline[0], bell.stop)
        perform(self._backend, bell, self._clock)
        return EXIT_CLEAN

    # 2. Renew

    def _judge(self) -> None:
        """Feel every child's pulse; one that does not move any more has lost its lease, and then its life."""
        for child in self._workers:
            before = child.verdict
            verdict = child.feel(self._clock.monotonic())
            if verdict is not before and verdict is not Verdict.MOVING:
                logger.error("worker process %s does not move: %s", child.name, VERDICTS[verdict])
            if verdict is Verdict.WEDGED and child.pid:
                os.kill(child.pid, signal.SIGKILL)
        self._standstills.look(self._workers)

    def _renew(self) -> None:
        self._leases.renew([child for child in self._workers if child.keeps_lease])
        if self._leases.tick(self._workers):
            self._hurry_duties()

    def _hurry_duties(self) -> None:
        """Have crashes written to the database at once: the cap on them must hold even if Redis loses its memory."""
        if self._duties.pid:
            os.kill(self._duties.pid, signal.SIGUSR1)

    # 3. Bury and replace

    def _reap(self) -> None:
        for child in [*self._workers, self._duties]:
            if not child.pid:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid and (os.WIFSTOPPED(status) or os.WIFCONTINUED(status)):
                child.is_suspended = os.WIFSTOPPED(status)
                logger.warning("worker process %s was %s", child.name, cause_of_pause(status))
            elif pid:
                child.pid = 0
                self._dead(child, os.waitstatus_to_exitcode(status))

    def _dead(self, child: Child, code: int) -> None:
        lifetime = self._clock.monotonic() - child.born
        child.due = self._clock.monotonic() + (RESPAWN_PAUSE if lifetime < SHORT_LIFE else 0.0)
        killed_while_stopping = code < 0 and self._stopping_since is not None and child.board is not None
        if code == EXIT_HANDED_BACK or killed_while_stopping:
            if self._stopping_since is not None:
                self._exit_code = EXIT_HANDED_BACK
        elif code and not child.overruns:
            logger.warning("worker process %s died: %s", child.name, cause(code))
        if child.board is None:
            return
        self._totals.bury(child.board)
        if code not in {EXIT_CLEAN, EXIT_HANDED_BACK}:
            self._bury(child)
        if self._options.burst and not code:
            child.due = float("inf")

    def _bury(self, child: Child) -> None:
        assert child.board is not None  # noqa: S101 - for the type checker
        if child.overruns:
            self._overruns.settle(child)
            return
        # Whoever is killed because it does not stop has not crashed by its jobs' fault.
        started = child.board.started() if self._stopping_since is None else []
        if self._leases.bury(child, started):
            self._hurry_duties()

    def _ended(self, finished: Finished) -> None:
        """Tell of the end of an attempt whose process cannot."""
        self._totals.count(finished.ending.state)
        self._on_finished([finished])

    def _is_replacing(self) -> bool:
        return self._stopping_since is None and any(child.due != float("inf") for child in self._workers)

    def _replace(self) -> None:
        if self._stopping_since is not None:
            return
        now = self._clock.monotonic()
        for child in self._workers:
            if not child.pid and child.due <= now:
                self._fork(child, self._run_worker)
        if not self._duties.pid and self._duties.due <= now:
            self._fork(self._duties, self._run_duties)

    # 4. Stop

    def _keep_stopping(self) -> None:
        if not self._signals:
            return
        now = self._clock.monotonic()
        if self._stopping_since is None:
            self._stopping_since = now
            busy = self._totals.with_living(self._workers)["busy"]
            self._send(signal.SIGTERM)
            # A child says so too, but one whose jobs hold the interpreter's lock may be killed before it can.
            self._leases.stopping([child for child in self._workers if child.pid])
            logger.info("stopping: no new jobs, %d in hand, up to %g s for them", busy, self._options.grace)
        if self._signals > 1 and not self._aborting:
            self._aborting = True
            logger.info("aborting: running jobs are handed back")
            # Another signal than the first: two of the same kind in a row may arrive as one.
            self._send(signal.SIGQUIT)
            self._stopping_since = min(self._stopping_since, now - self._options.grace)
        if now - self._stopping_since > self._options.grace + KILL_MARGIN:
            self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        for child in self._workers:
            if child.pid:
                os.kill(child.pid, number)

    def _end_duties(self) -> None:
        """End the duties last: they mirror what the workers did until their end."""
        if self._duties.pid:
            os.kill(self._duties.pid, signal.SIGQUIT)
            deadline = self._clock.monotonic() + self._options.grace
            while self._duties.pid and self._clock.monotonic() < deadline:
                self._sleep(0.2)
                self._reap()
            if self._duties.pid:
                os.kill(self._duties.pid, signal.SIGKILL)
                os.waitpid(self._duties.pid, 0)

    def _restart_if_changed(self) -> None:
        if self._stopping_since is None and self._has_changed():
            logger.info("code has changed: restarting")
            self.stop()
            self.wants_restart = True

    def _sleep(self, longest: float = 1.0) -> None:
        """Sleep until a signal arrives, or a dead child may be replaced: a child's death wakes the parent at once."""
        now = self._clock.monotonic()
        if self._stopping_since is None:
            longest = min([longest, *(child.due - now for child in [*self._workers, self._duties] if not child.pid)])
        self._wakeups.wait(max(0.0, min(longest, self._overruns.next_deadline(self._workers) - now)))
