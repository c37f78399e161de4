"""arq."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Function, func

from benchmarks import bodies, load

LOAD = load.current()
AT_ONCE, POLL = 100, 0.02
REDIS = RedisSettings.from_dsn(os.environ.get("BENCH_REDIS", "redis://"))
load.enter_project()
QUIET = {"version": 1, "disable_existing_loggers": False, "loggers": {"arq": {"level": "WARNING"}}}


def _function(name: str, body: Callable[..., Awaitable[None]]) -> Function:
    async def run(_: dict[str, Any], *arguments: object) -> None:
        await body(*arguments)

    return func(run, name=name, keep_result=None if LOAD.kind == "default" else 0)


class WorkerSettings:
    """What the command ``arq`` reads."""

    functions = [_function(name, body) for name, body in bodies.ASYNC.items()]
    redis_settings = REDIS
    if LOAD.kind != "default":
        max_jobs = max(AT_ONCE, LOAD.width)
        poll_delay = POLL


def settings(load: load.Load) -> str:
    """Say how arq is set."""
    if load.kind == "default":
        return "default settings (10 jobs at once, a poll each 0.5 s)"
    return f"max_jobs {max(AT_ONCE, load.width)}, a poll each {POLL} s, results off, quiet; two processes: two workers"


def workers(load: load.Load) -> list[list[str]]:
    """Return the command lines of the workers."""
    quiet = [] if load.kind == "default" else ["--custom-log-dict", f"{__name__}.QUIET"]
    return [[sys.executable, "-m", "arq", f"{__name__}.WorkerSettings", *quiet]] * load.count


def enqueue(body: str, *arguments: object) -> None:
    """Make a job, as a synchronous view would."""
    loop, pool = _connected()
    loop.run_until_complete(pool.enqueue_job(body, *arguments))


def enqueue_many(body: str, calls: Sequence[tuple[object, ...]]) -> None:
    """Make many, one by one."""

    async def all_of_them(pool: Any) -> None:
        for call in calls:
            await pool.enqueue_job(body, *call)

    loop, pool = _connected()
    loop.run_until_complete(all_of_them(pool))


@functools.cache
def _connected() -> tuple[asyncio.AbstractEventLoop, Any]:
    loop = asyncio.new_event_loop()
    return loop, loop.run_until_complete(create_pool(REDIS))
