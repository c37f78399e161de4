"""What the tests of the broker share: jobs, workers, and a way to move time by moving what is kept in Redis."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

from django_backie.broker import scripts
from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Ending, Lease, Record, Turn
from django_backie.core.job import Packed
from django_backie.core.states import State

HOUR = 3600.0
WORKER = "w1"
NOTE = '{"n":1,"w":"w1","s":1.0,"e":2.0,"o":"failed"}'


def job(
    job_id: str,
    queue: str = "default",
    priority: int = 0,
    run_after: float | None = None,
    envelope: str = "{}",
    unique: str = "",
    limits: str = "",
    group: str = "",
    task: str = "",
    ageing: int = 0,
) -> Packed:
    """Return a job as the broker takes it; the scripts read a body's head, and what opens its envelope."""
    # The scripts look for what ends with a comma: in a body, a task always follows.
    fields = (("u", unique), ("l", limits), ("i", group), ("p", ageing), ("t", task or ("task" if ageing else "")))
    opening = ",".join(f'"{key}":{value}' if key == "p" else f'"{key}":"{value}"' for key, value in fields if value)
    envelope = f"{{{opening}}}" if opening else envelope
    version = "1" + "f" * bool(group) + "l" * bool(limits) + "p" * bool(ageing)
    return Packed(job_id, queue, priority, f"{version}\n{queue}\n{priority}\nsignature\n{envelope}", run_after, unique)


def jobs(ids: Iterable[str], **values: Any) -> list[Packed]:
    """Return one job for each id."""
    return [job(job_id, **values) for job_id in ids]


def without_mirror(broker: RedisBroker) -> RedisBroker:
    """Return a broker of the same namespace whose configuration names no database."""
    return RedisBroker(replace(broker.config, databases=()), broker.client)


def claim(broker: RedisBroker, limit: int = 1, worker: str = WORKER, **options: Any) -> list[Lease]:
    """Join as a worker and take jobs."""
    broker.join(worker)
    return broker.turn(worker, limit=limit, **options).leases


def ids_of(leases: Iterable[Lease]) -> list[str]:
    """Return the ids of leases, in order."""
    return [lease.id for lease in leases]


def order(broker: RedisBroker, limit: int = 100, **options: Any) -> list[str]:
    """Return the ids in the order in which a worker gets the ready jobs."""
    return ids_of(claim(broker, limit, worker="order", **options))


def end(broker: RedisBroker, lease: Lease, state: State = State.SUCCESSFUL, worker: str = WORKER, **values: Any) -> str:
    """End an attempt and return the answer."""
    return broker.turn(worker, [Ending(lease.id, lease.token, state, **values)]).answers[0]


def run(broker: RedisBroker, job_id: str, state: State = State.SUCCESSFUL, **values: Any) -> None:
    """Enqueue a job, claim it and end its attempt."""
    broker.enqueue([job(job_id)])
    (lease,) = claim(broker)
    assert lease.id == job_id
    assert end(broker, lease, state, **values) == "OK"


def record(broker: RedisBroker, job_id: str) -> Record:
    """Return what Redis knows of a job."""
    return broker.inspect([job_id])[job_id].record


def marked(broker: RedisBroker) -> dict[str, int]:
    """Return the version of each job that waits to be mirrored."""
    return {snapshot.id: snapshot.version for snapshot in broker.take(1000)}


def make_due(broker: RedisBroker, *ids: str) -> None:
    """Make waiting jobs due, as if their time had come; the first named was due first."""
    for at, job_id in enumerate(ids, 1):
        assert broker.client.zadd(broker.keys["s"], {job_id: at}, xx=True, ch=True) == 1, f"{job_id} does not wait"


def lapse(broker: RedisBroker, worker: str = WORKER) -> None:
    """End a worker's lease, as if it had not been renewed."""
    assert broker.client.zadd(broker.keys["w"], {worker: 1}, xx=True, ch=True) == 1, f"{worker} has no lease"


def lose(broker: RedisBroker, worker: str = WORKER, started: Iterable[str] = ()) -> int:
    """Let a worker die."""
    return broker.bury(worker, started)


def now_ms(broker: RedisBroker) -> int:
    """Return the server's clock in milliseconds."""
    seconds, micros = broker.client.time()
    return seconds * 1000 + micros // 1000


def far_future() -> float:
    """Return a time at which no test runs any more."""
    return time.time() + HOUR


def far_version(broker: RedisBroker) -> int:
    """Return a version that no job has yet."""
    return now_ms(broker) + 1_000_000


def vanish(broker: RedisBroker, worker: str = WORKER) -> None:
    """Let a worker's lease lapse and be noticed: nobody has seen it die, or knows what it had started."""
    lapse(broker, worker)
    broker.client.delete(broker.keys["clk"])
    assert broker.tick().buried == 1


def woken(listener: Listener, seconds: float = 0.01) -> bool:
    """Wait for a marker and take no jobs; tell whether there was one."""
    return listener._client.bzpopmin(listener.markers(), seconds) is not None


def taken(turn: Turn | None) -> list[Lease]:
    """Return the jobs that came with a turn; the server must have known the script."""
    assert turn is not None
    return turn.leases


@contextmanager
def forgotten(name: str) -> Iterator[None]:
    """Ask for a script under a hash that no server knows: to flush the scripts would disturb who shares the server."""
    load = scripts.load

    def unknown(wanted: str) -> scripts.Script:
        script = load(wanted)
        return replace(script, sha="0" * 40) if wanted == name else script

    with mock.patch.object(scripts, "load", unknown):
        yield
