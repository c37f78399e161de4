"""Take jobs in: now, or when the transaction of their database commits.

Jobs of a transaction are pushed as one. Every call registers two callbacks: one that marks its jobs as surviving (a
savepoint that is rolled back drops it) and one, bound to no savepoint, that pushes what has been marked. Where one
call's callbacks directly follow another's, the later push serves for both. Where somebody else's callback stands
between them, each pushes its own, for that callback may raise, and then nothing behind it is called.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connections

from . import outbox
from .broker.redis import RedisBroker
from .broker.replies import Answer, Arrival, Duplicate
from .clock import SYSTEM
from .core.options import Durability
from .exceptions import BrokerError, QueueFull
from .outbox import Entry

logger = logging.getLogger("django_backie.enqueue")

Announce = Callable[[], None]


@dataclass(slots=True, eq=False)
class Parcel:
    """The jobs of one call, and where and how they go. ``announce`` is called when they are on their way."""

    broker: RedisBroker
    entries: Sequence[Entry]
    durability: Durability
    database: str
    announce: Announce
    # What calls of the same transaction are compared by, one for each entry; most have none.
    keys: Sequence[str] = ()
    # Those that turn out to be duplicates at the push: id -> the other job's. None where none can be.
    duplicates: dict[str, str] | None = None


def send(parcel: Parcel) -> bool:
    """Take jobs in; tell whether they are on their way already, or wait for the commit.

    Raises:
        BrokerError: Redis is down and the durability is not ``outbox``; nothing was enqueued, or of more than a
            thousand jobs the first thousands.
        QueueFull: the queue takes no more jobs and the durability is not ``outbox``; some may have found room.
    """
    if parcel.durability == "now":
        _push([parcel])
        return True
    if parcel.durability == "outbox":
        outbox.write(parcel.entries, parcel.database)
    connection = connections[parcel.database]
    if connection.in_atomic_block or _commits_by_hand(connection):
        _after_commit(parcel, connection)
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


def coalesced(key: str, database: str) -> Entry | None:
    """Return the job of an earlier call with this key in the transaction that is open here, or None.

    That of a savepoint that was rolled back is none. Where the earlier call is undone later, so is this one: it was
    made within the same savepoints, or within more.
    """
    connection = connections[database]
    if not connection.in_atomic_block:
        return None
    index = _indices.get(connection)
    if index is None or index.callbacks is not connection.run_on_commit:
        index = _indices[connection] = _Index(connection.run_on_commit)
    return index.find(key)


class _Index:
    """The jobs of a transaction by their keys.

    A savepoint's rollback and a commit put another list in the place of the callbacks, which tells that this is out of
    date; what was appended since is looked at when it is asked for.
    """

    def __init__(self, callbacks: list[Any]) -> None:
        self.callbacks = callbacks
        self._seen = 0
        self._entries: dict[str, tuple[_Mark, Entry]] = {}

    def find(self, key: str) -> Entry | None:
        for _, callback, *_ in self.callbacks[self._seen :]:
            if isinstance(callback, _Mark):
                for name, entry in zip(callback.parcel.keys, callback.parcel.entries, strict=False):
                    self._entries[name] = callback, entry
        self._seen = len(self.callbacks)
        mark, found = self._entries.get(key, (None, None))
        # A test may have run the callbacks of what it takes for a transaction; the next one follows in the same list.
        return None if mark is None or mark.is_called else found


_indices: WeakKeyDictionary[Any, _Index] = WeakKeyDictionary()


@dataclass(slots=True, eq=False)
class _Mark:
    """Notes, when it is called, that the jobs of a call have survived."""

    survivors: list[Parcel]
    parcel: Parcel
    is_called: bool = False

    def __call__(self) -> None:
        self.is_called = True
        self.survivors.append(self.parcel)


@dataclass(slots=True, eq=False)
class _Flush:
    """Pushes the survivors, unless the flush that directly follows will."""

    connection: Any
    survivors: list[Parcel]
    has_successor: bool = False

    def __call__(self) -> None:
        if self.has_successor and not self._is_called_by_hand():
            return
        parcels = [*self.survivors]
        self.survivors.clear()
        _push(parcels)

    def _is_called_by_hand(self) -> bool:
        """Tell whether a test runs some callbacks, perhaps without the successor; a commit empties the list."""
        return any(callback is self for _, callback, *_ in self.connection.run_on_commit)


def _commits_by_hand(connection: Any) -> bool:
    """Tell whether the caller has switched autocommit off, in which state Django has no callbacks."""
    return connection.connection is not None and not connection.autocommit


def _after_commit(parcel: Parcel, connection: Any) -> None:
    if parcel.durability == "outbox" and not connection.in_atomic_block:
        return  # The rows are pushed by the relay once they are committed.
    before = connection.run_on_commit[-1][1] if connection.run_on_commit else None
    survivors: list[Parcel] = []
    if isinstance(before, _Flush):
        before.has_successor = True
        survivors = before.survivors
    connection.on_commit(_Mark(survivors, parcel))
    connection.run_on_commit.append((set(), _Flush(connection, survivors), False))


def _push(parcels: Sequence[Parcel]) -> None:
    """Push parcels, one call per broker; those of the outbox bear with a Redis that is down."""
    failure: BrokerError | None = None
    lost: list[Parcel] = []
    for broker in dict.fromkeys(parcel.broker for parcel in parcels):
        own = [parcel for parcel in parcels if parcel.broker is broker]
        unreachable: BrokerError | None = None
        try:
            refused = _push_to(broker, own)
        except BrokerError as error:
            logger.warning("%s; jobs in the outbox are pushed when it is back", error)
            refused, unreachable = own, error
        if strict := [parcel for parcel in refused if parcel.durability != "outbox"]:
            lost += strict
            failure = unreachable or _queue_full(strict)
    for parcel in parcels:
        if parcel not in lost:
            parcel.announce()
    if failure is not None:
        raise failure


def _push_to(broker: RedisBroker, parcels: Sequence[Parcel]) -> list[Parcel]:
    """Push parcels to one broker; answer those of which a job found its queue full."""
    now = SYSTEM.now()
    late = [parcel for parcel in parcels if _is_late(parcel, now)]
    early = [parcel for parcel in parcels if parcel not in late] if late else parcels
    arrivals = broker.enqueue([entry.packed for parcel in early for entry in parcel.entries])
    for parcel in early:
        if parcel.duplicates is not None:
            _note_duplicates(early, arrivals)
            break
    for database in dict.fromkeys(parcel.database for parcel in late):
        ids = [entry.job.id for parcel in late if parcel.database == database for entry in parcel.entries]
        outbox.push_late(ids, database, broker.enqueue)
    return _refused(early, arrivals) if Arrival.FULL in arrivals else []


def _note_duplicates(parcels: Sequence[Parcel], arrivals: Sequence[Answer]) -> None:
    entries = [(parcel, entry) for parcel in parcels for entry in parcel.entries]
    for (parcel, entry), arrival in zip(entries, arrivals, strict=True):
        if isinstance(arrival, Duplicate) and parcel.duplicates is not None:
            parcel.duplicates[entry.job.id] = arrival.of


def _refused(parcels: Sequence[Parcel], arrivals: Sequence[Answer]) -> list[Parcel]:
    """Return the parcels of which a job found its queue full."""
    parcel_of_each = [parcel for parcel in parcels for _ in parcel.entries]
    full = [parcel for parcel, arrival in zip(parcel_of_each, arrivals, strict=True) if arrival is Arrival.FULL]
    return list(dict.fromkeys(full))


def _queue_full(parcels: Sequence[Parcel]) -> QueueFull:
    queues = sorted({repr(entry.job.queue) for parcel in parcels for entry in parcel.entries})
    return QueueFull(
        f"the queue {', '.join(queues)} is full: not all jobs were enqueued; raise OPTIONS['MAX_QUEUE_LENGTH'], add "
        "workers, or use durability 'outbox', whose jobs wait in the database"
    )


def _is_late(parcel: Parcel, now: float) -> bool:
    """Tell whether the relay may have pushed these jobs already, and a worker may have run them."""
    return parcel.durability == "outbox" and now - parcel.entries[0].job.created > outbox.GRACE / 2
