"""taskiq on Redis streams, its broker that acknowledges."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Sequence

import uvloop
from taskiq_redis import RedisStreamBroker

from benchmarks import bodies, load

AT_ONCE = 100
CONNECTIONS = 100 + load.current().width

load.enter_project()
broker = RedisStreamBroker(os.environ.get("BENCH_REDIS", "redis://"), max_connection_pool_size=CONNECTIONS)
tasks = {name: broker.task(task_name=name)(body) for name, body in bodies.ASYNC.items()}


def settings(load: load.Load) -> str:
    """Say how taskiq is set."""
    if load.kind == "default":
        return "stream broker, uvloop, default settings (100 jobs at once)"
    return f"stream broker, uvloop, {max(AT_ONCE, load.width)} jobs at once, no parsing, log level WARNING"


def workers(load: load.Load) -> list[list[str]]:
    """Return the command lines of the workers."""
    command = [sys.executable, "-m", "taskiq", "worker", f"{__name__}:broker"]
    if load.processes:
        command += ["--workers", str(load.processes)]
    if load.kind != "default":
        command += ["--max-async-tasks", str(max(AT_ONCE, load.width)), "--no-parse", "--log-level", "WARNING"]
    return [command]


def enqueue(body: str, *arguments: object) -> None:
    """Make a job, as a synchronous view would."""
    _loop().run_until_complete(tasks[body].kiq(*arguments))


def enqueue_many(body: str, calls: Sequence[tuple[object, ...]]) -> None:
    """Make many, one by one."""

    async def all_of_them() -> None:
        for call in calls:
            await tasks[body].kiq(*call)

    _loop().run_until_complete(all_of_them())


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = uvloop.new_event_loop()
    loop.run_until_complete(broker.startup())
    return loop
