"""What a campaign strikes at, and what it has done to it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..exceptions import BackieError
from .database import Database
from .facts import Outages
from .plan import Strike
from .processes import Program
from .server import Server
from .servers import Servers

WIPING = {"redis-empty", "flushall", "failover", "aof-tail"}
LOCKING = {"database-down", "stop-child", "stop-tree"}
# What takes one housekeeping process away, and for how many seconds after it has been done.
SILENCING = {"kill-duties", "kill-parent", "kill-tree", "term", "term-twice", "stop-tree"}
COMES_BACK = 3.0


class NoVictim(BackieError):
    """There is nothing to strike at now."""


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that was done. Times are monotonic seconds; ``victims`` are pids."""

    name: str
    at: float
    until: float
    victims: tuple[int, ...] = ()

    def line(self) -> str:
        """Return the fault as a line of a log, beside which the workers' logs can be read."""
        wall = time.strftime("%H:%M:%S", time.localtime(time.time() - time.monotonic() + self.at))
        return (
            f"{wall} {self.at:.3f} {self.until - self.at:6.3f} s  {self.name:<18} {' '.join(map(str, self.victims))}\n"
        )


@dataclass(slots=True)
class Stage:
    """What may be struck at. ``over`` ends every fault that lasts."""

    servers: Servers
    database: Database
    workers: Sequence[Program]
    producer: Program
    over: threading.Event = field(default_factory=threading.Event)
    # Of the server: who kills it, and who starts it, must not meet.
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def server(self) -> Server:
        """Return the server that is master now."""
        return self.servers.master


Act = Callable[[Stage, Strike], Sequence[int]]


def outages(struck: Sequence[Struck], hosts: int) -> Outages:
    """Return when Redis lost its memory, and when the database may have taken no writes or had nobody to write."""
    # A stopped process may hold the lock that all others wait for.
    locked = [(fault.at, fault.until) for fault in struck if fault.name in LOCKING]
    silenced = [(fault.at, fault.until + COMES_BACK) for fault in struck if fault.name in SILENCING]
    return Outages(
        wipes=tuple((fault.at, fault.until) for fault in struck if fault.name in WIPING),
        unwritable=(*locked, *_common(silenced, hosts)),
    )


def _common(spans: Sequence[tuple[float, float]], depth: int) -> Iterator[tuple[float, float]]:
    """Yield the spans of time in which at least so many of the given ones overlap."""
    changes = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
    count, began = 0, 0.0
    for at, change in changes:
        if count == depth and change < 0:
            yield began, at
        count += change
        if count == depth and change > 0:
            began = at


def heal(stage: Stage) -> None:
    """Undo what faults may have left, whatever was interrupted."""
    stage.over.set()
    stage.servers.heal()
    stage.database.bring_up()
    for worker in stage.workers:
        worker.send_tree(signal.SIGCONT)
