"""Connections to Redis: every default explicit, so that the version of the client does not matter."""

from __future__ import annotations

import functools
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from ..exceptions import BrokerError, BrokerUnavailable, ConfigurationError

TIMEOUT = 5.0
BLOCKING_MARGIN = 5.0

_UNAVAILABLE = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
    OSError,
)

# Errors that tell of the server's state, not of the command.
_PASSING = (
    "MISCONF",
    "BUSY",
    "NOREPLICAS",
    "MASTERDOWN",
    "UNBLOCKED",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "LOADING",
    "READONLY",
)


@functools.cache
def command_client(url: str) -> redis.Redis:
    """Return the client for commands, one pool per process and URL; the pool notices a fork.

    One repetition after a broken connection is safe because every verb is idempotent or fenced. A timeout is not
    repeated: a frozen server would hold the caller for a multiple of it.
    """
    retry = Retry(ExponentialBackoff(cap=0.2, base=0.02), 1, supported_errors=(redis.exceptions.ConnectionError,))
    return _client(url, socket_timeout=TIMEOUT, retry=retry, health_check_interval=30)


def blocking_client(url: str, longest: float) -> redis.Redis:
    """Return a client for one blocking reader: no repetition, patience beyond the longest block."""
    return _client(url, socket_timeout=longest + BLOCKING_MARGIN, retry=Retry(NoBackoff(), 0))


def single_client(url: str) -> redis.Redis:
    """Return a client with one connection, for who sends and reads at different times."""
    return _client(url, socket_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0), single_connection_client=True)


def address(url: str) -> str:
    """Return where a URL points, without its credentials."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    return f"{parts.hostname or 'localhost'}:{parts.port or 6379}{parts.path or '/0'}"


class Translation:
    """Turns the client's errors into ours; a class, for it stands around every call."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, redis.exceptions.RedisError | OSError) and not isinstance(error, BrokerError):
            raise _ours(error, self._url) from error


def translated(url: str) -> Translation:
    """Turn the client's errors into ours.

    Raises:
        BrokerUnavailable: no answer, or none that another try could not change.
        BrokerError: the server refuses the command itself.
    """
    return Translation(url)


def _ours(error: Exception, url: str) -> BrokerError:
    if isinstance(error, _UNAVAILABLE):
        return BrokerUnavailable(f"Redis at {address(url)} is not available: {str(error) or type(error).__name__}")
    if str(error).startswith(_PASSING):
        return BrokerUnavailable(f"Redis at {address(url)} cannot serve now: {error}")
    return BrokerError(f"Redis at {address(url)} refused: {error}")


def _client(url: str, **options: Any) -> redis.Redis:
    url = url.replace("valkeys://", "rediss://", 1).replace("valkey://", "redis://", 1)
    if not url.startswith("unix:"):
        options |= {"socket_connect_timeout": TIMEOUT, "socket_keepalive": True}
    if url.startswith("rediss:"):
        # redis-py before 6 does not compare the name; where no certificate is wanted there is none to compare.
        options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": "ssl_cert_reqs=none" not in url}
    options = {"protocol": 2, "decode_responses": True, "encoding_errors": "replace", **options}
    try:
        return redis.Redis.from_url(url, **options)
    except ValueError as error:
        msg = f"the URL of Redis at {address(url)}: {error}"
        raise ConfigurationError(msg) from error
