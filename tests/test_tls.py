"""``rediss://``: who the server is, is verified; the way out stands in the URL."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from django_backie.broker import connection
from django_backie.broker.connection import command_client
from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.conf import Config
from django_backie.exceptions import BrokerUnavailable

from . import servers
from .broker.support import ids_of, job, taken

PASSWORD = "hunter2"


def openssl(directory: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True, timeout=60)


def make_certificates(directory: Path) -> None:
    """Make an authority of our own, and a certificate of it for ``localhost`` and no other name."""
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    for name in ("ca", "stranger"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN=backie {name}"]
        openssl(directory, *new, *files, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    files = [
        "-keyout",
        "server.key",
        "-out",
        "server.pem",
        "-subj",
        "/CN=localhost",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
    ]
    use = ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=DNS:localhost"]
    openssl(directory, *new, *files, *use)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the certificates."""
    directory = tmp_path_factory.mktemp("tls")
    make_certificates(directory)
    return directory


@pytest.fixture(scope="module")
def port(certificates: Path) -> Iterator[int]:
    """Return the port of a server that speaks TLS."""
    number = servers.free_port()
    files = {"tls-cert-file": "server.pem", "tls-key-file": "server.key", "tls-ca-cert-file": "ca.pem"}
    flags = {name: str(certificates / file) for name, file in files.items()}
    flags |= {"tls-port": str(number), "tls-auth-clients": "no", "requirepass": PASSWORD}
    with ExitStack() as stack:
        for program in servers.binaries():
            # Without TLS a server ends at once, and says why.
            with suppress(servers.NotStarted):
                stack.enter_context(servers.server(program, flags))
                yield number
                return
        pytest.skip("no server here was built with TLS")


@pytest.fixture
def broker_at(namespace: str) -> Iterator[Any]:
    """Return a function that gives the broker of a URL; its connections are closed at the end."""
    urls: list[str] = []

    def make(url: str) -> RedisBroker:
        urls.append(url)
        return RedisBroker(Config(alias="default", url=url, namespace=namespace))

    yield make
    for url in urls:
        command_client(url).close()


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_a_server_of_a_known_authority_is_accepted(broker_at: Any, port: int, certificates: Path, scheme: str) -> None:
    broker = broker_at(f"{scheme}://:{PASSWORD}@localhost:{port}/0?ssl_ca_certs={certificates / 'ca.pem'}")

    assert broker.enqueue([job("a")]) == [True]
    broker.join("w1")
    broker.turn("w1")
    listener = Listener(broker, [], "all", longest=1.0)
    assert ids_of(taken(listener.take(1.0, "w1", 1))) == ["a"]
    listener.close()


def refusal(broker: RedisBroker) -> str:
    """Return the words with which a connection is refused, by both kinds of client."""
    with pytest.raises(BrokerUnavailable) as caught:
        broker.enqueue([job("a")])
    listener = Listener(broker, [], "all", longest=1.0)
    with pytest.raises(BrokerUnavailable):
        listener.take(0.1, "w1", 1)
    listener.close()
    return str(caught.value)


def test_an_unknown_authority_is_refused(broker_at: Any, port: int) -> None:
    said = refusal(broker_at(f"rediss://:{PASSWORD}@localhost:{port}/0"))

    assert said.startswith(f"Redis at localhost:{port}/0 is not available: ")
    assert "certificate verify failed" in said
    assert PASSWORD not in said


def test_another_authority_is_refused(broker_at: Any, port: int, certificates: Path) -> None:
    said = refusal(broker_at(f"rediss://:{PASSWORD}@localhost:{port}/0?ssl_ca_certs={certificates / 'stranger.pem'}"))

    assert "certificate verify failed" in said
    assert PASSWORD not in said


def test_a_certificate_for_another_name_is_refused(broker_at: Any, port: int, certificates: Path) -> None:
    said = refusal(broker_at(f"rediss://:{PASSWORD}@127.0.0.1:{port}/0?ssl_ca_certs={certificates / 'ca.pem'}"))

    assert said.startswith(f"Redis at 127.0.0.1:{port}/0 is not available: ")
    assert "IP address mismatch" in said
    assert PASSWORD not in said


def test_an_authority_file_that_is_missing_is_said(broker_at: Any, port: int) -> None:
    said = refusal(broker_at(f"rediss://:{PASSWORD}@localhost:{port}/0?ssl_ca_certs=/nowhere/ca.pem"))

    assert "No such file" in said
    assert PASSWORD not in said


def test_a_server_without_tls_is_not_spoken_to_in_clear(broker_at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Both sides wait for the other's first word.
    monkeypatch.setattr(connection, "TIMEOUT", 0.2)
    plain = servers.free_port()
    with servers.server(flags={"port": str(plain)}):
        said = refusal(broker_at(f"rediss://:{PASSWORD}@localhost:{plain}/0"))

    assert said.startswith(f"Redis at localhost:{plain}/0 is not available: ")
    assert PASSWORD not in said


def test_who_the_server_is_is_verified_whatever_the_clients_default() -> None:
    for url in ("rediss://c", "valkeys://c"):
        for client in (command_client(url), connection.blocking_client(url, 1.0)):
            given = client.connection_pool.connection_kwargs
            assert (given["ssl_cert_reqs"], given["ssl_check_hostname"]) == ("required", True)


def test_verification_is_switched_off_by_name_only(broker_at: Any, port: int) -> None:
    broker = broker_at(f"rediss://:{PASSWORD}@127.0.0.1:{port}/0?ssl_cert_reqs=none")

    assert broker.missing(["a"]) == ["a"]


def test_a_wrong_password_is_not_repeated_in_the_error(broker_at: Any, port: int, certificates: Path) -> None:
    said = refusal(broker_at(f"rediss://user:other-secret@localhost:{port}/0?ssl_ca_certs={certificates / 'ca.pem'}"))

    assert "other-secret" not in said
    assert "invalid username-password pair" in said
