"""What waits for a thread is handed back only where a thread is long in its job."""

from __future__ import annotations

from django_backie.worker.pools.backlog import LONGEST_LOOK, STALE_BACKLOG, Backlog

STARTED = 5.0


def looks(backlog: Backlog, count: int, *, waiting: int = 3, started: float = STARTED, since: float = STARTED) -> bool:
    """Look so often, as far apart as a worker does, and return the last answer."""
    answers = [backlog.is_stuck(waiting, started, since + LONGEST_LOOK * number) for number in range(1, count + 1)]
    return answers[-1]


def test_what_waits_behind_a_long_attempt_is_stuck() -> None:
    backlog = Backlog()
    needed = int(STALE_BACKLOG / LONGEST_LOOK) + 2
    assert not looks(backlog, needed - 1)
    assert looks(backlog, 1, since=STARTED + LONGEST_LOOK * (needed - 1))


def test_a_line_that_moves_is_not_stuck() -> None:
    backlog = Backlog()
    assert not any(backlog.is_stuck(3, number * LONGEST_LOOK, number * LONGEST_LOOK) for number in range(100))


def test_a_line_in_which_nobody_waits_is_not_stuck() -> None:
    assert not looks(Backlog(), 100, waiting=0)


def test_who_comes_after_a_long_wait_for_nothing_has_waited_for_nothing() -> None:
    backlog = Backlog()
    looks(backlog, 100, waiting=0)
    assert not looks(backlog, 1, since=STARTED + LONGEST_LOOK * 100)


def test_what_the_process_has_slept_through_does_not_count() -> None:
    backlog = Backlog()
    backlog.is_stuck(3, STARTED, STARTED)
    assert not backlog.is_stuck(3, STARTED, STARTED + 3600.0)


def test_a_line_that_moves_again_is_free_again() -> None:
    backlog = Backlog()
    assert looks(backlog, 100)
    again = STARTED + LONGEST_LOOK * 101
    assert not backlog.is_stuck(3, again, again)
