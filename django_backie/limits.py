"""Limits that jobs share with whoever is no job: a view, a command, a webhook."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async

from .aliases import redis_backend
from .calls import shared_digest
from .core.limits import Rate, checked_hold, rate_of


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
