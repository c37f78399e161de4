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
    project.environment["BACKIE_LIFECYCLE_MODULES"] = "tests.app.time_limits"
    return project


def delay(project: Project, *calls: str) -> list[str]:
    """Enqueue jobs and return their ids."""
    made = ", ".join(calls)
    return list(
        project.run(f"from tests.app.time_limits import *\nprint(json.dumps([result.id for result in [{made}]]))")
    )


def rows(project: Project, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of a table, in the order of making; a process for each question would cost too much."""
    with closing(sqlite3.connect(project.directory / "project.sqlite3")) as database:
        return database.execute(f"SELECT {', '.join(columns)} FROM django_backie_{table} ORDER BY id").fetchall()  # noqa: S608


def test_a_job_that_holds_the_gil_for_ever_is_replaced_and_its_neighbours_are_not_charged(limited: Project) -> None:
    worker = limited.worker("--threads", "2")
    (first,) = until(worker.workers)
    gate = limited.directory / "gate"
    delay(limited, *(f"{task}.delay('{gate}', '{limited.marks}')" for task in ("wait_in_thread", "wait_beside")))
    until(lambda: sorted(limited.marked()) == ["loop", "thread"])
    delay(limited, f"hold_the_gil.delay('{limited.marks}')")
    until(lambda: ("FAILED",) in rows(limited, "job", "state"))
    gate.touch()
    until(lambda: rows(limited, "job", "state") == [("SUCCESSFUL",), ("SUCCESSFUL",), ("FAILED",)])
    error = "django_backie.exceptions.HardTimeout"
    jobs = rows(limited, "job", "attempt", "crashes", "error_class")
    assert jobs == [(1, 0, ""), (1, 0, ""), (2, 0, error)]
    assert first not in worker.workers()
    assert worker.process.poll() is None


def test_a_job_that_heeds_no_exception_is_replaced_and_told_with_its_stack(limited: Project) -> None:
    worker = limited.worker("--threads", "1")
    delay(limited, f"heed_nothing.delay('{limited.marks}')")
    until(lambda: rows(limited, "job", "state") == [("FAILED",)])
    assert limited.marked() == ["begun", "asked"]
    ((outcome, message, traceback),) = rows(limited, "attempt", "outcome", "error_message", "traceback")
    assert outcome == "timed_out"
    assert message == "ran longer than its hard timeout of 3 s, its worker process was replaced"
    assert "in heed_nothing" in traceback.splitlines()[-1]
    assert "in heed_nothing" in worker.output


def test_an_async_job_that_blocks_its_loop_is_replaced(limited: Project) -> None:
    limited.worker()
    delay(limited, f"block_the_loop.delay('{limited.marks}')")
    until(lambda: rows(limited, "job", "state", "crashes") == [("FAILED", 0)])
    ((traceback,),) = rows(limited, "attempt", "traceback")
    assert "in block_the_loop" in traceback.splitlines()[-1]


def test_another_process_of_the_worker_goes_on(limited: Project) -> None:
    worker = limited.worker("--threads", "1", "--processes", "2")
    before = set(until(lambda: worker.workers() if len(worker.workers()) == 2 else None))
    gate = limited.directory / "gate"
    delay(limited, f"wait_in_thread.delay('{gate}', '{limited.marks}')")
    until(limited.marked)
    delay(limited, f"hold_the_gil.using(max_attempts=1).delay('{limited.marks}')")
    until(lambda: ("FAILED",) in rows(limited, "job", "state"))
    gate.touch()
    until(lambda: rows(limited, "job", "state") == [("SUCCESSFUL",), ("FAILED",)])
    assert limited.marked() == ["thread", "held"]
    assert len(before & set(worker.workers())) == 1


def test_a_job_that_holds_the_gil_is_told_of_by_the_parent_long_before_it_is_killed(limited: Project) -> None:
    limited.environment["BACKIE_LIFECYCLE_OPTIONS"] = '{"WATCHDOG": 1}'
    worker = limited.worker("--threads", "1")
    (job,) = delay(limited, f"hold_the_gil.using(hard_timeout=600).delay('{limited.marks}')")
    until(lambda: "nothing has moved in worker process" in worker.output)
    until(lambda: "in hold_the_gil" in worker.output)
    assert f"job {job} (tests.app.time_limits.hold_the_gil):" in worker.output
