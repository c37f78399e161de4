"""What several tests need: a worker in this process, the mirror, and a count of what goes to Redis."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import redis
from django.db import connection

from django_backie.core import ids
from django_backie.duties.mirror import Mirror
from django_backie.worker.board import Board
from django_backie.worker.children import Child
from django_backie.worker.leases import Leases
from django_backie.worker.options import WorkerOptions, worker_name
from django_backie.worker.worker import Worker

from .lifecycle.conftest import until


class StandingClock:
    """Stands until it is moved."""

    time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


class NoonClock(StandingClock):
    """Stands at noon until it is moved."""

    time = NOON.timestamp()

    def forward(self, **values: float) -> None:
        self.time += timedelta(**values).total_seconds()


def drain(backend: Any, **options: Any) -> Worker:
    """Run jobs in this process until none is ready."""
    wanted = WorkerOptions(**{"threads": 2, "async_concurrency": 10, "burst": True, **options})
    worker = Worker(
        backend,
        wanted,
        worker_name(),
        Board(wanted.threads + wanted.async_concurrency),
        lambda finished: None,
    )
    worker.run()
    return worker


@contextmanager
def working(backend: Any, **values: Any) -> Iterator[Worker]:
    """Let a worker and its parent work meanwhile."""
    options = WorkerOptions(**{"burst": False, "threads": 1, "grace": 0.0, **values})
    board = Board(options.threads + options.async_concurrency)
    name = worker_name()
    running = Worker(backend, options, name, board, lambda finished: None)
    child = Child(1, board, pid=1, name=name)
    ended = threading.Event()

    def supervise() -> None:
        leases = Leases(backend.broker)
        while not ended.wait(0.02):
            leases._next_tick = 0.0
            leases.tick([child])

    threads = [threading.Thread(target=target) for target in (running.run, supervise)]
    for thread in threads:
        thread.start()
    try:
        yield running
    finally:
        running.stop()
        threads[0].join(timeout=20)
        ended.set()
        threads[1].join(timeout=20)


def ended(result: Any) -> Any:
    """Return the handle of a job once it has ended."""
    until(lambda: result.refresh() or result.state.is_final)
    return result


def mirror(backend: Any) -> None:
    """Copy all that has changed in Redis into the job tables."""
    Mirror(backend).drain()


def outlast_millisecond(job_id: str) -> None:
    """Return when a new job's id says that it is younger: of two in one millisecond chance decides."""
    while ids.new_key()[:13] <= job_id[:13]:
        pass


def lease(backend: Any, worker: str = "host:1.0:abcd.0") -> list[Any]:
    """Take all ready jobs and leave them running."""
    backend.broker.join(worker)
    return backend.broker.turn(worker, limit=100).leases


def empty(backend: Any) -> None:
    """Make Redis forget everything, as an unsaved restart does."""
    client = backend.broker.client
    for key in client.scan_iter(f"*{backend.config.namespace}*", count=1000):
        client.delete(key)


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the commands that this process sends to Redis; pipelines are counted as one PIPELINE."""
    counts: Counter[str] = Counter()
    execute, pipeline = redis.Redis.execute_command, redis.client.Pipeline.execute

    def counting(client: Any, *args: Any, **kwargs: Any) -> Any:
        counts[str(args[0])] += 1
        return execute(client, *args, **kwargs)

    def counting_pipeline(client: Any, *args: Any, **kwargs: Any) -> Any:
        counts["PIPELINE"] += 1
        return pipeline(client, *args, **kwargs)

    with (
        mock.patch.object(redis.Redis, "execute_command", counting),
        mock.patch.object(redis.client.Pipeline, "execute", counting_pipeline),
    ):
        yield counts


def wait_for_a_lock() -> None:
    """Return when another connection waits for a row of this one; only PostgreSQL tells."""
    for _ in range(1000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
            if cursor.fetchone() != (0,):
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")
