"""Run one attempt, as a pipe of named steps: open, call, settle."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from asgiref.sync import sync_to_async
from django.dispatch import Signal

from .. import compat, hooks, middleware, registry
from ..base_backend import BackieBackend
from ..broker.replies import Ending, Lease
from ..clock import SYSTEM, Clock
from ..conf import Config
from ..core import jsonic
from ..core.job import Job
from ..core.outcome import (
    Dropped,
    Failed,
    Interrupted,
    Outcome,
    Parked,
    Postponed,
    Succeeded,
    Transition,
    decide,
    heed,
)
from ..core.states import State
from ..exceptions import (
    NewerBody,
    PayloadTooLarge,
    TaskTimeout,
    UnknownTask,
    UnreadableBody,
    UnserializableValue,
)
from ..result import TaskResult
from . import atomic
from .attempt import Attempt, Finished
from .context import TaskContext
from .ends import followed, is_heard_end, show_end
from .failures import failure_of, storable
from .hold import Hold, Unlimited
from .verdict import outcome_of

logger = logging.getLogger("django_backie.worker")

_UNLIMITED: AbstractContextManager[Any] = nullcontext()
BROKEN_DELAY = 5.0
# For what this worker does not know and a newer one may; after that it is parked.
STRANGER_DELAYS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0)


class Executor:
    """Runs attempts for one backend. Knows nothing of Redis or of where the attempt runs.

    ``hold_of`` gives the hold of a lease; without it nothing can be lost.
    """

    def __init__(
        self,
        backend: BackieBackend,
        clock: Clock = SYSTEM,
        dice: Callable[[], float] = random.random,
        hold_of: Callable[[Lease, str], Hold] = lambda lease, worker: Unlimited(),
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._dice = dice
        self._hold_of = hold_of
        self._sender = type(backend)
        self._around_run = middleware.around_run(backend.middleware)
        self._around_arun = middleware.around_arun(backend.middleware)

    @property
    def _config(self) -> Config:
        return self._backend.config

    def open(self, lease: Lease, worker: str) -> Attempt | Finished:
        """Return the attempt of a lease, or its end where this worker cannot run it."""
        try:
            job = self._backend.unpack(lease.id, lease.body)
        except NewerBody as error:
            return self._unopened(lease, None, worker, self._wait_for_deploy(lease, f"newer body: {error}"))
        except UnreadableBody as error:
            return self._unopened(lease, None, worker, Parked(f"unreadable body: {error}"))
        try:
            task = registry.get(job.task)
        except UnknownTask as error:
            return self._unopened(lease, job, worker, self._wait_for_deploy(lease, f"unknown task: {error}"))
        # An atomic job may have settled already; it looks for itself (atomic.py).
        if job.expires is not None and job.expires <= self._clock.now() and not job.options.atomic:
            return self._unopened(lease, job, worker, Dropped("expired", began=False))
        return Attempt(lease, job, task, worker, self._hold_of(lease, worker))

    def _wait_for_deploy(self, lease: Lease, reason: str) -> Outcome:
        """Postpone what a newer web process has enqueued, ever longer; in the end a person must look at it."""
        met = max([lease.first_started, *(note["e"] for note in lease.attempts()[-1:])])
        age = max(0.0, self._clock.now() - met)
        delay = next((delay for delay in STRANGER_DELAYS if age < 2 * delay), None)
        return Parked(reason) if delay is None else Postponed(reason, delay)

    def run(self, attempt: Attempt, limit: AbstractContextManager[Any] = _UNLIMITED) -> Finished:
        """Run a sync attempt to its end; what the task raises becomes the outcome.

        ``limit`` is entered around the task's own code, and only there.
        """
        self._begin(attempt)
        try:
            outcome = self._in_transaction(attempt, limit) if attempt.job.options.atomic else self._call(attempt, limit)
        except BaseException as error:  # noqa: BLE001 - SystemExit of a task is the task's failure, not the worker's
            # Within the except block, so that receivers of task_finished find the exception in sys.exc_info().
            return self._settle(attempt, self._raised(attempt, error))
        return self._settle(attempt, outcome)

    def _call(self, attempt: Attempt, limit: AbstractContextManager[Any]) -> Outcome:
        with limit:
            attempt.on_start()
            if self._around_run is None:
                value = attempt.task.func(*self._positional(attempt, attempt.job), **attempt.job.kwargs)
            else:
                value = self._around_run(attempt.job, functools.partial(self._function, attempt))
        return self._returned(attempt, value)

    def _in_transaction(self, attempt: Attempt, limit: AbstractContextManager[Any]) -> Outcome:
        # Without a broker there is no row either, and the job cannot run twice.
        run = atomic.run_settling if self._backend.uses_redis else atomic.run
        return run(attempt, functools.partial(self._call, attempt, limit))

    async def arun(self, attempt: Attempt) -> Finished:
        """Run an async attempt to its end; a cancellation from outside is the job's, or a stop of the worker."""
        attempt.started = self._clock.now()
        if compat.is_heard(compat.task_signals.task_started, logging.INFO):
            await self._atell(compat.task_signals.task_started, attempt.result)
        try:
            async with asyncio.timeout(attempt.job.options.timeout) as limit:
                attempt.on_start()
                if self._around_arun is None:
                    value = await self._function(attempt, attempt.job)
                else:
                    value = await self._around_arun(attempt.job, functools.partial(self._function, attempt))
            outcome = self._returned(attempt, value)
        except TimeoutError as error:
            kind = TaskTimeout if limit.expired() else type(error)
            return await self._asettle(attempt, self._raised(attempt, error, kind))
        except asyncio.CancelledError as error:
            return await self._asettle(attempt, self._cancelled(attempt, error))
        except BaseException as error:  # noqa: BLE001 - as above
            return await self._asettle(attempt, self._raised(attempt, error))
        return await self._asettle(attempt, outcome)

    def _begin(self, attempt: Attempt) -> None:
        attempt.started = self._clock.now()
        if compat.is_heard(compat.task_signals.task_started, logging.INFO):
            self._tell(compat.task_signals.task_started, attempt.result)

    def _tell(self, signal: Signal, result: TaskResult[Any]) -> None:
        # Robust, and Django logs what a receiver raises: the job goes on, or has ended, all the same.
        signal.send_robust(self._sender, task_result=result)

    async def _atell(self, signal: Signal, result: TaskResult[Any]) -> None:
        """Send a signal from the loop: in a thread, where receivers may use the ORM, if any is not Django's own."""
        if compat.has_receivers(signal):
            # Not asend_robust(): on Django 5.2 its receivers do not see the exception that is being handled.
            await sync_to_async(self._tell, thread_sensitive=True)(signal, result)
        else:
            self._tell(signal, result)

    def _cancelled(self, attempt: Attempt, error: BaseException) -> Outcome:
        """Return the outcome of a cancellation: of the job, of all because the worker stops, or the task's own."""
        task = asyncio.current_task()
        if task is None or not task.cancelling():
            return self._raised(attempt, error)
        return Interrupted() if attempt.hold.asked is None else Dropped(attempt.hold.asked)

    def _function(self, attempt: Attempt, job: Job) -> Any:
        return attempt.task.func(*self._positional(attempt, job), **job.kwargs)

    def _positional(self, attempt: Attempt, job: Job) -> list[Any]:
        if attempt.task.takes_context:
            return [TaskContext(task_result=attempt.result, held=attempt.hold, limits=attempt.job.limits), *job.args]
        return job.args

    def _returned(self, attempt: Attempt, value: Any) -> Outcome:
        """Return the outcome of a task that returned; a value that cannot be kept will not be better next time."""
        limit = self._backend.config.max_result
        try:
            text = jsonic.dumps(value)
            if len(text) > limit or len(text.encode()) > limit:
                msg = f"the return value of {attempt.job.task} takes {len(text.encode())} bytes, more than {limit}"
                raise PayloadTooLarge(msg)
        except (UnserializableValue, PayloadTooLarge) as error:
            return Failed(failure_of(attempt.task, attempt.job, self._config, error), final=True)
        return Succeeded(text)

    def _raised(self, attempt: Attempt, error: BaseException, kind: type[BaseException] | None = None) -> Outcome:
        return outcome_of(attempt, error, self._config, kind)

    def _settle(self, attempt: Attempt, outcome: Outcome) -> Finished:
        finished, transition = self._decide(attempt, outcome)
        if is_heard_end(transition):
            show_end(attempt, transition)
            self._tell(compat.task_signals.task_finished, attempt.result)
        return followed(attempt, finished, transition) if hooks.has_any(attempt.task, attempt.job) else finished

    async def _asettle(self, attempt: Attempt, outcome: Outcome) -> Finished:
        finished, transition = self._decide(attempt, outcome)
        if is_heard_end(transition):
            show_end(attempt, transition)
            # A stop of the worker that comes now must not undo the end of the job.
            with contextlib.suppress(asyncio.CancelledError):
                await self._atell(compat.task_signals.task_finished, attempt.result)
        if not hooks.has_any(attempt.task, attempt.job):
            return finished
        # A stop of the worker that comes now must not undo the end of the job either.
        run = sync_to_async(followed, thread_sensitive=True)(attempt, finished, transition)
        following = asyncio.ensure_future(run)
        with contextlib.suppress(asyncio.CancelledError):
            return await asyncio.shield(following)
        return await following

    def _decide(self, attempt: Attempt, outcome: Outcome) -> tuple[Finished, Transition]:
        job, lease = attempt.job, attempt.lease
        attempt.ended = self._clock.now()
        transition = decide(job, lease.attempt, outcome, self._dice())
        if attempt.hold.asked is not None:
            transition = heed(transition, attempt.hold.asked)
        note, gauge = "", attempt.hold.shown
        progress = None if gauge is None else gauge.close()
        if transition.outcome:
            note = transition.note(
                number=lease.attempt,
                worker=attempt.worker,
                started=attempt.started,
                finished=attempt.ended,
                progress=progress,
            )
        waited = max(0.0, attempt.started - max(job.created, job.run_after or 0.0))
        ran = attempt.ended - attempt.started
        ending = ending_of(lease, transition, note, job.unique)
        # Its slot is free for another job.
        frees = bool(job.limits)
        return Finished(ending, attempt.worker, job, lease.attempt, waited, ran, transition, frees), transition

    def interrupted(self, attempt: Attempt) -> Finished:
        """Return the end of an attempt that was interrupted before its task began."""
        outcome = Interrupted() if attempt.hold.asked is None else Dropped(attempt.hold.asked, began=False)
        return self._unopened(attempt.lease, attempt.job, attempt.worker, outcome)

    def broken(self, attempt: Attempt, error: BaseException) -> Finished:
        """Return the end of an attempt that failed outside the task: it is handed back, free of charge."""
        logger.error("%s could not be run: %r", attempt.lease.id, error, exc_info=error)
        transition = Transition(State.SCHEDULED, delay=BROKEN_DELAY, refund=True, reason="the worker failed to run it")
        return Finished(ending_of(attempt.lease, transition, ""), attempt.worker, attempt.job, attempt.lease.attempt)

    def _unopened(self, lease: Lease, job: Job | None, worker: str, outcome: Outcome) -> Finished:
        transition = decide(job or Job(lease.id, "?", "?"), lease.attempt, outcome, 0.0)
        unique = "" if job is None else job.unique
        return Finished(ending_of(lease, transition, "", unique), worker, job, lease.attempt, transition=transition)


def ending_of(lease: Lease, transition: Transition, note: str, unique: str = "") -> Ending:
    """Return the end of an attempt as the broker takes it."""
    # Whatever it is, it must not keep the worker from telling its other endings.
    reason = " ".join(storable(transition.reason).split()).replace("|", "/")[:200] if transition.reason else ""
    return Ending(
        lease.id,
        lease.token,
        transition.state,
        transition.refund,
        transition.delay,
        reason=reason,
        note=note,
        unique=unique if unique and transition.state.is_final else "",
    )
