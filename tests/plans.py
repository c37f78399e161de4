"""Ask the database by which index it would answer a query. A table of some thousand rows tells it what is rare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from django_backie.core.ids import new_id
from django_backie.models import Job

TABLE = "django_backie_job"
# MariaDB and MySQL tell another story about each query, and know no partial index.
EXPLAIN = {"postgresql": "EXPLAIN ", "sqlite": "EXPLAIN QUERY PLAN "}
ROWS = 4000
SECOND = timedelta(seconds=1)


@dataclass
class Recorder:
    """Notes the queries on the job table."""

    queries: list[tuple[str, Any]] = field(default_factory=list)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if TABLE in sql:
            self.queries.append((sql, params))
        return execute(sql, params, many, context)

    def plans(self) -> list[str]:
        """Return the plan of each query, in their order."""
        return [plan(sql, params) for sql, params in self.queries]


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Note the queries of a block."""
    recorder = Recorder()
    with connection.execute_wrapper(recorder):
        yield recorder


def plan(sql: str, params: Any) -> str:
    """Return how the database would answer a query."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # On so few rows it would rather read them all.
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(EXPLAIN[connection.vendor] + sql, params)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def indexes(text: str) -> set[str]:
    """Return the indexes that a plan names; ``*`` where it reads the whole table."""
    found = set(
        re.findall(r"(?:using|USING (?:COVERING )?INDEX|on) (backie_job_\w+|\w+_pkey|sqlite_autoindex_\w+)", text)
    )
    reads_all = re.search(rf"Seq Scan on {TABLE}|SCAN (?:{TABLE}|U\d+)(?! USING)", text)
    return found | ({"*"} if reads_all else set())


def is_by_id(text: str) -> bool:
    """Tell whether a plan finds rows by their ids."""
    return indexes(text) <= {f"{TABLE}_pkey", f"sqlite_autoindex_{TABLE}_1"}


def sorts(text: str) -> bool:
    """Tell whether a plan sorts what it has found."""
    return bool(re.search(r"\bSort\b|TEMP B-TREE FOR (?!LAST)", text))


def fill() -> None:
    """Write jobs of sixteen queues and forty tasks, of which a tenth failed, and let the database count them."""
    now, begun = timezone.now(), ROWS * SECOND
    states = ["SUCCESSFUL"] * 86 + ["FAILED"] * 10 + ["BLOCKED", "READY", "RUNNING", "SCHEDULED"]
    Job.objects.bulk_create(
        Job(
            id=new_id(),
            task=f"shop.tasks.task_{number % 40}",
            queue=f"queue-{number % 16}",
            state=states[number * 37 // 16 % len(states)],
            body="{}",
            enqueued_at=now - begun + number * SECOND,
            finished_at=now - begun + number * SECOND,
            version=0 if number % 1000 == 0 else 1,
        )
        for number in range(ROWS)
    )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {TABLE}")
