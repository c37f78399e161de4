"""The processes of a campaign are kept at their number, and end with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_backie.chaos.processes import Keeper, Program, children, groups
from tests.lifecycle.conftest import until

FAMILY = "import os, time; os.fork(); time.sleep(100)"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program("family", ["-c", FAMILY], tmp_path)
    yield program
    program.end()


def family_of(program: Program) -> list[int]:
    """Return the leader and its child, once both are there."""
    return until(lambda: [program.pid, *children(program.pid)] if children(program.pid) else None)


def test_a_killed_program_is_started_again(program: Program) -> None:
    keeper = Keeper([program])
    keeper.start()
    first = program.pid
    os.kill(first, signal.SIGKILL)

    until(lambda: program.pid not in {0, first})
    keeper.end()


def test_nothing_is_left_of_a_program(program: Program) -> None:
    program.start()
    leader, _ = family_of(program)
    program.end()

    assert leader not in groups()


def test_children_of_a_leader_that_was_killed_are_ended_too(program: Program) -> None:
    program.start()
    leader, _ = family_of(program)
    os.kill(leader, signal.SIGKILL)
    until(lambda: program.pid == 0)
    program.keep()
    assert leader in groups()
    program.end()

    assert leader not in groups()


def test_a_stopped_tree_is_ended_too(program: Program) -> None:
    program.start()
    leader, _ = family_of(program)
    program.send_tree(signal.SIGSTOP)
    program.end()

    assert leader not in groups()
