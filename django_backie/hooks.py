"""What else is done when an attempt or a job has ended: ``on_success``, ``on_failure``, ``on_exhausted``.

A hook is a task, which gets a job of its own with the id of the job that has ended, or a function, which is called with
its handle there and then.
"""

from __future__ import annotations

import functools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from . import compat, registry, result
from .base_backend import BackieBackend
from .broker.replies import Snapshot
from .core import ids
from .core.job import Job, Packed
from .core.options import DEFAULT_OPTIONS
from .core.outcome import Transition
from .core.states import State
from .exceptions import UnknownTask, UnreadableBody
from .task_definition import Task

logger = logging.getLogger("django_backie.worker")

SUCCESS, FAILURE, EXHAUSTED = "on_success", "on_failure", "on_exhausted"
_FAILURES = frozenset({"failed", "timed_out"})


class Follower(NamedTuple):
    """The job of a hook, and who takes it in. Its id is made of the attempt's: told twice, it comes once."""

    backend: BackieBackend
    task: Task[..., Any]
    packed: Packed


def has_any(task: Task[..., Any], job: Job) -> bool:
    """Tell whether anything may have to follow; most jobs have no hooks, and must not pay for them."""
    options = job.options
    if options is not DEFAULT_OPTIONS and (options.on_success or options.on_failure or options.on_exhausted):
        return True
    return not (task.on_success is task.on_failure is task.on_exhausted is None)


def events_of(transition: Transition) -> Iterator[str]:
    """Yield the hooks that a transition calls."""
    if transition.state is State.SUCCESSFUL:
        yield SUCCESS
    elif transition.outcome in _FAILURES:
        yield FAILURE
        if transition.state is State.FAILED:
            yield EXHAUSTED


def followers(
    task: Task[..., Any], job: Job, events: Iterable[str], attempt: object, show: Callable[[], Any]
) -> tuple[Follower, ...]:
    """Return the jobs that hooks want made, and call those hooks that are functions.

    Args:
        attempt: what tells the attempt from the job's others; with the job's id it makes the follower's.
        show: returns the handle that functions see.
    """
    found: list[Follower] = []
    for event in events:
        name, own = getattr(job.options, event), getattr(task, event)
        if name:
            found += _jobs_of(name, job, event, attempt)
        elif own is not None and not isinstance(own, compat.Task):
            _call(own, event, job, show)
    return tuple(found)


def after_burial(backend: BackieBackend, snapshot: Snapshot) -> tuple[Follower, ...]:
    """Return what ``on_exhausted`` wants made of a job that has killed its worker too often.

    No worker is left to tell of it, so the mirror does.
    """
    try:
        job = backend.unpack(snapshot.id, snapshot.body)
        task = registry.get(job.task)
    except (UnreadableBody, UnknownTask) as error:
        logger.warning("%s: whether anything follows its burial is not known here: %s", snapshot.id, error)
        return ()
    show = functools.partial(result.from_record, task, job, snapshot.record)
    return followers(task, job, [EXHAUSTED], snapshot.version, show)


def push(waiting: Sequence[Follower]) -> None:
    """Take followers in; may be repeated.

    Raises:
        BrokerUnavailable: Redis is down; some may have been taken in.
    """
    by_backend: dict[BackieBackend, list[Follower]] = defaultdict(list)
    for follower in waiting:
        by_backend[follower.backend].append(follower)
    for backend, group in by_backend.items():
        backend.push([(follower.task, follower.packed) for follower in group])


def _jobs_of(name: str, job: Job, event: str, attempt: object) -> Iterator[Follower]:
    try:
        task = registry.get(name)
        backend = task.get_backend()
        if not isinstance(backend, BackieBackend):
            task.enqueue(job.id)
            return
        key = ids.derived_key(job.id, event, str(attempt))
        (entry,) = backend.make_entries(task, [((job.id,), {})], keys=[key])
    except Exception:
        # The job has ended as it has; that nobody is told must not undo it.
        logger.exception("%s: %s of %s could not be made", job.id, event, job.task)
        return
    yield Follower(backend, task, entry.packed)


def _call(function: Callable[[Any], Any], event: str, job: Job, show: Callable[[], Any]) -> None:
    try:
        function(show())
    except Exception:
        logger.exception("%s: %s of %s failed", job.id, event, job.task)
