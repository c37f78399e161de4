"""Connections: every default explicit, the client's errors in our words."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from django_backie.broker import connection
from django_backie.broker.redis import RedisBroker, broker_for
from django_backie.conf import Config
from django_backie.exceptions import BrokerError, BrokerUnavailable

from .support import job


@pytest.fixture
def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def mute_server() -> Iterator[socket.socket]:
    """Return a server that takes connections and never answers: a frozen one."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.setblocking(False)
        yield server


def broker_at(port: int) -> RedisBroker:
    return RedisBroker(Config(alias="default", url=f"redis://user:hunter2@127.0.0.1:{port}/3", namespace="test-none"))


def test_a_refused_connection_names_the_address_and_no_password(free_port: int) -> None:
    with pytest.raises(BrokerUnavailable) as caught:
        broker_at(free_port).enqueue([job("a")])

    assert f"127.0.0.1:{free_port}/3" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "user" not in str(caught.value)


def test_a_missing_socket_is_named() -> None:
    broker = RedisBroker(Config(alias="default", url="unix:///nowhere/redis.sock?db=1", namespace="test-none"))

    with pytest.raises(BrokerUnavailable, match=r"Redis at /nowhere/redis\.sock is not available"):
        broker.take(1)


def test_a_frozen_server_is_given_up_after_one_timeout(
    mute_server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TIMEOUT", 0.05)

    with pytest.raises(BrokerUnavailable, match=r"not available: .*[Tt]ime"):
        broker_at(mute_server.getsockname()[1]).take(1)

    mute_server.accept()[0].close()
    with pytest.raises(BlockingIOError):
        mute_server.accept()


def test_a_broken_connection_is_repeated_once(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = connection.command_client(redis_url)
    calls: list[int] = []
    send = redis.connection.AbstractConnection.send_packed_command

    def broken_once(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise redis.exceptions.ConnectionError("reset")
        return send(self, *args, **kwargs)

    client.ping()
    monkeypatch.setattr(redis.connection.AbstractConnection, "send_packed_command", broken_once)

    assert client.ping() is True


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.ConnectionError("gone"),
        redis.exceptions.TimeoutError("slow"),
        redis.exceptions.BusyLoadingError("loading"),
        redis.exceptions.ReadOnlyError("replica"),
        redis.exceptions.OutOfMemoryError("full"),
        ConnectionResetError("reset"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_another_try_may_change_is_unavailable(error: Exception) -> None:
    said = r"^Redis at example:6379/0 is not available: .+"
    with (
        pytest.raises(BrokerUnavailable, match=said) as caught,
        connection.translated("redis://:secret@example/0"),
    ):
        raise error

    assert caught.value.__cause__ is error


def test_what_no_other_try_can_change_is_an_error() -> None:
    said = "Redis at example:6379/0 refused: WRONGTYPE"
    with pytest.raises(BrokerError, match=said) as caught, connection.translated("redis://example"):
        raise redis.exceptions.ResponseError("WRONGTYPE")

    assert not isinstance(caught.value, BrokerUnavailable)


def test_an_error_in_a_script_is_an_error(broker: RedisBroker) -> None:
    broker.client.set(broker.keys["b"], "a string where a hash belongs")

    with pytest.raises(BrokerError, match=r"refused: .*WRONGTYPE"):
        broker.enqueue([job("a")])


def test_other_errors_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), connection.translated("redis://example"):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://localhost:6379/0", "localhost:6379/0"),
        ("redis://", "localhost:6379/0"),
        ("rediss://user:secret@redis.example:7000/2", "redis.example:7000/2"),
        ("redis://:secret@[::1]:7000", "::1:7000/0"),
        ("unix:///run/redis.sock?db=1", "/run/redis.sock"),
        ("unix://user:secret@/run/redis.sock?db=1&password=x", "/run/redis.sock"),
        ("valkey://cache", "cache:6379/0"),
    ],
)
def test_an_address_has_no_credentials(url: str, address: str) -> None:
    assert connection.address(url) == address


def test_every_default_of_the_command_client_is_explicit() -> None:
    given = connection.command_client("redis://example:1/2").connection_pool.connection_kwargs

    assert given["socket_timeout"] == given["socket_connect_timeout"] == 5.0
    assert given["socket_keepalive"] is True
    assert given["health_check_interval"] == 30
    assert (given["protocol"], given["decode_responses"], given["encoding_errors"]) == (2, True, "replace")
    assert given["retry"]._retries == 1
    assert given["retry"]._supported_errors == (redis.exceptions.ConnectionError,)


def test_a_blocking_client_outwaits_its_longest_block_and_repeats_nothing() -> None:
    given = connection.blocking_client("redis://example", longest=30.0).connection_pool.connection_kwargs

    assert given["socket_timeout"] == 35.0
    assert given["retry"]._retries == 0


def test_a_socket_gets_no_options_of_tcp() -> None:
    given = connection.command_client("unix:///run/redis.sock?db=3").connection_pool.connection_kwargs

    assert given["path"] == "/run/redis.sock"
    assert given["db"] == 3
    assert "socket_keepalive" not in given


@pytest.mark.parametrize(
    ("url", "secure"), [("valkey://cache", False), ("valkeys://cache", True), ("rediss://c", True)]
)
def test_the_names_of_valkey_are_understood(url: str, secure: bool) -> None:
    pool = connection.command_client(url).connection_pool

    assert (pool.connection_class is redis.SSLConnection) is secure


def test_a_process_has_one_client_for_each_url() -> None:
    assert connection.command_client("redis://one") is connection.command_client("redis://one")
    assert connection.command_client("redis://one") is not connection.command_client("redis://two")


def test_a_process_has_one_broker_for_each_configuration() -> None:
    config = Config(alias="default", url="redis://one", namespace="a")

    assert broker_for(config) is broker_for(Config(alias="default", url="redis://one", namespace="a"))
    assert broker_for(config) is not broker_for(Config(alias="default", url="redis://one", namespace="b"))


@pytest.mark.parametrize("code", ["MISCONF", "BUSY", "NOREPLICAS", "MASTERDOWN", "UNBLOCKED", "TRYAGAIN"])
def test_a_state_of_the_server_that_passes_is_unavailability(code: str) -> None:
    with pytest.raises(BrokerUnavailable, match=code), connection.translated("redis://localhost"):
        raise redis.exceptions.ResponseError(f"{code} for the time being")


def test_unavailability_is_an_error_of_the_broker_so_that_one_clause_catches_both() -> None:
    assert issubclass(BrokerUnavailable, BrokerError)
