"""What becomes of attempts that nothing but the end of their process can stop."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from .conftest import Project, until

pytestmark = pytest.mark.lifecycle


@pytest.fixture
def limited(project: Project) -> Project:
    """Return a project with tasks that have hard timeouts."""
    project.environment["BACKIE_LIFECYCLE_MODULES"] = "tests.app.limits"
    return project


def delay(project: Project, *calls: str) -> list[str]:
    """Enqueue jobs and return their ids."""
    made = ", ".join(calls)
    return list(project.run(f"from tests.app.limits import *\nprint(json.dumps([result.id for result in [{made}]]))"))


def rows(project: Project, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of a table, in the order of making; a process for each question would cost too much."""
    with closing(sqlite3.connect(project.directory / "project.sqlite3")) as database:
        return database.execute(f"SELECT {', '.join(columns)} FROM django_backie_{table} ORDER BY id").fetchall()  # noqa: S608


def test_a_job_that_holds_the_gil_for_ever_is_replaced_and_its_neighbours_are_not_charged(limited: Project) -> None:
    worker = limited.worker("--threads", "2")
    first, gate = worker.workers(), limited.directory / "gate"
    delay(limited, *(f"{task}.delay('{gate}', '{limited.marks}')" for task in ("wait_in_thread", "wait_beside")))
    until(lambda: sorted(limited.marked()) == ["loop", "thread"])
    delay(limited, f"hold_the_gil.delay('{limited.marks}')")
    until(lambda: ("FAILED",) in rows(limited, "job", "state"))
    gate.touch()
    until(lambda: rows(limited, "job", "state") == [("SUCCESSFUL",), ("SUCCESSFUL",), ("FAILED",)])
    error = "django_backie.exceptions.HardTimeout"
    jobs = rows(limited, "job", "attempt", "crashes", "error_class")
    assert jobs == [(1, 0, ""), (1, 0, ""), (2, 0, error)]
    assert worker.workers() != first
    assert worker.process.poll() is None
