"""A broker whose server's clock the tests set, and a look at all that it keeps in Redis."""

from __future__ import annotations

import functools
from dataclasses import replace
from hashlib import sha1
from typing import Any

import redis

from django_backie.broker import replies, scripts
from django_backie.broker.redis import RedisBroker
from django_backie.conf import Config

from .reference import START

ASKING_THE_SERVER = "redis.call('TIME')"
ASKING_THE_TEST = "redis.call('HMGET', prefix .. 'clock', 'seconds', 'micros')"


@functools.cache
def clocked(name: str) -> scripts.Script:
    """Return a script that takes the time from the test; nothing else of it is changed."""
    script = scripts.load(name)
    source = script.source.replace(ASKING_THE_SERVER, ASKING_THE_TEST)
    return replace(script, source=source, sha=sha1(source.encode(), usedforsecurity=False).hexdigest())


class ClockedBroker(RedisBroker):
    """The broker on a server whose clock stands still until it is set. ``now`` is milliseconds."""

    def __init__(self, config: Config, client: redis.Redis) -> None:
        super().__init__(config, client)
        self.now = START

    @property
    def now(self) -> int:
        return self._now

    @now.setter
    def now(self, now: int) -> None:
        self._now = now
        micros = now % 1000 * 1000 + 999  # less than a millisecond, so it must not count
        self.client.hset(self.keys["clock"], mapping={"seconds": now // 1000, "micros": micros})

    def _run(self, verb: str, rest: list[Any], /, **named: Any) -> Any:
        return clocked(verb).call(self.client, self.keys, rest, **named)

    def clear(self) -> None:
        """Delete the namespace."""
        keys = list(self.client.scan_iter(f"{self.keys.prefix}*", count=1000))
        self.client.delete(self.keys["clock"], *keys)


def view(
    broker: ClockedBroker, queues: list[str], workers: list[str], limits: list[str], lines: list[str]
) -> dict[str, Any]:
    """Return everything that Redis keeps, in the form of ``Reference.view``.

    Of queues, workers, keys of limits and lines of groups, that of those which are named.
    """
    keys = broker.keys
    pipe = broker.client.pipeline(transaction=False)
    for name in ("b", "h", "f", "wi", "pr", "p", "u", "lj", "lw", "lm"):
        pipe.hgetall(keys[name])
    for name in ("s", "w", "d", "x", "e", "g", "a", "lr", "lh", "la", "lt", "ga"):
        pipe.zrange(keys[name], 0, -1, withscores=True)
    pipe.smembers(keys["qs"])
    pipe.smembers(keys["ws"])
    pipe.get(keys["clk"])
    pipe.get(keys["epoch"])
    markers = ["k", "kn", *(f"k:{queue}" for queue in queues)]
    for name in markers:
        pipe.exists(keys[name])
    for queue in queues:
        pipe.zrange(keys.queue(queue), 0, -1)
    for worker in workers:
        pipe.hgetall(keys.held(worker))
    for kind, look in (("ls", pipe.smembers), ("lp", lambda key: pipe.zrange(key, 0, -1))):
        for key in limits:
            look(keys[f"{kind}:{key}"])
    for line in lines:
        pipe.zrange(keys[f"gl:{line}"], 0, -1)
    bodies, records, own, infos, progress, paused, unique, slots, parked, measures, *rest = pipe.execute()
    waiting, leases, marks, expiring, tombstones, over, askings, buckets, held_limits, looks, measured, *rest = rest
    fair_looks, *rest = rest
    known, stopping, last_tick, epoch, *rest = rest
    here, rest = rest[: len(markers)], rest[len(markers) :]
    ready, rest = rest[: len(queues)], rest[len(queues) :]
    held, rest = rest[: len(workers)], rest[len(workers) :]
    holders, rest = rest[: len(limits)], rest[len(limits) :]
    lined_up, groups = rest[: len(limits)], rest[len(limits) :]
    return {
        "bodies": bodies,
        "records": {job_id: replies.record(text) for job_id, text in records.items()},
        "ready": {queue: ids for queue, ids in zip(queues, ready, strict=True) if ids},
        "waiting": dict(waiting),
        "own places": own.keys(),
        "held": {
            job_id: (worker, int(hold.split("|")[0]), hold.split("|")[1])
            for worker, holds in zip(workers, held, strict=True)
            for job_id, hold in holds.items()
        },
        "leases": dict(leases),
        "infos": infos,
        "stopping": stopping,
        "marks": dict(marks),
        "progress": progress,
        "expiring": dict(expiring),
        "tombstones": dict(tombstones),
        "over": dict(over),
        "queues": known,
        "markers": {name for name, there in zip(markers, here, strict=True) if there},
        "askings": dict(askings),
        "last tick": None if last_tick is None else int(last_tick),
        "epoch": epoch,
        "pauses": {queue: replies.pause(text) for queue, text in paused.items()},
        "keys": {key: (held.partition("|")[0], int(held.partition("|")[2] or 0)) for key, held in unique.items()},
        "slots": slots,
        "slots by key": {key: {*ids} for key, ids in zip(limits, holders, strict=True) if ids},
        "measures": {key: tuple(map(int, text.split("|"))) for key, text in measures.items()},
        "measured": dict(measured),
        "buckets": dict(buckets),
        "held limits": dict(held_limits),
        "parked": {job_id: place.partition("|")[0] for job_id, place in parked.items()},
        "lines": {key: {*ids} for key, ids in zip(limits, lined_up, strict=True) if ids},
        "looks": dict(looks),
        "groups": {line: ids for line, ids in zip(lines, groups, strict=True) if ids},
        "fair looks": dict(fair_looks),
    }
