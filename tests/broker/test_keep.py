"""The epoch: who the server was when rows and jobs last agreed."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from django_backie.broker import epoch
from django_backie.broker.epoch import Epoch
from django_backie.broker.redis import RedisBroker
from django_backie.conf import Config
from django_backie.exceptions import BrokerUnavailable


@pytest.fixture
def real(redis_url: str, namespace: str) -> RedisBroker:
    """Return a broker on the real server, which alone tells who it is."""
    return RedisBroker(Config(alias="default", url=redis_url, namespace=namespace))


def test_a_kept_identity_is_found_again(broker: RedisBroker) -> None:
    broker.keep("server:1")
    broker.keep("server:2")

    assert broker.client.get(broker.keys["epoch"]) == "server:2"


def test_a_new_namespace_has_not_been_found_to_agree(real: RedisBroker) -> None:
    found = epoch.look(real)

    assert found.known is None
    assert found.has_changed


def test_the_server_is_the_same_until_it_is_another(real: RedisBroker) -> None:
    identity = epoch.look(real).identity
    assert identity is not None
    real.keep(identity)
    assert not epoch.look(real).has_changed

    real.keep("another")
    assert epoch.look(real).has_changed
    real.client.delete(real.keys["epoch"])


def test_the_identity_changes_with_start_and_promotion(real: RedisBroker) -> None:
    info = real.client.info()

    assert epoch.look(real).identity == f"{info['run_id']}:{info['master_replid']}"


def test_a_server_that_does_not_tell_who_it_is_has_not_changed() -> None:
    assert not Epoch(None, "server").has_changed
    assert not Epoch(None, None).has_changed


def answering(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> None:
    monkeypatch.setattr(redis.client.Pipeline, "execute", lambda *_, **__: list(answers))


def test_a_user_without_info_is_not_told(real: RedisBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = redis.exceptions.NoPermissionError("no INFO")
    answering(monkeypatch, refused, refused, "server")

    assert epoch.look(real) == Epoch(None, "server")


def test_an_error_of_the_server_is_not_taken_for_a_loss(real: RedisBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, {"run_id": "1"}, {}, redis.exceptions.BusyLoadingError("LOADING"))

    with pytest.raises(BrokerUnavailable):
        epoch.look(real)
