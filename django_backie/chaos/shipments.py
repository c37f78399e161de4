"""What a producer commits: jobs of all kinds with their business rows, some of which are rolled back."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from . import tables, tasks
from .facts import Call, Order
from .kinds import KINDS
from .layout import QUEUES

UNIQUE_KEYS = 3
LARGEST = 14
LARGEST_BACKLOG = 4000
ROLLED_BACK, PARTLY, PRIORITISED, EXTENDING = 0.08, 0.12, 0.2, 0.8


class Undo(Exception):
    """Rolls a transaction or a savepoint back."""


def commit(dice: random.Random, before_push: Callable[[], None] | None = None) -> int:
    """Commit some jobs, or roll them back; answer how many were committed.

    ``before_push`` is called between the commit and the push.
    """
    count = dice.randint(1, LARGEST)
    kinds = dice.choices([*KINDS], [kind.weight for kind in KINDS.values()], k=count)
    luck = dice.random()
    with contextlib.suppress(Undo), transaction.atomic():
        if before_push is not None:
            transaction.on_commit(before_push)
        place(kinds, dice)
        if luck < PARTLY:
            with contextlib.suppress(Undo), transaction.atomic():
                place(dice.sample(kinds, 1), dice)
                raise Undo
        if luck > 1 - ROLLED_BACK:
            raise Undo
        return count
    return 0


def has_room() -> bool:
    """Tell whether the workers keep up; without a bound a long campaign would not be worked off at its end."""
    with connection.cursor() as cursor:
        return tables.backlog(cursor, LARGEST_BACKLOG + 1) <= LARGEST_BACKLOG


def place(kinds: list[str], dice: random.Random) -> None:
    """Enqueue one job of each kind, with its business row; those of one kind in one call."""
    counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
    calls = [call for kind, count in counts.items() if kind in _UNIQUE for call in _call_unique(kind, count, dice)]
    placed = [order for kind, count in counts.items() if kind not in _UNIQUE for order in _enqueue(kind, count, dice)]
    with connection.cursor() as cursor:
        tables.insert_orders(cursor, placed)
        tables.insert_calls(cursor, calls)


def _call_unique(kind: str, count: int, dice: random.Random) -> list[Call]:
    """Call with few keys, so that many calls get the handle of a job that is there, or take its place."""
    task = _UNIQUE[kind].using(queue_name=dice.choice(QUEUES))
    if kind == "settled" and dice.random() < EXTENDING:
        # So long that calls often move it, so short that it is often done.
        task = task.using(run_after=timedelta(seconds=dice.uniform(0.1, 0.7)))
    return [_call(task, f"key {dice.randrange(UNIQUE_KEYS)}", kind, dice) for _ in range(count)]


def _call(task: Any, key: str, kind: str, dice: random.Random) -> Call:
    at = time.monotonic()
    return Call(str(task.delay(key, round(dice.uniform(0.1, 0.5), 2)).id), key, kind, at)


def _enqueue(kind: str, count: int, dice: random.Random) -> list[Order]:
    calls = [_CALLS[kind](dice) for _ in range(count)]
    options: dict[str, Any] = {} if KINDS[kind].side else {"queue_name": dice.choice(QUEUES)}
    if dice.random() < PRIORITISED:
        options["priority"] = dice.randint(-10, 10)
    if kind == "scheduled":
        options["run_after"] = timedelta(seconds=dice.uniform(0.5, 6))
    expires = 0.0
    if kind == "perishable":
        seconds = dice.uniform(0.5, 4)
        options["expires"], expires = timedelta(seconds=seconds), time.monotonic() + seconds
    task = calls[0][0].using(**options)
    made = [task.delay(*calls[0][1])] if count == 1 else task.delay_many([arguments for _, arguments in calls])
    return [Order(str(result.id), kind, expires=expires) for result in made]


_UNIQUE = {"unique": tasks.unique, "latest": tasks.latest, "fresh": tasks.fresh, "settled": tasks.settled}
_CALLS: dict[str, Callable[[random.Random], tuple[Any, tuple[Any, ...]]]] = {
    "quick": lambda dice: (tasks.quick, (dice.randrange(1000),)),
    "swift": lambda dice: (tasks.swift, (dice.randrange(1000),)),
    "slow": lambda dice: (tasks.slow, (round(dice.uniform(0.1, 1.0), 2),)),
    "unsteady": lambda dice: (tasks.unsteady, (dice.randint(1, 3),)),
    "hopeless": lambda dice: (tasks.hopeless, ()),
    "scheduled": lambda dice: (tasks.quick, (dice.randrange(1000),)),
    "chain": lambda dice: (tasks.chain, ()),
    "effect": lambda dice: (tasks.effect, ()),
    "link": lambda dice: (tasks.link, ()),
    "limited": lambda dice: (tasks.limited, (round(dice.uniform(0.01, 0.1), 2),)),
    "perishable": lambda dice: (tasks.perishable, ()),
    "held": lambda dice: (tasks.held, ()),
    "revocable": lambda dice: (tasks.revocable, (round(dice.uniform(0.1, 0.8), 2),)),
    "poison": lambda dice: (tasks.poison, ()),
}
