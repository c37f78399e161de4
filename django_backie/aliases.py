"""The backends of ``TASKS`` by their aliases."""

from __future__ import annotations

from . import compat
from .backend import RedisBackend
from .exceptions import InvalidOption


def redis_backend(alias: str | None = None) -> RedisBackend:
    """Return the backend of an alias; by default of the first that django-backie serves.

    Raises:
        InvalidOption: it has no Redis.
    """
    found = compat.get_backend(alias or compat.default_alias())
    if not isinstance(found, RedisBackend):
        kind = type(found).__qualname__
        msg = f"{found.alias} is {kind}, not a RedisBackend: it has no queues and no limits"
        raise InvalidOption(msg)
    return found
