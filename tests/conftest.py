"""Fixtures of the whole suite: a real server, and a namespace of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest
import redis

from django_backie import compat
from django_backie.broker.connection import command_client
from django_backie.broker.redis import RedisBroker
from django_backie.conf import Config

from . import settings as base_settings


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Return the address of the real server; the suite fails without one."""
    url = base_settings.REDIS
    try:
        command_client(url).ping()
    except (redis.exceptions.RedisError, OSError) as error:
        pytest.exit(
            f"the tests need a Redis server at {url}: {error}\nrun them with: python3 dev.py test",
            returncode=2,
        )
    return url


@pytest.fixture(autouse=True)
def _receivers() -> Iterator[None]:
    """Forget the receivers that a test connects: a failure that is kept for the report may keep them alive."""
    signals = [getattr(compat.task_signals, name) for name in ("task_enqueued", "task_started", "task_finished")]
    kept = [list(signal.receivers) for signal in signals]
    yield
    for signal, receivers in zip(signals, kept, strict=True):
        signal.receivers = receivers


@pytest.fixture
def namespace() -> str:
    """Return a namespace that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def backend(settings: Any, redis_url: str, namespace: str) -> Iterator[Any]:
    """Return the default backend on the real server, in a namespace of its own, emptied at the end."""
    settings.TASKS = {
        alias: {**params, "OPTIONS": {**params["OPTIONS"], "NAMESPACE": f"{namespace}-{alias}"}}
        for alias, params in base_settings.TASKS.items()
    }
    yield compat.get_backend("default")
    client = command_client(redis_url)
    keys = list(client.scan_iter(f"{namespace}*", count=1000))
    if keys:
        client.delete(*keys)


@pytest.fixture(params=["fakeredis", "real"])
def broker(request: pytest.FixtureRequest, redis_url: str, namespace: str) -> Iterator[RedisBroker]:
    """Return a broker on fakeredis and on the real server: the contract is the same."""
    config = Config(alias="default", url=redis_url, namespace=namespace)
    if request.param == "fakeredis":
        yield RedisBroker(config, fakeredis.FakeRedis(decode_responses=True))
        return
    real = RedisBroker(config)
    yield real
    keys = list(real.client.scan_iter(f"{namespace}*", count=1000))
    if keys:
        real.client.delete(*keys)
