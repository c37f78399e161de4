"""The campaign's own servers, and the network before them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from django_backie.chaos.server import PORTS, NoServer, Server, find_binary
from django_backie.chaos.servers import Servers
from tests.lifecycle.conftest import until
from tests.servers import binary


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Not tmp_path, whose name is as long as the test's: the path of a Unix socket is bounded.
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def servers(directory: Path) -> Iterator[Servers]:
    servers = Servers(binary(), directory, "secret", long=True)
    servers.start()
    yield servers
    servers.end()


@pytest.fixture
def client(servers: Servers) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(servers.url, decode_responses=True, socket_timeout=0.3, retry=None) as client:
        yield client


def test_a_server_whose_port_was_taken_meanwhile_finds_another(directory: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = Server(binary(), directory, "redis", "secret", port)
        server.start()
    server.kill()

    assert server.port in PORTS
    assert server.port != port


def test_a_server_that_is_killed_comes_back_with_its_data(servers: Servers) -> None:
    servers.master.command("SET", "a", "1")
    servers.master.kill()
    assert not servers.master.answers()
    servers.master.start()

    assert servers.master.command("GET", "a") == "1"


def test_a_server_that_is_emptied_comes_back_without_data(servers: Servers) -> None:
    servers.master.command("SET", "a", "1")
    servers.master.kill()
    servers.master.empty()
    servers.master.start()

    assert servers.master.command("GET", "a") is None


def test_a_server_that_loses_its_tail_has_the_beginning_only(servers: Servers) -> None:
    for number in range(100):
        servers.master.command("SET", f"key-{number}", "x" * 100)
    servers.master.kill()
    servers.master.lose_tail(2_000)
    servers.master.start()

    assert servers.master.command("GET", "key-0") is not None
    assert servers.master.command("GET", "key-99") is None


def test_nobody_gets_in_without_the_password(servers: Servers) -> None:
    assert servers.proxy is not None
    for url in (f"redis://127.0.0.1:{servers.master.port}", f"redis://127.0.0.1:{servers.proxy.port}"):
        with redis.Redis.from_url(url) as stranger, pytest.raises(redis.exceptions.AuthenticationError):
            stranger.ping()


def test_a_failover_loses_what_the_replica_lacked_and_keeps_the_rest(servers: Servers, client: redis.Redis) -> None:
    client.set("before", "1")
    replica = servers.replica
    assert replica is not None
    until(lambda: replica.command("GET", "before") == "1")
    assert servers.detach()
    client.set("after", "1")
    servers.fail_over()
    client.connection_pool.disconnect()

    assert servers.master is replica
    assert (client.get("before"), client.get("after")) == ("1", None)
    assert servers.replica is not None
    assert servers.replica.follows()


def test_a_network_that_holds_requests_delivers_them_late(servers: Servers, client: redis.Redis) -> None:
    client.set("a", "0")
    assert servers.proxy is not None
    servers.proxy.hold(requests=True, replies=True)
    with pytest.raises(redis.exceptions.TimeoutError):
        client.set("a", "1")
    assert servers.master.command("GET", "a") == "0"
    servers.proxy.hold()

    until(lambda: servers.master.command("GET", "a") == "1")


def test_a_network_that_loses_replies_delivers_the_requests(servers: Servers, client: redis.Redis) -> None:
    client.set("a", "0")
    assert servers.proxy is not None
    servers.proxy.hold(replies=True)
    with pytest.raises(redis.exceptions.TimeoutError):
        client.set("a", "1")
    until(lambda: servers.master.command("GET", "a") == "1")
    servers.proxy.cut()
    servers.proxy.hold()

    assert client.get("a") == "1"


def test_a_slow_network_delays_both_ways(servers: Servers, client: redis.Redis) -> None:
    client.ping()
    assert servers.proxy is not None
    servers.proxy.slow_down(0.1)
    began = time.monotonic()
    client.ping()

    assert time.monotonic() - began >= 0.2


def test_a_healed_world_works_again(servers: Servers, client: redis.Redis) -> None:
    assert servers.proxy is not None
    servers.proxy.hold(requests=True, replies=True)
    servers.proxy.slow_down(5.0)
    servers.master.command("CONFIG", "SET", "maxmemory", "1")
    servers.master.freeze()
    servers.heal()

    assert client.set("a", "1")


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(NoServer, match="/nonexistent/server: there is no such program"):
        find_binary("/nonexistent/server")
