"""Which of the calls with a unique key make a job, and which get the handle of the one that is there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections

from . import enqueue
from .core.unique import Unique, key_of_lock
from .exceptions import DuplicateJob
from .outbox import Entry
from .result import TaskResult

# Returns the handles of those of some keys that a job has.
Ask = Callable[[Sequence[str]], Mapping[str, TaskResult[Any]]]
# Returns the handle of a job of the open transaction.
Show = Callable[[Entry], TaskResult[Any]]


@dataclass(slots=True)
class Choice:
    """The entries that make jobs, their keys, and for each call either the number of its entry or another's handle."""

    new: list[Entry] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    places: list[int | TaskResult[Any]] = field(default_factory=list)

    def handles(self, made: Sequence[TaskResult[Any]]) -> list[TaskResult[Any]]:
        """Return a handle for each call, given those of the jobs that were made."""
        return [made[place] if isinstance(place, int) else place for place in self.places]


def choose(unique: Unique, entries: Sequence[Entry], alias: str, *, is_at_once: bool, ask: Ask, show: Show) -> Choice:
    """Return what becomes of calls, each of which has an entry with a key.

    The open transaction is looked at, where the jobs wait for its end, then Redis; what comes to Redis at the same time
    is told apart there. Where the later call counts, all of them are pushed, in their order.

    Raises:
        DuplicateJob: there is a job, and the task wants to know.
    """
    if unique.is_decided_in_redis:
        return Choice(new=[*entries], places=[*range(len(entries))])
    database = entries[0].job.database
    is_together = not is_at_once and connections[database].in_atomic_block
    keys = [key_of_lock(entry.job.unique) for entry in entries]
    names = [f"{alias}\0unique\0{key}" for key in keys]
    waiting = {key: enqueue.coalesced(name, database) for key, name in zip(keys, names, strict=True) if is_together}
    known: dict[str, int | TaskResult[Any]] = {key: show(entry) for key, entry in waiting.items() if entry}
    known |= ask([key for key in dict.fromkeys(keys) if key not in known])
    choice = Choice()
    for index, (entry, key, name) in enumerate(zip(entries, keys, names, strict=True)):
        if key not in known:
            known[key] = len(choice.new)
            choice.new.append(entry)
            choice.keys += [name] if is_together else []
        elif unique.conflict == "raise":
            survivor = known[key]
            raise duplicate(entry, choice.new[survivor].job.id if isinstance(survivor, int) else survivor.id, index)
        choice.places.append(known[key])
    return choice


def duplicate(entry: Entry, survivor: str, index: int) -> DuplicateJob:
    """Return the error of a call whose job there is."""
    msg = (
        f"{entry.job.task}: call {index} is a duplicate of job {survivor}, which has the same unique key; wait for its "
        "end, or let the task be unique with conflict='ignore', which returns the handle of that job"
    )
    return DuplicateJob(msg, survivor=survivor, index=index)
