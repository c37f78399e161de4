"""RQ."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import redis
from rq import Queue

from benchmarks import bodies, load

URL = os.environ.get("BENCH_REDIS", "redis://")
CHUNK = 1000
# As it comes, it keeps results for 500 s.
OPTIONS = {} if load.current().kind == "default" else {"result_ttl": 0}

load.enter_project()
queue = Queue(connection=redis.Redis.from_url(URL))


def settings(load: load.Load) -> str:
    """Say how RQ is set."""
    if load.kind == "noop":
        return "SimpleWorker (no fork for each job), result_ttl 0, quiet; two processes: two workers"
    return "default settings (a fork for each job)"


def workers(load: load.Load) -> list[list[str]]:
    """Return the command lines of the workers."""
    command = [sys.executable, "-m", "rq.cli", "worker", "--url", URL]
    if load.in_project:
        # Otherwise each job's process would load the project again.
        command += ["--config", __name__]
    if load.kind == "noop":
        command += ["--worker-class", "rq.SimpleWorker", "--quiet"]
    return [command] * load.count


def enqueue(body: str, *arguments: object) -> None:
    """Make a job."""
    queue.enqueue(bodies.SYNC[body], *arguments, **OPTIONS)


def enqueue_many(body: str, calls: Sequence[tuple[object, ...]]) -> None:
    """Make many through a pipeline, a thousand at a time."""
    for start in range(0, len(calls), CHUNK):
        chunk = calls[start : start + CHUNK]
        queue.enqueue_many([Queue.prepare_data(bodies.SYNC[body], args=call, **OPTIONS) for call in chunk])
