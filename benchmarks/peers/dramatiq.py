"""dramatiq on Redis."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks import bodies, load

PREFETCH = 1000
# Every thread acknowledges over a connection of its own; redis-py's pool holds a hundred.
CONNECTIONS = 100 + load.current().width

load.enter_project()
broker = RedisBroker(url=f"{os.environ.get('BENCH_REDIS')}?max_connections={CONNECTIONS}")
dramatiq.set_broker(broker)
actors = {name: dramatiq.actor(body, actor_name=name) for name, body in bodies.SYNC.items()}


def settings(load: load.Load) -> str:
    """Say how dramatiq is set."""
    return {
        "noop": f"one thread a process, prefetch {PREFETCH}",
        "waits": "one process, as many threads as jobs at once",
        "default": "default settings (8 threads a process)",
    }[load.kind]


def workers(load: load.Load) -> list[list[str]]:
    """Return the command lines of the workers."""
    command = [sys.executable, "-m", "dramatiq", __name__]
    if load.kind == "noop":
        # It is read before the module with the broker.
        command = ["env", f"dramatiq_queue_prefetch={PREFETCH}", *command]
    if load.processes:
        command += ["--processes", str(load.processes)]
    if load.kind != "default":
        command += ["--threads", str(load.width)]
    return [command]


def enqueue(body: str, *arguments: object) -> None:
    """Make a job."""
    actors[body].send(*arguments)


def enqueue_many(body: str, calls: Sequence[tuple[object, ...]]) -> None:
    """Make many, one by one."""
    for call in calls:
        enqueue(body, *call)
