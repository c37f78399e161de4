"""What else is done when an attempt or a job has ended: ``on_success``, ``on_failure``, ``on_exhausted``.

A hook is a task, which gets a job of its own with the id of the job that has ended, or a function, which is called with
its handle there and then.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from django.db import DatabaseError, IntegrityError, InterfaceError, transaction

from . import compat, registry, result
from .base_backend import BackieBackend
from .broker.replies import Snapshot
from .calls import Call
from .core import ids
from .core.job import Job
from .core.options import DEFAULT_OPTIONS, path_of
from .core.outcome import Transition
from .core.states import State
from .exceptions import HardTimeout, Shutdown, UnknownTask, UnreadableBody
from .task_definition import Task

logger = logging.getLogger("django_backie.worker")

SUCCESS, FAILURE, EXHAUSTED = "on_success", "on_failure", "on_exhausted"
_FAILURES = frozenset({"failed", "timed_out"})
# As include/recover.lua writes it.
BURIED = "killed its worker"
_HARD_TIMEOUT = path_of(HardTimeout)


def has_any(task: Task[..., Any], job: Job) -> bool:
    """Tell whether anything may have to follow; most jobs have no hooks, and must not pay for them."""
    options = job.options
    if options is not DEFAULT_OPTIONS and (options.on_success or options.on_failure or options.on_exhausted):
        return True
    return not (task.on_success is task.on_failure is task.on_exhausted is None)


def events_of(transition: Transition) -> Iterator[str]:
    """Yield the hooks that a transition calls; what ends as cancelled calls none."""
    if transition.state is State.SUCCESSFUL:
        yield SUCCESS
    elif transition.outcome in _FAILURES and transition.state is not State.CANCELLED:
        yield FAILURE
        if transition.state is State.FAILED:
            yield EXHAUSTED


def follow(task: Task[..., Any], job: Job, events: Iterable[str], attempt: str, show: Callable[[], Any]) -> None:
    """Make the jobs that hooks want, and call those hooks that are functions. Nothing that they raise gets out.

    Args:
        attempt: what tells the attempt from the job's others; with the job's id it makes the follower's, so that a
            follower comes once though it is made twice.
        show: returns the handle that functions see.
    """
    for event in events:
        name, own = getattr(job.options, event), getattr(task, event)
        try:
            if name:
                _make(name, job, event, attempt)
            elif own is not None and not isinstance(own, compat.Task):
                own(show())
        except Shutdown:
            raise
        except BaseException:
            # The job has ended as it has; that nobody is told must not undo it.
            logger.exception("%s: %s of %s failed", job.id, event, job.task)


def follow_unheard(backend: BackieBackend, snapshot: Snapshot) -> None:
    """Do what is to follow an end that no worker is left to tell of, so that the mirror does.

    Of a job that has killed its worker too often, and of an attempt whose process was killed for its hard timeout.
    """
    record = snapshot.record
    if record.state is State.FAILED and record.reason.startswith(BURIED):
        _follow(backend, snapshot, [EXHAUSTED], f"buried {snapshot.version}")
    elif record.state is State.FAILED or record.state is State.RETRYABLE:
        if not record.attempts or record.attempts[-1].get("c") != _HARD_TIMEOUT:
            return
        events = [FAILURE, EXHAUSTED] if record.state is State.FAILED else [FAILURE]
        *before, last = record.attempts
        _follow(backend, snapshot, events, attempt_key(last["n"], before))


def _follow(backend: BackieBackend, snapshot: Snapshot, events: Sequence[str], attempt: str) -> None:
    try:
        job = backend.unpack(snapshot.id, snapshot.body)
        task = registry.get(job.task)
    except (UnreadableBody, UnknownTask) as error:
        logger.warning("%s: whether anything follows its end is not known here: %s", snapshot.id, error)
        return
    show = functools.partial(result.from_record, task, job, snapshot.record)
    follow(task, job, events, attempt, show)


def attempt_key(number: int, notes: Sequence[Mapping[str, Any]]) -> str:
    """Return what tells an attempt from the others of its job, given the notes of those before it.

    An attempt that was lost and is made again is the same; one after a retry by hand, whose numbers begin anew, is not.
    """
    return f"{number} {sum(note['o'] != 'lost' for note in notes)}"


def _make(name: str, job: Job, event: str, attempt: str) -> None:
    task = registry.get(name)
    backend = task.get_backend()
    if not isinstance(backend, BackieBackend):
        task.enqueue(job.id)
        return
    calls: list[Call] = [((job.id,), {})]
    keys = [ids.derived_key(job.id, event, attempt)]
    if not backend.uses_redis:
        backend.submit_as(task, calls, keys)
        return
    database = task.database or backend.config.databases[0] if backend.config.databases else None
    try:
        with transaction.atomic(using=database) if database else nullcontext():
            backend.submit_as(task, calls, keys)
    except IntegrityError:
        logger.debug("%s: the job of its %s is there already", job.id, event)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("%s: the job of its %s is made without a row: %s", job.id, event, error)
        backend.push_as(task, calls, keys)
