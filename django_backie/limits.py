"""Limits that jobs share with whoever is no job: a view, a command, a webhook."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async

from .aliases import redis_backend
from .broker import inspect
from .calls import limit_digest, named_arguments, shared_digest
from .core.limits import Adaptive, Rate, checked_hold, rate_of, slots_text
from .exceptions import InvalidOption
from .task_definition import Task


def acquire(name: str, rate: str | Rate, *, backend: str | None = None, **by: Any) -> float:
    """Take a token of a rate limit; return 0.0, or in how many seconds there will be one.

    Args:
        name: that of the ``Shared`` limit of jobs, if there are any.
        rate: as in ``rate_limit``.
        backend: an alias of TASKS.
        by: the values that the key is made of besides.

    Raises:
        InvalidOption: it is no rate.
        BrokerUnavailable: Redis is down.
    """
    found = rate_of(rate)
    key, interval, most = found.text(shared_digest(name, by)).split("|")
    return redis_backend(backend).broker.token(key, float(interval) / 1000, int(most))


async def aacquire(name: str, rate: str | Rate, *, backend: str | None = None, **by: Any) -> float:
    """See ``acquire``."""
    return await sync_to_async(acquire, thread_sensitive=True)(name, rate, backend=backend, **by)


def slots(task: Task[..., Any], /, *args: Any, **kwargs: Any) -> int:
    """Return how many jobs of the concurrency limit that a call is for may run at once now.

    Raises:
        InvalidOption: the task has no such limit.
        InvalidArguments: they do not fit the task.
        BrokerUnavailable: Redis is down.
    """
    if task.concurrency is None and task.concurrency_key is False:
        msg = f"{task.module_path} has no concurrency limit; set concurrency or concurrency_key on it"
        raise InvalidOption(msg)
    if not isinstance(task.concurrency, Adaptive):
        return task.concurrency or 1
    digest = limit_digest(task, task.concurrency_key, (args, kwargs), named_arguments(task, args, kwargs))
    key = slots_text(digest, task.concurrency).partition("|")[0]
    bounds = task.concurrency
    found = inspect.measure(redis_backend(task.backend).broker, key)
    return int(min(max(found or bounds.start or 1, bounds.least), bounds.most))


async def aslots(task: Task[..., Any], /, *args: Any, **kwargs: Any) -> int:
    """See ``slots``."""
    return await sync_to_async(slots, thread_sensitive=True)(task, *args, **kwargs)


def hold(name: str, seconds: float, *, backend: str | None = None, **by: Any) -> None:
    """Let no job of a ``Shared`` limit start for a time, and give nobody a token; those that run go on.

    Raises:
        InvalidOption: the time is none, or longer than a year.
        BrokerUnavailable: Redis is down.
    """
    redis_backend(backend).broker.hold([shared_digest(name, by)], checked_hold(seconds))


async def ahold(name: str, seconds: float, *, backend: str | None = None, **by: Any) -> None:
    """See ``hold``."""
    await sync_to_async(hold, thread_sensitive=True)(name, seconds, backend=backend, **by)
