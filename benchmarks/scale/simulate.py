"""What each verb costs a Redis server, and what a thousand workers cost it that have nothing to do.

    python -m benchmarks.scale.simulate [--quick] [--only PART ...]

A server of our own (redis-server on PATH) is started on one core. All figures are its CPU, user and system, by INFO:
the client's speed does not matter, nor what else the machine does. The smallest of some rounds is shown.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from collections.abc import Callable, Iterator, Sequence

from django.conf import settings

from django_backie.broker import epoch
from django_backie.broker.redis import RedisBroker

from .fleet import Plan, command, connections, play, schedules
from .meter import Busy, Meter, expect, fill, packed
from .own_redis import own_redis

QUEUES, WAITERS = (1, 10, 100, 1000), (0, 100, 1000)
CHILDREN, PER_PARENT = 1000, (1, 2, 4)
BATCH, PAGE = 100, 500
# The commands that workers send; those inside of scripts are counted too.
SENT = {"cmdstat_evalsha", "cmdstat_info", "cmdstat_bzpopmin"}


def name_of(worker: int) -> str:
    """Return a worker's name, as long as they are."""
    return f"host-{worker:03}:4121.1:0a1b2c3d.0"


def verbs(meter: Meter) -> None:
    """Single calls that workers make though there is no work, and the stations of a job."""
    broker = meter.broker()
    _idle_verbs(meter, broker, [name_of(number) for number in range(4)])
    one, many = Busy(broker, 1), Busy(broker, BATCH)
    meter.cost("enqueue 1", one.produce)
    meter.cost(f"enqueue {BATCH}", many.produce, of=BATCH)
    meter.cost("turn: end 1, claim 1", one.turn, one.produce)
    meter.cost(f"turn: end {BATCH}, claim {BATCH}", many.turn, many.produce, of=BATCH)
    page = Busy(meter.broker(), PAGE)
    meter.cost(f"mirror {PAGE} that have ended (take, done)", page.mirror, page.finish, of=PAGE)
    page.finish()
    meter.cost(f"take {PAGE}, as each mirror does", lambda: page.broker.take(PAGE), of=PAGE)


def _idle_verbs(meter: Meter, broker: RedisBroker, names: list[str]) -> None:
    for name in names:
        broker.join(name)
    meter.cost("join", lambda: broker.join(names[0], '{"pid": 4121, "queues": [], "mode": "all"}'))
    for count in range(1, len(names) + 1):
        started: dict[str, list[str]] = {name: [] for name in names[:count]}
        meter.cost(f"renew, {count} children", lambda started=started: broker.renew(started))
    meter.cost("tick within 0.9 s of another's", broker.tick)
    meter.cost("tick", lambda: broker.tick(0))
    meter.cost("turn that finds nothing", lambda: broker.turn("w", limit=8))
    meter.cost("take that finds nothing", lambda: broker.take(PAGE))
    meter.cost("look at the epoch", lambda: epoch.look(broker))


def idle(meter: Meter) -> None:
    """All that idle workers send, each from connections of its own and at its own pace, for some seconds."""
    for per_parent in PER_PARENT:
        broker = meter.broker()
        with connections(schedules(broker, CHILDREN // per_parent, per_parent), meter.server.port) as plan:
            play(plan, time.monotonic() + 6)
            share, rate = min(_share(meter, plan) for _ in range(2))
            what = (
                f"{CHILDREN} children, {per_parent} to a parent: {len(plan.sockets)} connections, {rate:.0f} commands/s"
            )
        print(f"{what:<68} {share * 100:10.1f} % of a core, {share / CHILDREN * 1e6:.0f} us/s a child", flush=True)


def _share(meter: Meter, plan: Plan) -> tuple[float, float]:
    """Return the part of a core that the server uses, and the commands per second."""
    meter.server.client.config_resetstat()
    used, begun = meter.server.cpu(), time.monotonic()
    play(plan, begun + meter.seconds)
    used, passed = meter.server.cpu() - used, time.monotonic() - begun
    found = meter.server.client.info("commandstats")
    failed = {name: entry for name, entry in found.items() if entry["failed_calls"] or entry["rejected_calls"]}
    expect(that=not failed, otherwise=f"the server refused: {failed}")
    return used / passed, sum(entry["calls"] for name, entry in found.items() if name in SENT) / passed


def waking(meter: Meter) -> None:
    """Enqueue while so many connections block for work."""
    for waiters, size in itertools.product(WAITERS, (1, BATCH)):
        broker = meter.broker()
        wait = command("BZPOPMIN", broker.keys.marker(None), 0)
        with connections([[(1.0, wait)]] * waiters, meter.server.port) as plan:
            _wake(meter, Busy(broker, size), plan, wait)


def _wake(meter: Meter, busy: Busy, plan: Plan, wait: bytes) -> None:
    waiting, woken = len(plan.sockets), [0]
    for opened in plan.sockets.values():
        opened.send(wait)

    def rearm() -> None:
        # Nobody waits in vain: what was sent before a PING has been done when it is answered.
        busy.broker.client.ping()
        found = plan.answered()
        woken.append(len(found))
        for number in found:
            plan.sockets[number].send(wait)
        busy.broker.client.ping()

    meter.cost(f"enqueue {busy.size}, {waiting} wait", busy.produce, rearm, of=busy.size)
    print(f"  woken by a call: {max(woken)} at most", flush=True)


def queues(meter: Meter) -> None:
    """A turn of a worker that serves all queues, by how many there are and where the jobs stand."""
    for count in QUEUES:
        names = [f"queue-{number}" for number in range(count)]
        broker = _knowing(meter.broker(), names)
        meter.cost(
            f"{count} queues, all empty: turn that finds nothing", lambda broker=broker: broker.turn("w", limit=8)
        )
        _turns(meter, f"{count} queues, jobs in one of them", names, itertools.repeat(names[0]))
        _turns(meter, f"{count} queues, jobs in all of them in turn", names, itertools.cycle(names))


def _turns(meter: Meter, what: str, names: list[str], line: Iterator[str]) -> None:
    busy = Busy(_knowing(meter.broker(), names), BATCH, line)
    fill(busy.broker, 5000, line)
    meter.cost(f"{what}: end and claim {BATCH}", busy.turn, busy.produce, of=BATCH)


def _knowing(broker: RedisBroker, names: list[str]) -> RedisBroker:
    broker.client.sadd(broker.keys["qs"], *names)
    return broker


def depth(meter: Meter) -> None:
    """Verbs before many queued jobs, and the memory these take."""
    for count in (meter.large // 100, meter.large):
        broker = meter.broker()
        _memory(meter, broker, f"{count} queued", count, lambda broker=broker, count=count: fill(broker, count))
        _stations(meter, Busy(broker, BATCH), f"{count} queued")
        meter.cost(f"{count} queued: tick", lambda broker=broker: broker.tick(0))
        _pages(meter, broker)
        broker.client.delete(broker.keys["d"])
        parts = max(1, count // 1000)
        _memory(
            meter, broker, f"{parts * BATCH} of them running", parts * BATCH, lambda b=broker, p=parts: _claim(b, p)
        )


def _stations(meter: Meter, busy: Busy, what: str) -> None:
    """Measure the stations of jobs while as many go as come."""
    busy.turn()
    meter.cost(f"{what}: enqueue {BATCH}", busy.produce, lambda: (busy.turn(), busy.clear()), of=BATCH)
    meter.cost(f"{what}: end and claim {BATCH}", busy.turn, lambda: (busy.produce(), busy.clear()), of=BATCH)


def _memory(meter: Meter, broker: RedisBroker, what: str, jobs: int, work: Callable[[], object]) -> None:
    before = meter.server.memory()
    work()
    marked = (meter.server.memory() - before) / jobs
    # As it is when the rows have been written: all that "done" takes from a job that goes on is its mark.
    broker.client.delete(broker.keys["d"])
    mirrored = (meter.server.memory() - before) / jobs
    print(f"{what:<68} {marked:+10.0f} B a job, {mirrored:+.0f} B once mirrored", flush=True)


def _claim(broker: RedisBroker, workers: int) -> None:
    for name in map(name_of, range(workers)):
        broker.join(name)
        found = len(broker.turn(name, limit=BATCH).leases)
        expect(that=found == BATCH, otherwise=f"{found} jobs of {BATCH}")


def _pages(meter: Meter, broker: RedisBroker) -> None:
    used = meter.server.cpu()
    sizes = [len(page) for page in broker.present_pages()]
    used = meter.server.cpu() - used
    what = f"the ids of {sum(sizes)} jobs in pages of {max(sizes)} at most"
    print(f"{what:<68} {used * 1000:10.0f} ms, {used / len(sizes) * 1e6:.0f} us a page", flush=True)


def workers(meter: Meter) -> None:
    """Verbs that look at every worker."""
    for count in (1, CHILDREN):
        broker = meter.broker()
        for name in map(name_of, range(count)):
            broker.join(name)
        meter.cost(f"{count} workers: tick", lambda broker=broker: broker.tick(0))
        _erase(meter, broker, count)


def _erase(meter: Meter, broker: RedisBroker, count: int) -> None:
    made: list[str] = []

    def make() -> None:
        jobs = packed(BATCH)
        broker.enqueue(jobs)
        made[:] = [job.id for job in jobs]

    meter.cost(f"{count} workers: erase {BATCH} jobs", lambda: broker.erase(made), make, of=BATCH)


PARTS: dict[str, Callable[[Meter], None]] = {
    part.__name__: part for part in (verbs, idle, waking, queues, depth, workers)
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, and 100,000 jobs for a million")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=[*PARTS], metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args(arguments)
    settings.configure()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with own_redis() as server:
        meter = Meter(server, quick=options.quick)
        print(f"Redis {server.version}, CPU of the server")
        for name in options.only:
            print(f"\n{name}: {PARTS[name].__doc__}", flush=True)
            PARTS[name](meter)


if __name__ == "__main__":
    main()
