"""A job table of a given size, written by SQL alone in a database of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, connections
from django.utils import timezone

from . import tasks

FILL = Path(__file__).with_name("fill.sql").read_text()
CHUNK = 250_000
# Waiting, running or to be retried; of these, the ones that have not reached Redis.
YOUNG, UNPUSHED = 4000, 500
# Rows are spread over 30 days; a partitioned table has a part for each.
DAYS = 31

ATTEMPTS = """
INSERT INTO django_backie_attempt
    (job_id, number, worker, outcome, started_at, finished_at, error_class, error_message, traceback)
SELECT id, n, worker, 'failed', started_at + n * interval '60 seconds', started_at + n * interval '61 seconds',
    error_class, error_message, repeat(E'  File "tasks.py", line 1, in task\n', 20)
FROM django_backie_job, generate_series(1, 5) n WHERE state = 'FAILED' AND enqueued_at > %s
"""

Progress = Callable[[str], object]


@contextmanager
def filled(rows: int, progress: Progress = print, *, partitioned: bool = False) -> Iterator[None]:
    """Give a table of so many rows, and drop its database in the end."""
    make()
    try:
        if partitioned:
            partition()
        fill(rows, progress)
        yield
    finally:
        drop()


def make() -> None:
    """Create the database and its tables anew."""
    drop()
    _maintain("CREATE DATABASE {}")
    call_command("migrate", verbosity=0)


def partition() -> None:
    """Put a table that is divided by days in the place of the empty one: ids begin with their time."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today + timedelta(days=number) for number in range(-DAYS, 3)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'django_backie_job' AND indexname LIKE 'backie%%'"
        )
        indexes = [definition for (definition,) in cursor.fetchall()]
        cursor.execute("ALTER TABLE django_backie_job RENAME TO plain")
        cursor.execute("CREATE TABLE django_backie_job (LIKE plain INCLUDING DEFAULTS) PARTITION BY RANGE (id)")
        cursor.execute("DROP TABLE plain")
        cursor.execute("ALTER TABLE django_backie_job ADD PRIMARY KEY (id)")
        for definition in indexes:
            cursor.execute(definition.replace(" ON public.", " ON "))
        for day, following in pairwise(days):
            cursor.execute(
                f"CREATE TABLE django_backie_job_{day:%Y%m%d} PARTITION OF django_backie_job"
                f" FOR VALUES FROM ('{_first_id(day)}') TO ('{_first_id(following)}')"
            )


def _first_id(moment: datetime) -> UUID:
    return UUID(int=round(moment.timestamp() * 1000) << 80)


def drop() -> None:
    """Drop the database."""
    connections.close_all()
    _maintain("DROP DATABASE IF EXISTS {} WITH (FORCE)")


def fill(rows: int, progress: Progress = print) -> None:
    """Write rows whose states, queues and tasks are shared out as in a shop; then vacuum and analyse."""
    begun, newest = time.monotonic(), timezone.now()
    values = {"rows": rows, "newest": newest, "young": YOUNG, "unpushed": UNPUSHED}
    values |= {"detour": tasks.DETOUR, "flawless": tasks.full_name(tasks.FLAWLESS)}
    with connection.cursor() as cursor:
        for first in range(1, rows + 1, CHUNK):
            last = min(first + CHUNK - 1, rows)
            cursor.execute(FILL.replace("{shares}", _shares()), values | {"first": first, "last": last})
            progress(f"{last:,} of {rows:,} rows after {time.monotonic() - begun:.0f} s")
        cursor.execute(ATTEMPTS, [newest - timedelta(days=1)])
        cursor.execute("VACUUM ANALYZE")


def sizes() -> dict[str, int]:
    """Return the bytes of the table, without its indexes, and of each index; those of all parts, if it has any."""
    whole = "(SELECT coalesce(sum({0}(part.relid)), {0}({1})) FROM pg_partition_tree({1}) part)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT 'table', {whole.format('pg_table_size', 'oid')}"  # noqa: S608 - nothing comes from outside
            " FROM pg_class WHERE relname = 'django_backie_job'"
            f" UNION ALL SELECT relname, {whole.format('pg_relation_size', 'indexrelid')} FROM pg_index"
            " JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = 'django_backie_job'::regclass ORDER BY 1"
        )
        return {str(name): int(size) for name, size in cursor.fetchall()}


def _shares() -> str:
    rows, low = [], 0
    for name, (queue, share) in tasks.SHARES.items():
        rows.append(f"('{tasks.full_name(name)}', '{queue}', {low}, {low + share})")
        low += share
    return ", ".join(rows)


def _maintain(statement: str) -> None:
    target: dict[str, Any] = settings.DATABASES["default"]
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    server = psycopg.connect(dbname="postgres", autocommit=True, **{key: target[name] for key, name in names.items()})
    with server:
        server.execute(psycopg.sql.SQL(statement).format(psycopg.sql.Identifier(target["NAME"])))


def rows() -> int:
    """Return the number of rows, 0 if there is no such table."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM django_backie_job")
            return int(cursor.fetchone()[0])
    except DatabaseError:
        return 0
