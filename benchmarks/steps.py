"""What each step of a job's way costs, in this process and without contention: where to look first for more speed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from django_backie import compat
from django_backie.broker import replies
from django_backie.core import head
from django_backie.core.states import State
from django_backie.worker.board import Board
from django_backie.worker.lines import Console, PrettyFormatter
from django_backie.worker.options import WorkerOptions, worker_name
from django_backie.worker.worker import Worker

JOBS, ROUNDS = 500, 7
MICRO = 1e6
NAME = "host:1.1:abcdefgh.0"


def of_python(task: Any, *, takes_number: bool = False) -> dict[str, float]:
    """Return the microseconds of CPU that a no-op takes in each step of the Python side, the best of some rounds."""
    compat.LOGGER.setLevel(logging.WARNING)
    backend = task.get_backend()
    calls = _calls(JOBS, takes_number=takes_number)
    entries = backend.make_entries(task, calls)
    flat = [
        value
        for entry in entries
        for value in (entry.packed.id, "1795376001123", "1", "0", entry.packed.body, "1795376001000", "")
    ]
    leases = replies.leases(flat)
    worker = Worker(backend, WorkerOptions(threads=1), worker_name(), Board(101), lambda batch: None)
    worker._board.renewed(time.monotonic())
    attempts: list[Any] = [worker._executor.open(lease, worker.name) for lease in leases]

    def run() -> None:
        for attempt in attempts:
            worker._pools.threads._run(0, attempt)

    found = {
        "make": _best(lambda: backend.make_entries(task, calls)),
        "delay_many": _best(lambda: task.delay_many([args for args, _ in calls])),
        "leases": _best(lambda: replies.leases(flat)),
        "open": _best(lambda: [worker._executor.open(lease, worker.name) for lease in leases]),
        "run": _best(run),
    }
    finished = worker._inbox.receive(0.0, lambda: None).finished[:JOBS]

    def end() -> None:
        for attempt in attempts:
            worker._ledger.open(attempt)
        worker._accept(finished, worker._ledger.close)
        worker._ledger.told([""] * JOBS)

    with open(os.devnull, "w") as stream:  # noqa: PTH123
        console = Console(stream, PrettyFormatter(stream))
        found["end"] = _best(end)
        found["log"] = _best(lambda: console.write([_fields(each) for each in finished]))
    return found


def of_scripts(task: Any, server_cpu: Callable[[], float], *, takes_number: bool = False) -> dict[str, float]:
    """Return the microseconds of the server's CPU that a no-op takes in each script, a hundred jobs a call."""
    backend = task.get_backend()
    broker, size = backend.broker, 100
    packed = [entry.packed for entry in backend.make_entries(task, _calls(20 * JOBS, takes_number=takes_number))]
    chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
    leases: list[replies.Lease] = []
    broker.join(NAME)
    note = f'{{"n":1,"w":"{NAME}","s":1795376001.1234567,"e":1795376001.2234567,"o":"succeeded","v":"null"}}'

    def claim() -> None:
        leases.extend(broker.turn(NAME, limit=size).leases)

    def settle(at: int) -> None:
        ended = leases[at : at + size]
        broker.turn(NAME, [_ending(lease, note) for lease in ended])

    def mirror() -> None:
        broker.done({snapshot.id: snapshot.version for snapshot in broker.take(500)})

    steps: dict[str, list[Callable[[], object]]] = {
        "enqueue": [lambda chunk=chunk: broker.enqueue(chunk) for chunk in chunks],
        "claim": [claim] * len(chunks),
        "settle": [lambda at=at: settle(at) for at in range(0, len(packed), size)],
        "take and done": [mirror] * (len(packed) // 500),
    }
    found = {}
    for name, calls in steps.items():
        before = server_cpu()
        for call in calls:
            call()
        found[name] = (server_cpu() - before) / len(packed) * MICRO
    return found


def _calls(count: int, *, takes_number: bool) -> list[Any]:
    return [((number,) if takes_number else (), {}) for number in range(count)]


def _ending(lease: replies.Lease, note: str) -> replies.Ending:
    return replies.Ending(lease.id, lease.token, State.SUCCESSFUL, note=note, unique=head.unique_of(lease.body))


def _fields(finished: Any) -> dict[str, Any]:
    return {
        "event": "succeeded",
        "task": finished.job.task,
        "id": finished.ending.id,
        "run_ms": round(finished.ran * 1000, 1),
        "wait_ms": round(finished.waited * 1000, 1),
    }


def _best(work: Callable[[], object]) -> float:
    """Return the CPU of the fastest of some rounds, for each job; the others were disturbed."""
    seconds = []
    for _ in range(ROUNDS):
        before = time.process_time()
        work()
        seconds.append(time.process_time() - before)
    return min(seconds) / JOBS * MICRO
