"""What the duties ask of a large job table, again and again: by which index, and how long it takes.

    python -m benchmarks.scale.sweeps [--rows 2000000] [--backlog 200000] [--partitioned]

First over a table of which nearly all jobs have ended, then with so many that wait. PostgreSQL is that of the tests; a
database of our own is made there, filled, and dropped in the end. The table is warm.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.scale.settings")
    django.setup()

from django.db import connection, transaction

from django_backie import outbox
from django_backie.broker.replies import Arrival
from django_backie.duties.prune import Prune

from . import table
from .admin import Stopwatch

ROWS, BACKLOG = 2_000_000, 200_000
ALIAS, BACKEND = "default", "default"
REPEATS = 5
# Of a pass through all that wait, so many pages are measured.
PAGES = 20

WAIT = """
UPDATE django_backie_job SET state = 'READY', finished_at = NULL
WHERE id IN (SELECT id FROM django_backie_job WHERE state = 'SUCCESSFUL' ORDER BY enqueued_at DESC LIMIT %s)
"""
FULL = "UPDATE django_backie_job SET version = 0, queue = 'full' WHERE state = 'READY'"

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Row:
    """A sweep: how many rows it found (prune: at least), its queries, the milliseconds in the database, the indexes."""

    what: str
    found: int
    queries: int
    ms: float
    indexes: str


def run(
    rows: int = ROWS, backlog: int = BACKLOG, progress: Progress = print, *, partitioned: bool = False
) -> list[Row]:
    """Measure the sweeps over a table without and with jobs that wait."""
    with table.filled(rows, progress, partitioned=partitioned):
        found = [_row(what, work, progress) for what, work in _quiet()]
        _execute(WAIT, backlog)
        begun = time.monotonic()
        _execute("VACUUM django_backie_job")
        found.append(
            Row(f"vacuum: {backlog:,} rows were updated", backlog, 1, (time.monotonic() - begun) * 1000, "all")
        )
        progress(text_of(found[-1]))
        _execute("ANALYZE django_backie_job")
        found += [_row(what, work, progress) for what, work in _waiting(backlog)]
        _execute(FULL)
        _execute("VACUUM ANALYZE django_backie_job")
        found += [_row(what, work, progress) for what, work in _unpushed(backlog)]
        for name, size in table.sizes().items():
            progress(f"{name:<68} {size / rows:>9.1f} bytes a row")
    return found


def _quiet() -> Iterator[tuple[str, Callable[[], int]]]:
    now = time.time()
    yield "relay: nothing has waited for two seconds", lambda: outbox.relay(ALIAS, BACKEND, _arrived, 0.0)
    yield "relay: some rows never reached Redis", lambda: outbox.relay(ALIAS, BACKEND, _arrived, now + 60)
    yield "reconcile: a pass through what has not ended", lambda: sum(map(len, _unfinished(now)))
    yield "release: a pass through what is parked", lambda: sum(map(len, outbox.parked(ALIAS, BACKEND)))
    yield "prune: a thousand rows of a great many", lambda: _pruned(timedelta(days=7))
    yield "prune: nothing is old enough", lambda: _pruned(timedelta(days=1000))


def _waiting(backlog: int) -> Iterator[tuple[str, Callable[[], int]]]:
    now = time.time()
    what = f"reconcile: {PAGES} pages, {backlog:,} jobs wait"
    yield what, lambda: sum(map(len, itertools.islice(_unfinished(now), PAGES)))


def _unpushed(backlog: int) -> Iterator[tuple[str, Callable[[], int]]]:
    now = time.time() + 60
    yield f"relay: a batch, {backlog:,} rows wait", lambda: outbox.relay(ALIAS, BACKEND, _arrived, now)
    yield f"relay: {backlog:,} rows wait for a full queue", lambda: outbox.relay(ALIAS, BACKEND, _full, now)


def _unfinished(now: float) -> Iterator[list[str]]:
    return outbox.unfinished_pages(ALIAS, BACKEND, now)


def _pruned(retention: timedelta) -> int:
    config = SimpleNamespace(retention=retention, retention_failed=retention, databases=[ALIAS])
    broker = SimpleNamespace(missing=lambda ids: ids)
    backend: Any = SimpleNamespace(config=config, broker=broker, alias=BACKEND)
    return Prune.batch if Prune(backend).tick() == 0.0 else 0


def _arrived(packed: Sequence[Any]) -> list[Arrival]:
    return [Arrival.ADDED] * len(packed)


def _full(packed: Sequence[Any]) -> list[Arrival]:
    return [Arrival.FULL] * len(packed)


def _row(what: str, work: Callable[[], int], progress: Progress) -> Row:
    """Return what a sweep costs, the fastest of some; nothing of it stays."""
    runs = [_once(work) for _ in range(REPEATS)]
    row = Row(what, *min(runs, key=lambda run: run[2]), indexes=_indexes(work))
    progress(text_of(row))
    return row


def _once(work: Callable[[], int]) -> tuple[int, int, float]:
    watch = Stopwatch()
    with transaction.atomic(), connection.execute_wrapper(watch):
        found = work()
        transaction.set_rollback(True)
    return found, len(watch.ms), sum(watch.ms)


def _indexes(work: Callable[[], int]) -> str:
    """Return the indexes by which a sweep finds jobs, except by their ids."""
    asked: list[tuple[str, Any]] = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT") and "django_backie_job" in sql and '."id" IN (' not in sql:
            asked.append((sql, params))
        return execute(sql, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(note):
        work()
        transaction.set_rollback(True)
    names = {name.removeprefix("backie_job_") for sql, params in asked[:PAGES] for name in _plan(sql, params)}
    return ", ".join(sorted(names)).replace("django_backie_job_pkey", "primary key")


def _plan(sql: str, params: Any) -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        plan = cursor.fetchone()[0]
    nodes = [entry["Plan"] for entry in (json.loads(plan) if isinstance(plan, str) else plan)]
    for node in nodes:
        nodes += node.get("Plans", [])
        if "Index Name" in node:
            yield re.sub(r"django_backie_job_\d{8}_(.*?)(_idx)?$", r"of each part: \1", node["Index Name"])
        elif node["Node Type"] == "Seq Scan":
            yield "the whole table" if node["Relation Name"] == "django_backie_job" else "a small part"


def _execute(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)


def text_of(row: Row) -> str:
    """Return a sweep as one line of a table."""
    return f"{row.what:<52} {row.found:>7} {row.queries:>8} {row.ms:>9.1f}  {row.indexes}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--backlog", type=int, default=BACKLOG, help="jobs that wait in the second part")
    parser.add_argument("--partitioned", action="store_true", help="a table divided by days")
    options = parser.parse_args()
    print(f"{'sweep':<52} {'rows':>7} {'queries':>8} {'ms':>9}  indexes")
    run(options.rows, options.backlog, partitioned=options.partitioned)


if __name__ == "__main__":
    main()
