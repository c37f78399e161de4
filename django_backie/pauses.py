"""Queues and tasks that are paused: an operator's decision, so it is kept in a row; what Redis has of it is a copy.

The row is committed before Redis is told, and gone before Redis is told: so whoever finds a pause in Redis and then no
row knows that it has been ended. A name is that of a queue, or ``keys.pause_of_task``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import connections, transaction

from .backend import RedisBackend
from .broker import inspect
from .broker.keys import pause_of_task, paused_task
from .broker.replies import Pause
from .clock import SYSTEM
from .exceptions import InvalidOption
from .moments import epoch, moment
from .plan import moment_of

# Seconds for which the row of a pause stays that is over by this machine's clock: the server's clock ends it.
KEPT = 60.0
LONGEST_REASON, LONGEST_NAME = 200, 150


def end_of(until: datetime | timedelta | None) -> float | None:
    """Return when a pause ends, in seconds since the epoch.

    Raises:
        InvalidOption: that is not in the future.
    """
    now = SYSTEM.now()
    end = moment_of("until", until, now)
    if end is not None and end <= now:
        msg = f"until must be in the future, {until!r} is not"
        raise InvalidOption(msg)
    return end


def line(text: str, longest: int = LONGEST_REASON) -> str:
    """Return text as one line that every database takes."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:longest]


def begin(name: str, backend: RedisBackend, until: float | None, reason: str, by: str) -> None:
    """Let a queue, or a task, give out no jobs; one that is paused already takes the new end, reason and name.

    Raises:
        BrokerUnavailable: Redis is down. Where there is a row, the pause begins when a worker finds Redis again.
    """
    now, reason, by = SYSTEM.now(), line(reason), line(by, LONGEST_NAME)
    if not backend.config.mirrored:
        present = inspect.all_pauses(backend.broker).get(name)
        backend.broker.pause(name, Pause(present.since if present else now, until, reason, by))
        return
    rows = _rows(backend)
    rows.filter(**_columns(name), until__lte=moment(now)).delete()
    values = {"until": moment(until), "reason": reason, "by": by}
    row, _ = rows.update_or_create(
        backend=backend.alias,
        **_columns(name),
        defaults=values,
        create_defaults={**values, "since": moment(now)},
    )
    _after_commit(lambda: backend.broker.pause(name, _pause_of(row)), rows.db)


def end(name: str, backend: RedisBackend) -> bool:
    """Let a queue, or a task, give out jobs again; tell whether it was paused.

    Raises:
        BrokerUnavailable: Redis is down. Where there was a row, the pause ends when a worker finds Redis again.
    """
    if not backend.config.mirrored:
        return backend.broker.resume(name)
    rows = _rows(backend)
    was_paused = bool(rows.filter(**_columns(name)).delete()[0])
    answers: list[bool] = []
    _after_commit(lambda: answers.append(backend.broker.resume(name)), rows.db)
    return was_paused or any(answers)


def restore(backend: RedisBackend) -> int:
    """Make Redis agree with the rows; answer how many pauses it had wrong.

    Raises:
        BrokerUnavailable: Redis is down.
    """
    now = SYSTEM.now()
    _rows(backend).filter(until__lte=moment(now - KEPT)).delete()
    # In this order: see above.
    there = inspect.all_pauses(backend.broker)
    ended = there.keys() - _pauses(backend).keys()
    for name in ended:
        backend.broker.resume(name)
    # Once more: what was paused anew meanwhile must not stay ended.
    wrong = [
        name
        for name, pause in _pauses(backend).items()
        if (pause.until is None or pause.until > now)
        and (name in ended or name not in there or there[name].text() != pause.text())
    ]
    return len(ended) + sum(_put_back(name, backend) for name in wrong)


def _put_back(name: str, backend: RedisBackend) -> bool:
    """Tell Redis of a pause, unless it is ended at this moment: who ends it waits for the row."""
    rows = _rows(backend).filter(**_columns(name))
    with transaction.atomic(using=rows.db):
        if not rows.update(**_columns(name)):
            return False
        backend.broker.pause(name, _pause_of(rows.get()))
    return True


def _columns(name: str) -> dict[str, str]:
    task = paused_task(name)
    return {"queue": name, "task": ""} if task is None else {"queue": "", "task": task}


def _pauses(backend: RedisBackend) -> dict[str, Pause]:
    return {row.queue or pause_of_task(row.task): _pause_of(row) for row in _rows(backend)}


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
