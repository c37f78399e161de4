"""The campaign's own tables, in plain SQL that every database understands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .facts import Call, Order
from .layout import COUNTERS

_CREATE = (
    "CREATE TABLE chaos_order (job varchar(36) PRIMARY KEY, kind varchar(20) NOT NULL, parent varchar(36) NOT NULL, "
    "expires double precision NOT NULL)",
    "CREATE TABLE chaos_counter (id integer PRIMARY KEY, total integer NOT NULL)",
    # No unique constraint: several calls get the handle of one job.
    "CREATE TABLE chaos_call (job varchar(36) NOT NULL, called_with varchar(20) NOT NULL, kind varchar(20) NOT NULL, "
    "called_at double precision NOT NULL)",
    # No unique constraint: an effect that happens twice is to be seen.
    "CREATE TABLE chaos_effect (job varchar(36) NOT NULL)",
)

_UNFINISHED = "SELECT 1 FROM django_backie_job WHERE state IN ('SCHEDULED', 'READY', 'RUNNING', 'RETRYABLE') LIMIT %s"


def create(cursor: Any) -> None:
    """Create the tables."""
    for statement in _CREATE:
        cursor.execute(statement)
    cursor.executemany("INSERT INTO chaos_counter (id, total) VALUES (%s, 0)", [(n,) for n in range(COUNTERS)])


def insert_orders(cursor: Any, orders: Sequence[Order]) -> None:
    """Insert business rows."""
    rows = [(order.job, order.kind, order.parent, order.expires) for order in orders]
    cursor.executemany("INSERT INTO chaos_order (job, kind, parent, expires) VALUES (%s, %s, %s, %s)", rows)


def insert_calls(cursor: Any, calls: Sequence[Call]) -> None:
    """Insert what calls of unique tasks have got."""
    rows = [(call.job, call.key, call.kind, call.at) for call in calls]
    cursor.executemany("INSERT INTO chaos_call (job, called_with, kind, called_at) VALUES (%s, %s, %s, %s)", rows)


def calls(cursor: Any) -> tuple[Call, ...]:
    """Return all calls of unique tasks."""
    cursor.execute("SELECT job, called_with, kind, called_at FROM chaos_call")
    return tuple(Call(*row) for row in cursor.fetchall())


def take_effect(cursor: Any, job: str) -> None:
    """Do what must happen exactly once for a job."""
    cursor.execute("UPDATE chaos_counter SET total = total + 1 WHERE id = %s", [int(job[-1], 16) % COUNTERS])
    cursor.execute("INSERT INTO chaos_effect (job) VALUES (%s)", [job])


def orders(cursor: Any) -> tuple[Order, ...]:
    """Return all business rows."""
    cursor.execute("SELECT job, kind, parent, expires FROM chaos_order")
    return tuple(Order(*row) for row in cursor.fetchall())


def newest(cursor: Any, kind: str, most: int) -> list[str]:
    """Return the latest jobs of a kind, as many as that; ids begin with their time."""
    cursor.execute("SELECT job FROM chaos_order WHERE kind = %s ORDER BY job DESC LIMIT %s", [kind, most])
    return [row[0] for row in cursor.fetchall()]


def backlog(cursor: Any, most: int) -> int:
    """Return how many jobs have not ended, at most so many."""
    cursor.execute(f"SELECT COUNT(*) FROM ({_UNFINISHED}) unfinished", [most])  # noqa: S608 - our own constant
    return int(cursor.fetchone()[0])


def effects(cursor: Any) -> tuple[int, tuple[str, ...]]:
    """Return the sum of the counters, and the jobs whose effect has happened."""
    cursor.execute("SELECT SUM(total) FROM chaos_counter")
    total = int(cursor.fetchone()[0])
    cursor.execute("SELECT job FROM chaos_effect")
    return total, tuple(row[0] for row in cursor.fetchall())
