"""A Redis server of our own, on one core, that forgets everything when it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis

PATIENCE = 10.0


class OwnRedis:
    """The server's address, and what it has used."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        self.client = redis.Redis(port=port, protocol=2)

    @property
    def version(self) -> str:
        """Return the server's version."""
        return str(self.client.info("server")["redis_version"])

    def cpu(self) -> float:
        """Return the seconds of CPU that the server has used."""
        used = self.client.info("cpu")
        return float(used["used_cpu_sys"] + used["used_cpu_user"])

    def memory(self) -> int:
        """Return the bytes that are in use."""
        return int(self.client.info("memory")["used_memory"])


@contextmanager
def own_redis(binary: str = "redis-server") -> Iterator[OwnRedis]:
    """Give a server on the first core; this process stays on the others, if there are any."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"port": str(port), "bind": "127.0.0.1", "save": "", "appendonly": "no", "maxclients": "20000"}
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="backie-scale-") as directory:
        words = [word for name, value in (options | {"dir": directory}).items() for word in (f"--{name}", value)]
        process = subprocess.Popen([binary, *words], stdout=subprocess.DEVNULL)
        try:
            os.sched_setaffinity(process.pid, cores[:1])
            os.sched_setaffinity(0, cores[1:] or cores)
            server = OwnRedis(port)
            _wait(server, process)
            yield server
        finally:
            os.sched_setaffinity(0, cores)
            process.kill()
            process.wait()


def _wait(server: OwnRedis, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(redis.exceptions.RedisError):
            server.client.ping()
            return
        if process.poll() is not None or time.monotonic() > deadline:
            msg = "the server does not start; is redis-server on PATH?"
            raise RuntimeError(msg)
        time.sleep(0.02)
