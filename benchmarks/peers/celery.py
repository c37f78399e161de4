"""Celery on Redis."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from celery import Celery, group

from benchmarks import bodies, load

LOAD = load.current()
PREFETCH = 64

load.enter_project()
app = Celery("benchmarks", broker=os.environ.get("BENCH_REDIS"))
app.conf.broker_connection_retry_on_startup = True
app.conf.task_ignore_result = True
if LOAD.kind == "noop":
    app.conf.worker_prefetch_multiplier = PREFETCH
tasks = {name: app.task(body, name=name) for name, body in bodies.SYNC.items()}


def settings(load: load.Load) -> str:
    """Say how Celery is set."""
    return {
        "noop": f"solo pool, prefetch {PREFETCH}, no result backend, without gossip, mingle and heartbeat; "
        "two processes: two workers",
        "waits": "thread pool, no result backend, without gossip, mingle and heartbeat",
        "default": "default settings (prefork, acknowledged early), no result backend",
    }[load.kind]


def workers(load: load.Load) -> list[list[str]]:
    """Return the command lines of the workers."""
    command = [sys.executable, "-m", "celery", "-A", __name__, "worker"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    if load.kind == "noop":
        return [[*command, "--pool", "solo", *quiet, "--hostname", f"{n}@%h"] for n in range(load.count)]
    if load.kind == "waits":
        return [[*command, "--pool", "threads", "--concurrency", str(load.width), *quiet]]
    return [[*command, *(["--concurrency", str(load.processes)] if load.processes else [])]]


def enqueue(body: str, *arguments: object) -> None:
    """Make a job."""
    tasks[body].delay(*arguments)


def enqueue_many(body: str, calls: Sequence[tuple[object, ...]]) -> None:
    """Make many; a group sends them one by one as well."""
    group(tasks[body].s(*call) for call in calls).delay()
