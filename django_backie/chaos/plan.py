"""What strikes when: drawn from a seed, so that a campaign can be repeated."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

PER_SECOND = 3.8
# Between two faults of one resource it must have worked for a moment, or they would be one.
GAP = 0.7


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault: how often it comes among the others, how many seconds it lasts, and what it takes away.

    Faults that take away the same resource do not overlap.
    """

    name: str
    weight: float
    text: str
    lasts: tuple[float, float] = (0.0, 0.0)
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault at its time. ``at`` and ``lasts`` are seconds; ``pick``, from 0 to 1, chooses the victim."""

    at: float
    fault: Fault
    lasts: float
    pick: float


# Stopped longer than the lease of the campaign (``layout.LEASE``), so that it lapses.
_LAPSE = (3.5, 6.0)

SHORT = (
    Fault("kill-child", 22, "kill -9 of a worker process"),
    Fault("kill-duties", 3, "kill -9 of a housekeeping process"),
    Fault("kill-parent", 3, "kill -9 of a parent process"),
    Fault("kill-tree", 4, "kill -9 of a parent and all its children"),
    Fault("term", 3, "SIGTERM"),
    Fault("term-twice", 3, "SIGTERM, and again before the jobs have ended"),
    Fault("stop-child", 4, "SIGSTOP of a worker process for longer than the lease", _LAPSE),
    Fault("stop-tree", 3, "SIGSTOP of a whole tree for longer than the lease", _LAPSE),
    Fault("redis-freeze", 1.5, "Redis stands still", (0.3, 4.0), "redis"),
    Fault("redis-kill", 2.5, "Redis is killed and starts again with its data", (0.1, 1.2), "redis"),
    Fault("redis-empty", 2.5, "Redis is killed and starts again empty", (0.1, 1.2), "redis"),
    Fault("flushall", 2, "FLUSHALL", resource="redis"),
    Fault("script-flush", 12, "SCRIPT FLUSH"),
    Fault("cut", 14, "CLIENT KILL of all connections"),
    Fault("full", 1.5, "Redis is out of memory", (0.5, 3.0), "redis"),
    Fault("database-down", 2.5, "the database refuses everybody (SQLite: is locked)", (0.5, 3.0), "database"),
    Fault("kill-producer", 6, "kill -9 of a process that enqueues"),
    Fault("die-after-commit", 10, "the producer dies between COMMIT and the push"),
    Fault("poison", 3, "a job that kills whatever process runs it"),
)
# These need a replica, and a network between workers and Redis.
LONG = (
    *SHORT,
    Fault("half-open", 0.8, "the network delivers nothing, and then all of it late", (0.3, 7.0), "network"),
    Fault("no-replies", 0.8, "requests arrive, their replies are lost", (0.3, 7.0), "network"),
    Fault("slow-network", 1, "every packet comes late", (1.0, 4.0), "network"),
    Fault("failover", 1, "a replica that lacks the last writes becomes master", (0.1, 1.5), "redis"),
    Fault("aof-tail", 1, "Redis is killed and loses the end of its append-only file", (0.1, 1.0), "redis"),
    Fault("disk-full", 0.8, "Redis cannot write to its append-only file", (0.5, 3.0), "redis"),
)
ALL = {fault.name: fault for fault in LONG}
NEED_NETWORK = {fault.name for fault in LONG} - {fault.name for fault in SHORT}


def draw(seed: int, seconds: float, faults: Sequence[Fault], per_second: float = PER_SECOND) -> tuple[Strike, ...]:
    """Return the strikes of a campaign, in order. The same arguments give the same strikes."""
    dice = random.Random(seed)  # noqa: S311 - to be repeatable is what it is for
    count = round(seconds * per_second)
    busy: dict[str, float] = {}
    strikes = []
    for number in range(count):
        at = (number + dice.random()) * seconds / count
        free = [fault for fault in faults if busy.get(fault.resource, 0.0) <= at]
        luck, pick = dice.random(), dice.random()
        if not free:
            continue
        fault = dice.choices(free, [fault.weight for fault in free])[0]
        lasts = round(fault.lasts[0] + luck * (fault.lasts[1] - fault.lasts[0]), 3)
        if fault.resource:
            busy[fault.resource] = at + lasts + GAP
        strikes.append(Strike(round(at, 3), fault, lasts, pick))
    return tuple(strikes)
