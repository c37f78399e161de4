"""The Redis server that ``dev.py`` has started for us: nobody else's, so it may be emptied."""

from __future__ import annotations

import os
from dataclasses import dataclass

import redis

from .machine import Cores

# What the driver itself sends while it watches.
OUR_COMMANDS = {"cmdstat_info", "cmdstat_config|get", "cmdstat_flushdb", "cmdstat_select"}


@dataclass(frozen=True, slots=True)
class Figures:
    """What the server has done since it was started.

    ``cpu`` is seconds; ``commands`` counts those inside of scripts too; ``reads`` counts how often the server had to
    read from a connection, which is the number of round trips.
    """

    cpu: float
    commands: int
    reads: int
    memory: int

    def __sub__(self, before: Figures) -> Figures:
        return Figures(
            self.cpu - before.cpu,
            self.commands - before.commands,
            self.reads - before.reads,
            self.memory - before.memory,
        )


class Server:
    """A server of our own."""

    def __init__(self, socket_url: str) -> None:
        self._socket_url = socket_url
        self._client = redis.Redis.from_url(socket_url, decode_responses=True)
        self._port = self._client.config_get("port")["port"]

    def url_of(self, database: int) -> str:
        """Return the address of one of the server's databases: TCP, as between machines."""
        return f"redis://127.0.0.1:{self._port}/{database}"

    @property
    def version(self) -> str:
        """Return name and version."""
        info = self._client.info("server")
        return f"{info.get('server_name', 'redis').capitalize()} {info.get('valkey_version', info['redis_version'])}"

    def pin(self, cores: Cores) -> None:
        """Put the server on its core."""
        os.sched_setaffinity(int(self._client.info("server")["process_id"]), cores.server)

    def empty(self, database: int) -> None:
        """Forget everything in one of the databases."""
        with redis.Redis.from_url(self._socket_url, db=database) as client:
            client.flushdb()

    def figures(self) -> Figures:
        """Return what the server has done so far."""
        cpu, stats = self._client.info("cpu"), self._client.info("stats")
        commands = self._client.info("commandstats")
        return Figures(
            cpu["used_cpu_sys"] + cpu["used_cpu_user"],
            sum(entry["calls"] for name, entry in commands.items() if name not in OUR_COMMANDS),
            stats["total_reads_processed"],
            self._client.info("memory")["used_memory"],
        )
