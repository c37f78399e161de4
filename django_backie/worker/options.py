"""How a worker works, as one frozen value."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass

from ..broker.redis import QueueMode
from .order import drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The options of ``runworker``. ``grace`` is seconds, ``max_memory`` bytes; where a ``max_`` is None, no limit."""

    processes: int = 1
    threads: int = 8
    async_concurrency: int = 100
    queues: tuple[str, ...] = ()
    exclude_queues: tuple[str, ...] = ()
    # One for each of ``queues``, or none: then their order is strict.
    weights: tuple[float, ...] = ()
    burst: bool = False
    max_jobs: int | None = None
    max_memory: int | None = None
    grace: float = 25.0

    @property
    def mode(self) -> QueueMode:
        """Tell whether the queues are the only ones to serve, in order, or all but the excluded ones."""
        return "only" if self.queues else "all"

    @property
    def named_queues(self) -> tuple[str, ...]:
        """Return the names that go with the mode."""
        return self.queues or self.exclude_queues

    def queues_to_ask(self) -> tuple[str, ...]:
        """Return the names in the order of the next turn: with weights it is drawn anew each time."""
        return drawn(self.named_queues, self.weights)


def worker_name(number: int = 0) -> str:
    """Return a new worker's name: host, process, number, and eight random characters."""
    host = socket.gethostname().split(".")[0].replace("|", "-")[:60] or "host"
    return f"{host}:{os.getpid()}.{number}:{secrets.token_hex(4)}"
