"""What a campaign has done to the database and to its writers, for the checker's forgiveness."""

from __future__ import annotations

from django_backie.chaos.stage import COMES_BACK, Struck, outages


def test_a_locked_database_takes_no_writes() -> None:
    assert outages([Struck("database-down", 1, 3)], hosts=2).unwritable == ((1, 3),)


def test_nobody_writes_while_all_housekeeping_processes_are_gone() -> None:
    struck = [Struck("kill-duties", 10, 10), Struck("kill-tree", 11, 11), Struck("term", 12, 12)]

    assert outages(struck, hosts=3).unwritable == ((12, 10 + COMES_BACK),)
    assert outages(struck, hosts=2).unwritable == ((11, 11 + COMES_BACK),)


def test_one_that_is_left_writes() -> None:
    struck = [Struck("kill-duties", 10, 10), Struck("kill-tree", 10 + COMES_BACK, 14)]

    assert outages(struck, hosts=2).unwritable == ()


def test_a_memory_is_lost_where_a_fault_says_so() -> None:
    assert outages([Struck("flushall", 5, 5), Struck("redis-kill", 6, 7)], hosts=1).wipes == ((5, 5),)
