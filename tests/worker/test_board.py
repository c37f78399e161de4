"""The memory that parent and child share."""

from __future__ import annotations

from uuid import UUID

from django_backie.worker.board import Board, Limited

A, B = str(UUID(int=1)), str(UUID(int=2))


def test_the_started_jobs_are_those_that_have_not_ended() -> None:
    board = Board(3)
    board.begin(0, A)
    board.begin(2, B)
    assert board.started() == [A, B]
    board.end(0)
    assert board.started() == [B]


def test_the_process_may_be_busy_until_the_last_of_its_jobs_must_end() -> None:
    board = Board(3)
    assert board.busy_until() == 0.0
    board.begin(0, A, 10.0)
    board.begin(1, B, 20.0)
    assert board.busy_until() == 20.0
    board.end(1)
    assert board.busy_until() == 10.0


def test_a_job_without_a_timeout_may_keep_the_process_busy_for_ever() -> None:
    board = Board(1)
    board.begin(0, A)
    assert board.busy_until() == float("inf")


def test_jobs_with_a_hard_timeout_are_told_with_their_deadlines() -> None:
    board = Board(3)
    board.begin(0, A, 10.0)
    board.begin(1, B, 20.0, 20.0, 2**53)
    assert board.limited() == [Limited(1, B, 20.0, 2**53)]
    board.end(1)
    assert board.limited() == []


def test_the_threads_of_started_jobs_are_known_by_their_slots() -> None:
    board = Board(2)
    for slot in range(2):
        board.serve(slot, 2**63 + slot)
    board.begin(1, B)
    assert board.threads() == {B: 2**63 + 1}
    board.end(1)
    board.begin(1, A)
    assert board.threads() == {A: 2**63 + 1}


def test_the_renewal_is_told_in_seconds() -> None:
    board = Board(1)
    board.renewed(12.3456)
    assert board.last_renewed() == 12.345


def test_a_cleared_board_remembers_nothing() -> None:
    board = Board(1)
    board.begin(0, A, 10.0)
    board.renewed(5.0)
    board.add("turns")
    board.clear()
    assert (board.started(), board.last_renewed(), board.get("turns")) == ([], 0.0, 0)


def test_the_child_learns_what_the_parent_has_told_while_its_loop_turns() -> None:
    board = Board(1)
    assert board.turn() == 0
    board.set("asked", 1_790_000_000_000)
    assert board.turn() == 1_790_000_000_000
    assert board.get("turns") == 2


def test_a_new_child_has_been_told_nothing() -> None:
    board = Board(1)
    board.set("asked", 7)
    board.clear()
    assert board.turn() == 0
