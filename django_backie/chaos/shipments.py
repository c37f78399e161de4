"""What a producer commits: jobs of all kinds with their business rows, some of which are rolled back."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from . import tables, tasks
from .facts import Order
from .kinds import KINDS
from .layout import QUEUES

LARGEST = 14
LARGEST_BACKLOG = 4000
ROLLED_BACK, PARTLY, PRIORITISED = 0.08, 0.12, 0.2


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
    placed = [Order(job, kind) for kind in dict.fromkeys(kinds) for job in _enqueue(kind, kinds.count(kind), dice)]
    with connection.cursor() as cursor:
        tables.insert_orders(cursor, placed)


def _enqueue(kind: str, count: int, dice: random.Random) -> list[str]:
    calls = [_CALLS[kind](dice) for _ in range(count)]
    options: dict[str, Any] = {"queue_name": dice.choice(QUEUES)}
    if dice.random() < PRIORITISED:
        options["priority"] = dice.randint(-10, 10)
    if kind == "scheduled":
        options["run_after"] = timedelta(seconds=dice.uniform(0.5, 6))
    task = calls[0][0].using(**options)
    if count == 1:
        return [str(task.delay(*calls[0][1]).id)]
    return [str(result.id) for result in task.delay_many([arguments for _, arguments in calls])]


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
    "poison": lambda dice: (tasks.poison, ()),
}
