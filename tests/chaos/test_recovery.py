"""How long jobs of a struck worker waited."""

from __future__ import annotations

from django_backie.chaos.facts import Execution
from django_backie.chaos.recovery import recoveries
from django_backie.chaos.stage import Struck

KILL = Struck("kill-child", 10.0, 10.0, victims=(100,))


def test_the_wait_is_from_the_fault_to_the_next_start() -> None:
    runs = [Execution("a", 1, 100, 9.0), Execution("a", 1, 200, 10.25, 11.0, succeeded=True)]
    (found,) = recoveries([KILL], runs)

    assert (found.name, found.jobs, found.median, found.slowest) == ("kill-child", 1, 0.25, 0.25)
    assert (found.undisturbed, found.slowest_undisturbed) == (1, 0.25)


def test_jobs_that_had_ended_or_ran_elsewhere_do_not_count() -> None:
    runs = [
        Execution("ended", 1, 100, 8.0, 9.0, succeeded=True),
        Execution("ended", 1, 300, 12.0),
        Execution("elsewhere", 1, 200, 9.0),
        Execution("elsewhere", 1, 300, 12.0),
    ]

    assert recoveries([KILL], runs) == []


def test_a_second_crash_waits_by_design_and_does_not_count() -> None:
    runs = [Execution("a", 1, 50, 5.0), Execution("a", 2, 100, 9.0), Execution("a", 3, 200, 40.0)]

    assert recoveries([KILL], runs) == []


def test_a_recovery_while_redis_was_away_is_counted_apart() -> None:
    runs = [
        Execution("a", 1, 100, 9.0),
        Execution("b", 1, 100, 9.0),
        Execution("b", 1, 200, 10.5),
        Execution("a", 1, 200, 14.0),
    ]
    (found,) = recoveries([KILL, Struck("redis-freeze", 11.0, 13.0)], runs)

    assert (found.jobs, found.slowest) == (2, 4.0)
    assert (found.undisturbed, found.slowest_undisturbed) == (1, 0.5)


def test_a_stopped_worker_s_job_counts_though_it_ends_there_later() -> None:
    stop = Struck("stop-tree", 10.0, 15.0, victims=(100,))
    runs = [Execution("a", 1, 100, 9.0, 15.5), Execution("a", 1, 200, 14.0, 15.0, succeeded=True)]
    (found,) = recoveries([stop], runs)

    assert (found.name, found.slowest) == ("stop-tree", 4.0)
