"""The two names of the blog post from which the project grew: a plain FIFO, and a worker in the calling process."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from .aliases import redis_backend
from .backend import RedisBackend
from .broker.fifo import Fifo
from .duties.base import Bell
from .duties.rota import perform
from .exceptions import InvalidOption
from .task_definition import Task
from .worker import worker
from .worker.board import Board
from .worker.children import Child
from .worker.leases import TICK, Leases
from .worker.options import WorkerOptions, worker_name
from .worker.report import configure_logging, log_finished

logger = logging.getLogger("django_backie.worker")


class Broker:
    """A first-in-first-out line of strings on the configured Redis."""

    def __init__(self, backend: str | None = None) -> None:
        self._fifo = Fifo(redis_backend(backend).config)

    def enqueue(self, item: str, queue_name: str) -> None:
        """Put a string at the end of a line.

        Raises:
            BrokerError: Redis cannot be reached; names address and cause.
        """
        self._fifo.push(queue_name, item)

    def dequeue(self, queue_name: str) -> str | None:
        """Return the first string of a line; wait up to three seconds for one, then return None."""
        return self._fifo.pop(queue_name, 3)


class Worker:
    """A worker for one task (or for every queue), in the calling process, without children.

    ``start`` returns after SIGINT or SIGTERM, or after ``stop`` from another thread, or with ``burst=True`` when
    nothing is left.
    """

    def __init__(self, task: Any = None, *, backend: str | None = None, threads: int = 1) -> None:
        self._task: Task[..., Any] | None = task.as_task() if hasattr(task, "as_task") else task
        if self._task is not None and not isinstance(self._task, Task):
            msg = f"Worker(task=...) takes a task, not {task!r}"
            raise InvalidOption(msg)
        self._backend = redis_backend(backend or (self._task.backend if self._task else None))
        self._threads = threads
        self._worker: worker.Worker | None = None

    def start(self, *, burst: bool = False) -> None:
        """Run jobs until stopped."""
        configure_logging("pretty", logging.INFO)
        queues = (self._task.queue_name,) if self._task else ()
        options = WorkerOptions(threads=self._threads, queues=queues, burst=burst)
        board = Board(options.threads + options.async_concurrency)
        name = worker_name()
        self._worker = worker.Worker(self._backend, options, name, board, log_finished)
        with _stopping_on_signals(self._worker), _helpers(self._backend, name, board):
            self._worker.run()

    def stop(self) -> None:
        """Finish the running jobs and let ``start`` return."""
        if self._worker is not None:
            self._worker.stop()


def run_in_thread(backend: RedisBackend, options: WorkerOptions) -> int:
    """Run one worker in the calling thread, without children and signals; return its exit code."""
    board = Board(options.threads + options.async_concurrency)
    name = worker_name()
    runner = worker.Worker(backend, options, name, board, log_finished)
    with _stopping_on_signals(runner), _helpers(backend, name, board):
        runner.run()
    return 3 if runner.handed_back else 0


@contextlib.contextmanager
def _stopping_on_signals(runner: worker.Worker) -> Iterator[None]:
    """Stop at the first signal, abort at the second; leave signals alone outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    calls = iter([runner.stop])

    def handle(number: int, frame: FrameType | None) -> None:
        next(calls, runner.abort)()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _helpers(backend: RedisBackend, name: str, board: Board) -> Iterator[None]:
    """Do in threads what a parent would, and the duties: there is no parent."""
    stop, bell = threading.Event(), Bell()
    leases, child = Leases(backend.broker), Child(1, board, name=name)

    def care() -> None:
        while not stop.wait(min(TICK, backend.config.lease / 3)):
            leases.renew([child])
            leases.tick([child])

    threads = [
        threading.Thread(target=care, name="backie-leases", daemon=True),
        threading.Thread(target=perform, args=(backend, bell), name="backie-duties", daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        bell.stop()
        for thread in threads:
            thread.join(timeout=30)
