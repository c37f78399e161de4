"""Two onions of a project's own code: around the making of a job, and around its run."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from django.utils.module_loading import import_string

from .core.job import Job
from .exceptions import ConfigurationError

Make = Callable[[Job], Job]
Run = Callable[[Job], Any]
ARun = Callable[[Job], Awaitable[Any]]


class Middleware:
    """What a class named in ``OPTIONS["MIDDLEWARE"]`` derives from; override what you need.

    There is one object for each backend and thread of Django's, made without arguments, that all jobs share. The first
    named is the outermost.
    """

    def enqueue(self, job: Job, call_next: Make) -> Job:
        """Be called when a job is made, in the caller's process; return what ``call_next`` returns.

        ``job._replace(...)`` is how arguments, queue, priority and times are changed. What is raised reaches the
        caller, and no job of the call is taken in.
        """
        return call_next(job)

    def run(self, job: Job, call_next: Run) -> Any:
        """Be called around a sync task, in the thread that runs it; return what ``call_next`` returns.

        What is raised, or let through, is the attempt's end, as if the task had raised it.
        """
        return call_next(job)

    async def arun(self, job: Job, call_next: ARun) -> Any:
        """Be called around an async task, in the event loop; see ``run``."""
        return await call_next(job)


def load(paths: Sequence[str]) -> tuple[Middleware, ...]:
    """Return an object of each class.

    Raises:
        ConfigurationError: a path leads to no middleware, or an object cannot be made; names it.
    """
    return tuple(map(_made, paths))


def _made(path: str) -> Middleware:
    try:
        found = import_string(path)
        made = found()
    except Exception as error:
        msg = f"MIDDLEWARE names {path!r}, which cannot be loaded: {error}"
        raise ConfigurationError(msg) from error
    if not isinstance(made, Middleware):
        msg = f"MIDDLEWARE names {path!r}, which is no subclass of django_backie.middleware.Middleware"
        raise ConfigurationError(msg)
    return made


def around_making(middleware: Sequence[Middleware]) -> Make | None:
    """Return what a job goes through when it is made; None where nobody wants to see it."""
    layers = [layer for layer in middleware if _overrides(layer, "enqueue")]
    if not layers:
        return None
    innermost: Make = _same
    return functools.reduce(lambda inner, layer: functools.partial(_checked, layer, inner), reversed(layers), innermost)


def around_run(middleware: Sequence[Middleware]) -> Callable[[Job, Run], Any] | None:
    """Return what the run of a sync task goes through; None where nobody wants to see it."""
    layers = [layer.run for layer in middleware if _overrides(layer, "run")]
    if not layers:
        return None
    return lambda job, run: _onion(layers, run)(job)


def around_arun(middleware: Sequence[Middleware]) -> Callable[[Job, ARun], Awaitable[Any]] | None:
    """Return what the run of an async task goes through; None where nobody wants to see it."""
    layers = [layer.arun for layer in middleware if _overrides(layer, "arun")]
    if not layers:
        return None
    return lambda job, run: _onion(layers, run)(job)


def half_covered(middleware: Sequence[Middleware]) -> list[str]:
    """Return the names of classes that see sync tasks only: they have ``run`` and no ``arun``."""
    return [type(layer).__name__ for layer in middleware if _overrides(layer, "run") and not _overrides(layer, "arun")]


def _onion(layers: Sequence[Callable[[Job, Any], Any]], innermost: Callable[[Job], Any]) -> Callable[[Job], Any]:
    return functools.reduce(lambda inner, layer: lambda job: layer(job, inner), reversed(layers), innermost)


def _checked(layer: Middleware, inner: Make, job: Job) -> Job:
    made: object = layer.enqueue(job, inner)
    where = f"{type(layer).__qualname__}.enqueue()"
    if not isinstance(made, Job):
        msg = f"{where} returned {made!r}; it must return what call_next(job) returns"
        raise TypeError(msg)
    changed = [name for name in _FIXED if getattr(made, name) != getattr(job, name)]
    if changed:
        msg = f"{where} changed {changed[0]}; it may change {', '.join(_FREE)}"
        raise TypeError(msg)
    if not -100 <= made.priority <= 100 or not 0 < len(made.queue) <= 100 or not made.queue.isprintable():
        msg = f"{where} made a job of queue {made.queue!r} and priority {made.priority!r}, of which one cannot be"
        raise ValueError(msg)
    return made


_FREE = ("args", "kwargs", "queue", "priority", "run_after", "expires")
_FIXED = tuple(name for name in Job._fields if name not in _FREE)


def _same(job: Job) -> Job:
    return job


def _overrides(layer: Middleware, name: str) -> bool:
    return getattr(type(layer), name) is not getattr(Middleware, name)
