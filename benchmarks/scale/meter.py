"""What a call costs a Redis server of our own, and jobs and a worker to make calls with."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from django_backie.broker.redis import MOST_AT_ONCE, RedisBroker
from django_backie.broker.replies import Ending, Lease
from django_backie.conf import Config
from django_backie.core import codec, ids
from django_backie.core.job import Job, Packed
from django_backie.core.signer import Signer
from django_backie.core.states import State

from .own_redis import OwnRedis

NOTE = '{"n":1,"w":"host-1:4121.1:0a1b2c3d.0","s":1700000000.123,"e":1700000000.456,"o":"succeeded","v":"null"}'
SIGNER = Signer.of(["a secret"])
DAY = timedelta(days=1)


class Meter:
    """Prints what calls cost the server; gives each part an empty namespace on it."""

    def __init__(self, server: OwnRedis, *, quick: bool) -> None:
        self.server = server
        self.rounds, self.calls, self.seconds = (2, 30, 3.0) if quick else (5, 200, 10.0)
        self.large = 100_000 if quick else 1_000_000

    def broker(self) -> RedisBroker:
        """Return a broker on an empty server; nobody's lease lapses while we measure."""
        self.server.client.flushall()
        broker = RedisBroker(Config(alias="default", url=self.server.url, namespace="backie:default", lease=3600.0))
        broker.join("w")
        return broker

    def cost(
        self, what: str, call: Callable[[], object], before: Callable[[], object] = lambda: None, of: int = 1
    ) -> None:
        """Print the CPU of a call, shared out among the jobs that it is about; ``before`` prepares it, not counted."""
        before()
        call()
        best = min(self._round(call, before) for _ in range(self.rounds))
        each = f"{best / of * 1e6:10.1f} us a job" if of > 1 else ""
        print(f"{what:<68} {best * 1e6:10.1f} us {each}", flush=True)

    def _round(self, call: Callable[[], object], before: Callable[[], object]) -> float:
        used, spent, count = 0.0, 0.0, 0
        # What takes milliseconds needs fewer repetitions than what takes microseconds.
        while count < self.calls and (spent < 1.0 or count < 3):
            before()
            begun = time.monotonic()
            used += self._used_by(call)
            spent += time.monotonic() - begun
            count += 1
        return used / count

    def _used_by(self, call: Callable[[], object]) -> float:
        begun = self.server.cpu()
        call()
        ended = self.server.cpu()
        # Asking costs something too: as much as it does when nothing happens in between.
        return (ended - begun) - (self.server.cpu() - ended)


def expect(*, that: bool, otherwise: str) -> None:
    """Stop where something else was measured than what the figure says."""
    if not that:
        raise RuntimeError(otherwise)


def packed(count: int, queues: Iterator[str] | None = None) -> list[Packed]:
    """Return jobs with bodies as the codec writes them, shared out among queues."""
    names = queues or itertools.repeat("default")
    jobs = (Job(ids.new_key(), "shop.tasks.confirm", next(names), kwargs={"order": 123456}) for _ in range(count))
    return [codec.pack(job, SIGNER, 128 * 1024) for job in jobs]


def fill(broker: RedisBroker, count: int, queues: Iterator[str] | None = None) -> None:
    """Enqueue many jobs."""
    for start in range(0, count, MOST_AT_ONCE):
        broker.enqueue(packed(min(MOST_AT_ONCE, count - start), queues))


class Busy:
    """A worker that always ends what it holds and takes as much again, and someone who enqueues as much."""

    def __init__(self, broker: RedisBroker, size: int, queues: Iterator[str] | None = None) -> None:
        self.broker, self.size, self.queues = broker, size, queues
        self.leases: list[Lease] = []

    def produce(self) -> None:
        """Enqueue as many jobs as a turn takes."""
        self.broker.enqueue(packed(self.size, self.queues))

    def turn(self) -> None:
        """End all jobs in hand and take others."""
        self.leases = self.broker.turn("w", self._endings(), self.size).leases
        expect(that=len(self.leases) == self.size, otherwise=f"{len(self.leases)} jobs of {self.size}")

    def finish(self) -> None:
        """Enqueue, take and end a turn's jobs: they wait for the mirror only."""
        self.produce()
        self.turn()
        self.broker.turn("w", self._endings())
        self.leases = []

    def clear(self) -> None:
        """Let everything be mirrored; what has ended leaves Redis."""
        while found := self.broker.take(1000):
            self.broker.done({snapshot.id: snapshot.version for snapshot in found})

    def mirror(self) -> None:
        """Let the oldest changes be mirrored."""
        found = {snapshot.id: snapshot.version for snapshot in self.broker.take(self.size)}
        expect(that=len(found) == self.size, otherwise=f"{len(found)} changes of {self.size}")
        self.broker.done(found)

    def _endings(self) -> list[Ending]:
        return [Ending(lease.id, lease.token, State.SUCCESSFUL, note=NOTE) for lease in self.leases]
