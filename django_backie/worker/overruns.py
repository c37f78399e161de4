"""What the parent does when an attempt runs longer than its hard timeout: kill its process, and tell the broker why.

The parent shares no interpreter with the job, so it does not matter what the job does: hold the interpreter's lock, or
wait in a call of the system that nothing interrupts.
"""

from __future__ import annotations

import logging
import os
import random
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..backend import RedisBackend
from ..broker.replies import Lease, Snapshot
from ..clock import SYSTEM, Clock
from ..core.job import Job
from ..core.outcome import Failure, TimedOut, decide
from ..exceptions import BrokerError, HardTimeout, UnreadableBody
from ..progress import of_attempt
from .attempt import Finished
from .board import Limited
from .children import Child, Overrun
from .executor import ending_of
from .failures import kinds_of

logger = logging.getLogger("django_backie.worker")

AGAIN_AFTER = 1.0
_KINDS = kinds_of(HardTimeout)
_WHERE = "Where it was when its process was killed (most recent call last):"


class Overruns:
    """1. Kill the process of an attempt that has no more time. 2. When it is dead, end that attempt: it has failed.

    3. Give all else that the process held back, free of charge. Where Redis does not answer, 2 and 3 are tried again:
    nobody can do it in its place, and once the lease had lapsed all would be charged with a crash.
    """

    def __init__(
        self,
        backend: RedisBackend,
        on_ended: Callable[[Finished], None],
        clock: Clock = SYSTEM,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._backend = backend
        self._on_ended = on_ended
        self._clock = clock
        self._dice = dice
        self._unsettled: list[tuple[str, tuple[Overrun, ...]]] = []
        self._again_at = 0.0

    # 1. Kill

    def next_deadline(self, children: Iterable[Child]) -> float:
        """Return the nearest monotonic time at which a process is to be killed."""
        return min((one.deadline for child in children for one in _limited(child)), default=float("inf"))

    def enforce(self, children: Iterable[Child]) -> None:
        """Kill the processes of attempts that have no more time; one that somebody has suspended is left alone."""
        self._settle_again()
        for child in children:
            if overdue := self._overdue(child):
                self._kill(child, overdue)

    def _overdue(self, child: Child) -> list[Limited]:
        now = self._clock.monotonic()
        return [one for one in _limited(child) if one.deadline <= now]

    def _kill(self, child: Child, overdue: Sequence[Limited]) -> None:
        stacks = child.where()
        # The second look: what has ended meanwhile costs nobody anything, nor does a cell that was read in part.
        surely = set(self._overdue(child))
        overdue = [one for one in overdue if one in surely]
        if not overdue:
            return
        os.kill(child.pid, signal.SIGKILL)
        now, wall = self._clock.monotonic(), self._clock.now()
        child.overruns = tuple(
            Overrun(one.id, one.token, now - one.deadline, wall, _stack(child, one, stacks)) for one in overdue
        )
        for one in child.overruns:
            where = f"it was there:\n{one.stack}" if one.stack else "where it was is not known"
            logger.error("worker process %s is killed: job %s had no more time; %s", child.name, one.job, where)

    # 2. and 3. Settle

    def settle(self, child: Child) -> bool:
        """End the attempts for which a child was killed, give back what else it held; tell whether it was done."""
        self._unsettled.append((child.full_name, child.overruns))
        return self._settle_again(at_once=True)

    def _settle_again(self, *, at_once: bool = False) -> bool:
        if not self._unsettled or (self._clock.monotonic() < self._again_at and not at_once):
            return False
        try:
            while self._unsettled:
                self._settle(*self._unsettled[0])
                del self._unsettled[0]
        except BrokerError as error:
            logger.warning("what %s held cannot be given back yet: %s", self._unsettled[0][0], error)
            self._again_at = self._clock.monotonic() + AGAIN_AFTER
            return False
        return True

    def _settle(self, worker: str, overruns: Sequence[Overrun]) -> None:
        broker = self._backend.broker
        guilty = {(one.job, one.token): one for one in overruns}
        leases = [lease for lease in broker.held(worker) if (lease.id, lease.token) in guilty]
        shown = broker.inspect([lease.id for lease in leases])
        ended = [
            self._ended(worker, lease, job, guilty[lease.id, lease.token], shown.get(lease.id))
            for lease in leases
            if (job := self._opened(lease)) is not None
        ]
        # First: burying gives back all that is not ended.
        answers = broker.turn(worker, [one.ending for one in ended]).answers if ended else []
        count = broker.bury(worker)
        for finished, answer in zip(ended, answers, strict=True):
            if answer == "OK":
                self._on_ended(finished)
        if count:
            logger.warning("%d job(s) of %s taken back, none is charged", count, worker)

    def _opened(self, lease: Lease) -> Job | None:
        try:
            return self._backend.unpack(lease.id, lease.body)
        except UnreadableBody as error:
            # Whoever leases it next says what becomes of it.
            logger.warning("%s goes back: %s", lease.id, error)
            return None

    def _ended(self, worker: str, lease: Lease, job: Job, overrun: Overrun, snapshot: Snapshot | None) -> Finished:
        limit = job.options.hard_timeout or 0.0
        message = f"ran longer than its hard timeout of {limit:g} s, its worker process was replaced"
        stack = f"{_WHERE}\n{overrun.stack}" if overrun.stack else ""
        failure = Failure(_KINDS[0], message, stack, _KINDS)
        transition = decide(job, lease.attempt, TimedOut(failure), self._dice())
        ran = limit + overrun.beyond
        started = overrun.at - ran
        note = transition.note(
            number=lease.attempt,
            worker=worker,
            started=started,
            finished=overrun.at,
            progress=of_attempt(snapshot.progress, snapshot.record.started) if snapshot else None,
        )
        waited = max(0.0, started - max(job.created, job.run_after or 0.0))
        ending = ending_of(lease, transition, note, job.unique)
        return Finished(ending, worker, job, lease.attempt, waited, ran, transition)


def _stack(child: Child, limited: Limited, stacks: Mapping[int, str]) -> str:
    return "" if child.board is None else stacks.get(child.board.thread(limited.slot), "")


def _limited(child: Child) -> list[Limited]:
    if child.board is None or not child.pid or child.is_suspended or child.overruns:
        return []
    return child.board.limited()
