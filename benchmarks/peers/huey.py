"""huey on Redis."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from huey import RedisHuey

from benchmarks import bodies, load

LOAD = load.current()
# A connection for each thread and one more to work with; redis-py's pool holds a hundred.
CONNECTIONS = 100 + 2 * LOAD.width

load.enter_project()
url = f"{os.environ.get('BENCH_REDIS')}?max_connections={CONNECTIONS}"
huey = RedisHuey(url=url, results=LOAD.kind == "default")
tasks = {name: huey.task(name=name)(body) for name, body in bodies.SYNC.items()}


def settings(load: load.Load) -> str:
    """Say how huey is set."""
    return {
        "noop": "process workers, results off, quiet",
        "waits": "as many threads as jobs at once, results off, quiet",
        "default": "default settings (one thread)",
    }[load.kind]


def workers(load: load.Load) -> list[list[str]]:
    """Return the command lines of the workers."""
    command = [sys.executable, "-m", "huey.bin.huey_consumer", f"{__name__}.huey"]
    if load.kind == "noop":
        command += ["--workers", str(load.count), "--worker-type", "process", "--quiet"]
    if load.kind == "waits":
        command += ["--workers", str(load.width), "--worker-type", "thread", "--quiet"]
    return [command]


def enqueue(body: str, *arguments: object) -> None:
    """Make a job."""
    tasks[body](*arguments)


def enqueue_many(body: str, calls: Sequence[tuple[object, ...]]) -> None:
    """Make many, one by one."""
    for call in calls:
        enqueue(body, *call)
