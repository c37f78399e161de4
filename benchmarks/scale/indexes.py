"""What each index of the job table costs a job that is inserted, mirrored as running and mirrored as succeeded.

    python -m benchmarks.scale.indexes [--rows 500000] [--jobs 200000]

CPU is that of the database's process, without Python and without the network; so PostgreSQL must run on this machine.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.scale.settings")
    django.setup()

from django.db import connection

from . import table

ROWS, JOBS, BATCH = 500_000, 200_000, 500
# All sets in turn, and then again; of each the cheapest.
ROUNDS = 3
# A job is seen running so many batches after it was inserted, and ended as many after that.
LATER = 2
TICKS = os.sysconf("SC_CLK_TCK")

TROUBLED = "state IN ('BLOCKED', 'CANCELLED', 'FAILED', 'RETRYABLE')"
LISTS = {
    "enqueued": "(enqueued_at, id)",
    "state": "(state, enqueued_at, id)",
    "queue": "(queue, enqueued_at, id)",
    "task": "(task, enqueued_at, id)",
}
SWEEPS = {"finished": "(state, finished_at)", "outbox": "(enqueued_at) WHERE version = 0"}
PARTIAL = {
    "queue_troubled": f"(queue, state, enqueued_at, id) WHERE {TROUBLED}",
    "task_troubled": f"(task, state, enqueued_at, id) WHERE {TROUBLED}",
    "settled": "(finished_at) WHERE settled",
}
ALL = LISTS | SWEEPS | PARTIAL

INSERT = """
INSERT INTO copy SELECT id, task, backend, queue, priority, 'READY', '', arguments, body, '', '', '', 0, max_attempts,
    0, '', enqueued_at, NULL, NULL, NULL, NULL, 0, false
FROM stage WHERE number > %s AND number <= %s
"""
BEGIN = """
UPDATE copy SET state = 'RUNNING', attempt = 1, worker = 'host-1:1.0', started_at = stage.started_at,
    last_attempted_at = stage.started_at, version = stage.version
FROM stage WHERE stage.id = copy.id AND number > %s AND number <= %s
"""
END = """
UPDATE copy SET state = 'SUCCESSFUL', result = 'null', finished_at = stage.finished_at, version = stage.version + 1
FROM stage WHERE stage.id = copy.id AND number > %s AND number <= %s
"""


@dataclass(frozen=True)
class Row:
    """A set of indexes, and what it costs a job: microseconds of the database's CPU, bytes of its log, bytes kept.

    ``hot`` is the share of updates that needed no index entry.
    """

    name: str
    insert: float
    running: float
    succeeded: float
    log: float
    index_bytes: float
    table_bytes: float
    hot: float

    @property
    def cpu(self) -> float:
        """Return the microseconds of all three."""
        return self.insert + self.running + self.succeeded


def run(rows: int = ROWS, jobs: int = JOBS, progress: Callable[[str], object] = print) -> list[Row]:
    """Let jobs go through a table with each set of indexes."""
    with table.filled(rows + jobs, progress):
        _stage(jobs)
        found: dict[str, Row] = {}
        for turn in range(ROUNDS):
            for name, indexes, fillfactor in _sets():
                _copy(indexes, fillfactor)
                row = _measured(name, jobs)
                found[name] = min(found.get(name, row), row, key=lambda row: row.cpu)
                progress(f"round {turn + 1}: {text_of(row)}")
        for row in found.values():
            progress(text_of(row))
        return [*found.values()]


def _sets() -> list[tuple[str, Mapping[str, str], int]]:
    descending = {
        name: columns.replace("enqueued_at, id", "enqueued_at DESC, id DESC") for name, columns in LISTS.items()
    }
    pairs = {"queue_state": "(queue, state, enqueued_at, id)", "task_state": "(task, state, enqueued_at, id)"}
    waiting = {f"{name}_open": f"{columns} WHERE state <> 'SUCCESSFUL'" for name, columns in pairs.items()}
    without = [(f"without {name}", {key: ALL[key] for key in ALL if key != name}, 100) for name in (*LISTS, *SWEEPS)]
    return [
        ("as it is", ALL, 100),
        ("only the primary key", {}, 100),
        *without,
        ("without queue_troubled, task_troubled, settled", LISTS | SWEEPS, 100),
        ("the lists' indexes descending", ALL | descending, 100),
        ("pairs for all but the successful", LISTS | SWEEPS | waiting, 100),
        ("pairs for all states", LISTS | SWEEPS | pairs, 100),
        ("as it is, fillfactor 50", ALL, 50),
        ("only the primary key, fillfactor 50", {}, 50),
    ]


def _stage(jobs: int) -> None:
    _execute("CREATE UNLOGGED TABLE stage AS SELECT row_number() OVER (ORDER BY id) AS number, * FROM"
             " (SELECT * FROM django_backie_job ORDER BY enqueued_at DESC LIMIT %s) newest", jobs)  # fmt: skip
    _execute("UPDATE stage SET started_at = enqueued_at, finished_at = enqueued_at, version = 2")
    _execute("CREATE INDEX ON stage (number)")
    _execute("VACUUM ANALYZE stage")


def _copy(indexes: Mapping[str, str], fillfactor: int) -> None:
    """Make a table that has the older rows, with indexes as full as they would be had these come one by one."""
    _execute("DROP TABLE IF EXISTS copy")
    _execute("CREATE TABLE copy (LIKE django_backie_job INCLUDING DEFAULTS, PRIMARY KEY (id)) WITH (fillfactor = "
             f"{fillfactor})")  # fmt: skip
    for name, definition in indexes.items():
        _execute(f"CREATE INDEX copy_{name} ON copy {definition}")
    _execute(
        "INSERT INTO copy SELECT * FROM django_backie_job WHERE id NOT IN (SELECT id FROM stage) ORDER BY enqueued_at"
    )
    _execute("VACUUM ANALYZE copy")
    _execute("CHECKPOINT")


def _measured(name: str, jobs: int) -> Row:
    before, log = _sizes(), _value("SELECT pg_current_wal_insert_lsn()")
    used = dict.fromkeys((INSERT, BEGIN, END), 0.0)
    for first in range(0, jobs + 2 * LATER * BATCH, BATCH):
        for step, statement in enumerate(used):
            start = first - step * LATER * BATCH
            begun = _cpu()
            _execute(statement, start, min(start + BATCH, jobs))
            used[statement] += _cpu() - begun
    after = _sizes()
    log = _value("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", log)
    _execute("SELECT pg_stat_force_next_flush()")
    hot = _value("SELECT n_tup_hot_upd::float / greatest(n_tup_upd, 1) FROM pg_stat_user_tables WHERE relname = 'copy'")
    per_job = [seconds / jobs * 1e6 for seconds in used.values()]
    sizes = [(after[key] - before[key]) / jobs for key in ("indexes", "table")]
    return Row(name, *per_job, float(log) / jobs, *sizes, float(hot))


def _sizes() -> dict[str, int]:
    return {"indexes": _value("SELECT pg_indexes_size('copy')"), "table": _value("SELECT pg_table_size('copy')")}


def _cpu() -> float:
    """Return the seconds that the database's process has used."""
    fields = Path(f"/proc/{connection.connection.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _execute(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)


def _value(statement: str, *values: object) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return cursor.fetchone()[0]


def text_of(row: Row) -> str:
    """Return a row as one line of a table."""
    return (
        f"{row.name:<46} {row.insert:>6.1f} {row.running:>7.1f} {row.succeeded:>9.1f} {row.cpu:>6.1f} "
        f"{row.log:>6.0f} {row.index_bytes:>7.0f} {row.table_bytes:>6.0f} {row.hot:>5.0%}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows that are there before")
    parser.add_argument("--jobs", type=int, default=JOBS, help="jobs that go through")
    options = parser.parse_args()
    print(f"{'indexes':<46} insert running succeeded sum us  WAL B index B  row B   HOT")
    run(options.rows, options.jobs)


if __name__ == "__main__":
    main()
