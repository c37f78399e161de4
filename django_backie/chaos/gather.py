"""Read the facts: from the database, from Redis, and from what the jobs wrote down."""

from __future__ import annotations

import functools
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from ..broker import keys as key_names
from ..broker.redis import RedisBroker
from ..core.states import FINAL
from . import executions, operations, tables
from .database import Database
from .facts import Ended, Facts, Order, Outages, Remains, Row, Timetable
from .layout import EVERY, Layout

_FINAL = ", ".join(f"'{state}'" for state in sorted(FINAL))
_UNFINISHED = f"SELECT COUNT(*) FROM django_backie_job WHERE state NOT IN ({_FINAL})"  # noqa: S608 - our own constants
_ROWS = (
    "SELECT id, state, reason, error_class, error_message, attempt, max_attempts, crashes, finished_at, task "
    "FROM django_backie_job"
)
_TIMETABLES = "SELECT task, last_slot FROM django_backie_schedule"
_ENDED = "SELECT job_id, number, outcome, worker FROM django_backie_attempt"


def unfinished(database: Database) -> int:
    """Return how many rows of the job table have not ended."""
    with database.cursor() as cursor:
        cursor.execute(_UNFINISHED)
        return int(cursor.fetchone()[0])


def gather(database: Database, layout: Layout, quiet: Remains, over: Remains, outages: Outages) -> Facts:
    """Return the facts, at the end of a campaign."""
    with database.cursor() as cursor:
        calls = tables.calls(cursor)
        called = {call.job: call.kind for call in calls}
        ordered = tables.orders(cursor)
        counter, effects = tables.effects(cursor)
        cursor.execute(_ROWS)
        found = cursor.fetchall()
        cursor.execute(_TIMETABLES)
        timetables = tuple(_timetable(task, last) for task, last in cursor.fetchall())
        cursor.execute(_ENDED)
        ended = tuple(Ended(_id(job), *values) for job, *values in cursor.fetchall())
    # Nobody ordered these but a schedule.
    by_themselves = {_id(job): _kind(task) for job, *_, task in found if _kind(task) in EVERY}
    pauses, off = operations.read(layout.operations)
    return Facts(
        orders=(*ordered, *(Order(job, kind) for job, kind in (called | by_themselves).items())),
        calls=calls,
        pauses=pauses,
        callings_off=off,
        timetables=timetables,
        rows=tuple(_row(*values) for *values, _ in found),
        ended=ended,
        executions=executions.read(layout.executions),
        counter=counter,
        effects=effects,
        quiet=quiet,
        over=over,
        outages=outages,
        known_keys=known_keys(),
    )


def remains(broker: RedisBroker) -> Remains:
    """Return what Redis holds now."""
    client, names = broker.client, broker.keys
    keys = [str(key) for key in client.scan_iter(count=1000)]
    holds = [key for key in keys if key.startswith(f"{names.prefix}w:")]
    ids = [str(job) for job in client.hkeys(names["b"])]
    jobs: dict[str, str] = {}
    for start in range(0, len(ids), 500):
        found = broker.inspect(ids[start : start + 500])
        jobs |= {job: str(snapshot.record.state) for job, snapshot in found.items()}
    return Remains(
        keys=tuple(sorted(keys)),
        workers=tuple(map(str, client.zrange(names["w"], 0, -1))),
        held=tuple(sorted({str(job) for key in holds for job in client.hkeys(key)})),
        marked=tuple(map(str, client.zrange(names["d"], 0, -1))),
        jobs=jobs,
    )


@functools.cache
def known_keys() -> tuple[str, ...]:
    """Return the key names that ``broker.keys`` documents, as regular expressions."""
    rows = [line[:22] for line in (key_names.__doc__ or "").splitlines() if line.startswith("``")]
    found = re.findall(r"``([^`]+)``", "\n".join(rows))
    return tuple(re.sub(r"<\w+>", ".+", name) for name in found)


def _row(
    job: Any, state: str, reason: str, error: str, message: str, attempt: int, most: int, crashes: int, finished: Any
) -> Row:
    error = f"{error}: {message}" if error else ""
    at = None if finished is None else _epoch(finished) - time.time() + time.monotonic()
    return Row(_id(job), state, reason, error, attempt, most, crashes, at)


def _timetable(task: str, last: Any) -> Timetable:
    return Timetable(_kind(task), EVERY[_kind(task)], _epoch(last))


def _kind(task: str) -> str:
    return task.rpartition(".")[2]


def _epoch(value: Any) -> float:
    """Return the seconds of a time as databases give it: SQLite as text, without its zone."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _id(value: Any) -> str:
    """Return an id as it is written; SQLite stores it without its dashes."""
    return str(uuid.UUID(str(value)))
