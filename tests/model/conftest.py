"""A broker with a clock of its own, on fakeredis and on the real server."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import fakeredis
import pytest

from django_backie.broker.connection import command_client
from django_backie.conf import Config

from .clocked import ClockedBroker


@pytest.fixture(params=["fakeredis", "real"])
def new_broker(request: pytest.FixtureRequest, redis_url: str, namespace: str) -> Callable[..., ClockedBroker]:
    """Return a function that makes brokers, each in an empty namespace; its arguments change the configuration."""
    real = request.param == "real"
    client = command_client(redis_url) if real else fakeredis.FakeRedis(decode_responses=True)
    numbers = itertools.count()

    def new(**changes: Any) -> ClockedBroker:
        config = Config(alias="default", url=redis_url, namespace=f"{namespace}-{next(numbers)}")
        return ClockedBroker(replace(config, **changes), client)

    return new


@pytest.fixture
def broker(new_broker: Callable[..., ClockedBroker]) -> Iterator[ClockedBroker]:
    """Return a broker with a mirror."""
    broker = new_broker()
    yield broker
    broker.clear()
