"""What jobs write down about themselves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from django_backie.chaos import executions


def test_an_execution_has_a_start_and_an_end(tmp_path: Path) -> None:
    file = tmp_path / "executions"
    with executions.recorded(file, "a", 2):
        pass
    (found,) = executions.read(file)

    assert (found.job, found.attempt, found.pid, found.succeeded) == ("a", 2, os.getpid(), True)
    assert found.ended is not None
    assert found.ended >= found.started


def test_an_execution_that_raises_has_ended_but_not_succeeded(tmp_path: Path) -> None:
    file = tmp_path / "executions"
    with pytest.raises(RuntimeError), executions.recorded(file, "a", 1):
        raise RuntimeError
    (found,) = executions.read(file)

    assert (found.ended is not None, found.succeeded) == (True, False)


def test_an_execution_that_was_killed_has_no_end() -> None:
    killed, again = executions.parse(["start a 1 100 1.0", "start a 1 200 2.0", "ok a 1 200 3.0"])

    assert (killed.pid, killed.ended, killed.succeeded) == (100, None, False)
    assert (again.pid, again.ended, again.succeeded) == (200, 3.0, True)


def test_executions_of_several_processes_are_told_apart() -> None:
    lines = ["start a 1 100 1.0", "start a 1 200 2.0", "error a 1 100 3.0", "ok a 1 200 4.0"]

    assert [(run.pid, run.ended, run.succeeded) for run in executions.parse(lines)] == [
        (100, 3.0, False),
        (200, 4.0, True),
    ]


def test_a_second_run_in_the_same_process_is_another_execution() -> None:
    lines = ["start a 1 100 1.0", "start a 1 100 2.0", "ok a 1 100 3.0"]

    assert [(run.started, run.ended) for run in executions.parse(lines)] == [(1.0, None), (2.0, 3.0)]


def test_there_are_no_executions_without_a_file(tmp_path: Path) -> None:
    assert executions.read(tmp_path / "none") == ()
