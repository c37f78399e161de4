"""Take jobs in: now, or when the transaction of their database commits.

All jobs of a transaction are pushed as one. Every call registers two callbacks: one that marks its jobs as surviving (a
savepoint that is rolled back drops it) and one, bound to no savepoint, that pushes what has been marked. Of the latter
only the last one of a transaction acts, so that nothing has to be moved about in Django's list of callbacks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, transaction

from . import outbox
from .broker.redis import RedisBroker
from .core.options import Durability
from .exceptions import BrokerUnavailable
from .outbox import Entry

logger = logging.getLogger("django_backie.enqueue")

Announce = Callable[[], None]


@dataclass(frozen=True, slots=True, eq=False)
class Parcel:
    """The jobs of one call, and where and how they go. ``announce`` is called when they are on their way."""

    broker: RedisBroker
    entries: Sequence[Entry]
    durability: Durability
    database: str
    announce: Announce


def send(parcel: Parcel) -> bool:
    """Take jobs in; tell whether they are on their way already, or wait for the commit.

    Raises:
        BrokerUnavailable: Redis is down and the durability is not ``outbox``; nothing was enqueued.
    """
    if parcel.durability == "now":
        _push([parcel])
        return True
    if parcel.durability == "outbox":
        outbox.write(parcel.entries, parcel.database)
    if connections[parcel.database].in_atomic_block:
        _after_commit(parcel)
        return False
    _push([parcel])
    return True


def waiting(job_id: str, database: str) -> Entry | None:
    """Return a job that waits for the commit of the transaction that is open here, or None."""
    for _, callback, *_ in connections[database].run_on_commit:
        if isinstance(callback, _Mark):
            for entry in callback.parcel.entries:
                if entry.job.id == job_id:
                    return entry
    return None


@dataclass(slots=True, eq=False)
class _Batch:
    """The parcels of a connection's transaction that have survived so far."""

    parcels: list[Parcel] = field(default_factory=list)
    last: _Flush | None = None


@dataclass(slots=True, eq=False)
class _Mark:
    batch: _Batch
    parcel: Parcel

    def __call__(self) -> None:
        self.batch.parcels.append(self.parcel)


@dataclass(slots=True, eq=False)
class _Flush:
    batch: _Batch

    def __call__(self) -> None:
        if self.batch.last is self:
            parcels, self.batch.parcels = self.batch.parcels, []
            _push(parcels)


def _after_commit(parcel: Parcel) -> None:
    connection: Any = connections[parcel.database]
    batch = connection.__dict__.setdefault("_django_backie_batch", _Batch())
    batch.last = _Flush(batch)
    transaction.on_commit(_Mark(batch, parcel), using=parcel.database)
    connection.run_on_commit.append((set(), batch.last, False))


def _push(parcels: Sequence[Parcel]) -> None:
    """Push parcels, one call per broker; those of the outbox bear with a Redis that is down."""
    failure: BrokerUnavailable | None = None
    lost: list[Parcel] = []
    for broker in dict.fromkeys(parcel.broker for parcel in parcels):
        own = [parcel for parcel in parcels if parcel.broker is broker]
        try:
            broker.enqueue([entry.packed for parcel in own for entry in parcel.entries])
        except BrokerUnavailable as error:
            logger.warning("%s; jobs in the outbox are pushed when it is back", error)
            lost += (parcel for parcel in own if parcel.durability != "outbox")
            failure = error if lost else None
    for parcel in parcels:
        if parcel not in lost:
            parcel.announce()
    if failure is not None:
        raise failure
