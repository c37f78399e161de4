"""Queues that are paused: an operator's decision, so it is kept in a row; what Redis has of it is a copy.

The row is committed before Redis is told, and gone before Redis is told: so whoever finds a pause in Redis and then no
row knows that it has been ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db import connections, transaction

from .backend import RedisBackend
from .broker import inspect
from .broker.replies import Pause
from .clock import SYSTEM
from .moments import epoch, moment

# Seconds for which the row of a pause stays that is over by this machine's clock: the server's clock ends it.
KEPT = 60.0


def begin(queue: str, backend: RedisBackend, until: float | None, reason: str, by: str) -> None:
    """Let a queue give out no jobs; one that is paused already takes the new end, reason and name.

    Raises:
        BrokerUnavailable: Redis is down. Where there is a row, the pause begins when a worker finds Redis again.
    """
    now = SYSTEM.now()
    if not backend.config.mirrored:
        present = inspect.pauses(backend.broker).get(queue)
        backend.broker.pause(queue, Pause(present.since if present else now, until, reason, by))
        return
    rows = _rows(backend)
    rows.filter(queue=queue, until__lte=moment(now)).delete()
    values = {"until": moment(until), "reason": reason, "by": by}
    row, _ = rows.update_or_create(
        backend=backend.alias,
        queue=queue,
        defaults=values,
        create_defaults={**values, "since": moment(now)},
    )
    _after_commit(lambda: backend.broker.pause(queue, _pause_of(row)), rows.db)


def end(queue: str, backend: RedisBackend) -> bool:
    """Let a queue give out jobs again; tell whether it was paused.

    Raises:
        BrokerUnavailable: Redis is down. Where there was a row, the pause ends when a worker finds Redis again.
    """
    if not backend.config.mirrored:
        return backend.broker.resume(queue)
    rows = _rows(backend)
    was_paused = bool(rows.filter(queue=queue).delete()[0])
    answers: list[bool] = []
    _after_commit(lambda: answers.append(backend.broker.resume(queue)), rows.db)
    return was_paused or any(answers)


def restore(backend: RedisBackend) -> int:
    """Make Redis agree with the rows; answer how many queues it had wrong.

    Raises:
        BrokerUnavailable: Redis is down.
    """
    now = SYSTEM.now()
    _rows(backend).filter(until__lte=moment(now - KEPT)).delete()
    # In this order: see above.
    there = inspect.pauses(backend.broker)
    ended = there.keys() - _pauses(backend).keys()
    for queue in ended:
        backend.broker.resume(queue)
    # Once more: what was paused anew meanwhile must not stay ended.
    wrong = [
        queue
        for queue, pause in _pauses(backend).items()
        if (pause.until is None or pause.until > now)
        and (queue in ended or queue not in there or there[queue].text() != pause.text())
    ]
    return len(ended) + sum(_put_back(queue, backend) for queue in wrong)


def _put_back(queue: str, backend: RedisBackend) -> bool:
    """Tell Redis of a pause, unless it is ended at this moment: who ends it waits for the row."""
    rows = _rows(backend).filter(queue=queue)
    with transaction.atomic(using=rows.db):
        if not rows.update(queue=queue):
            return False
        backend.broker.pause(queue, _pause_of(rows.get()))
    return True


def _pauses(backend: RedisBackend) -> dict[str, Pause]:
    return {row.queue: _pause_of(row) for row in _rows(backend)}


def _pause_of(row: Any) -> Pause:
    until = None if row.until is None else epoch(row.until)
    return Pause(epoch(row.since), until, row.reason, row.by)


def _after_commit(tell: Callable[[], object], using: str) -> None:
    """Tell Redis when the row is committed; what fails then is logged, and made good by ``restore``."""
    if connections[using].in_atomic_block:
        transaction.on_commit(tell, using=using, robust=True)
    else:
        tell()


def _rows(backend: RedisBackend) -> Any:
    rows = apps.get_model("django_backie", "Pause")._default_manager.using(backend.config.databases[0])
    return rows.filter(backend=backend.alias)
