"""How each fault is done: to the campaign's own processes, server and database only."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence

from django.db import DatabaseError

from ..exceptions import BrokerError
from . import on_redis, on_workers
from .plan import Strike
from .processes import children
from .stage import Act, NoVictim, Stage, Struck

# How long a strike looks for a victim: a worker that has been killed is not there at once.
SEARCH, PAUSE = 1.5, 0.15


def strike(stage: Stage, planned: Strike) -> Struck | None:
    """Do a planned fault, and undo what lasts; None when there was no victim, or the campaign ended before."""
    act = ACTS[planned.fault.name]
    deadline = time.monotonic() + SEARCH
    while True:
        at = time.monotonic()
        try:
            victims = act(stage, planned)
        except (NoVictim, ProcessLookupError, BrokerError, DatabaseError):
            if time.monotonic() > deadline or stage.over.wait(PAUSE):
                return None
        else:
            return Struck(planned.fault.name, at, time.monotonic(), tuple(victims))


def _database_down(stage: Stage, planned: Strike) -> Sequence[int]:
    stage.database.take_down()
    stage.over.wait(planned.lasts)
    stage.database.bring_up()
    return ()


def _signal_producer(name: str) -> Act:
    def act(stage: Stage, planned: Strike) -> Sequence[int]:
        pids = children(stage.producer.pid) if stage.producer.pid else []
        if not pids:
            raise NoVictim
        victim = pids[min(int(planned.pick * len(pids)), len(pids) - 1)]
        # By name: Windows does not have them all, and the command must be importable there.
        os.kill(victim, signal.Signals[name])
        return (victim,)

    return act


ACTS: dict[str, Act] = {
    "kill-child": on_workers.kill_child,
    "kill-duties": on_workers.kill_duties,
    "kill-parent": on_workers.kill_parent,
    "kill-tree": on_workers.kill_tree,
    "term": on_workers.term,
    "term-twice": on_workers.term_twice,
    "stop-child": on_workers.stop_child,
    "stop-tree": on_workers.stop_tree,
    "redis-freeze": on_redis.freeze,
    "redis-kill": on_redis.restart,
    "redis-empty": on_redis.restart_empty,
    "flushall": on_redis.flush_all,
    "script-flush": on_redis.flush_scripts,
    "cut": on_redis.cut,
    "full": on_redis.fill,
    "aof-tail": on_redis.lose_tail,
    "disk-full": on_redis.fill_disk,
    "failover": on_redis.fail_over,
    "half-open": on_redis.hold_both,
    "no-replies": on_redis.lose_replies,
    "slow-network": on_redis.slow_down,
    "database-down": _database_down,
    "kill-producer": _signal_producer("SIGKILL"),
    "die-after-commit": _signal_producer("SIGUSR1"),
    "poison": _signal_producer("SIGUSR2"),
}
