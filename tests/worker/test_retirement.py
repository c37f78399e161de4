"""When a process has done its part."""

from __future__ import annotations

import pytest

from django_backie.worker.retirement import MIB, Retirement, resident
from tests.helpers import StandingClock


def test_without_limits_a_process_goes_on() -> None:
    retirement = Retirement(None, None)
    retirement.take(1_000_000)

    assert (retirement.is_due, retirement.room(7)) == (False, 7)


def test_a_process_takes_no_more_jobs_than_it_may() -> None:
    retirement = Retirement(10, None)
    retirement.take(8)
    assert (retirement.is_due, retirement.room(7)) == (False, 2)

    retirement.take(2)
    assert (retirement.is_due, retirement.room(7)) == (True, 0)


def test_a_process_that_has_grown_takes_no_more_jobs(caplog: pytest.LogCaptureFixture) -> None:
    clock, sizes = StandingClock(), [99 * MIB, 100 * MIB, 100 * MIB + 1]
    retirement = Retirement(None, 100 * MIB, clock, lambda: sizes.pop(0))
    retirement.take(1)
    for _ in range(2):
        assert (retirement.is_due, retirement.room(7)) == (False, 7)
        clock.time += 1.0

    assert (retirement.is_due, retirement.room(7)) == (True, 0)
    assert "this process has 100 MiB, more than the 100 of --max-memory: it ends" in caplog.text


def test_a_process_runs_one_job_at_least() -> None:
    retirement = Retirement(None, 1, StandingClock(), lambda: MIB)
    assert (retirement.is_due, retirement.room(7)) == (False, 7)
    retirement.take(1)
    assert retirement.is_due


def test_memory_is_looked_at_once_a_second() -> None:
    clock, looks = StandingClock(), []
    retirement = Retirement(None, MIB, clock, lambda: len(looks.append(clock.time) or looks))
    retirement.take(1)
    for _ in range(20):
        assert not retirement.is_due
        clock.time += 0.1

    assert looks == pytest.approx([1000.0, 1001.0], abs=0.11)


def test_the_system_tells_how_much_memory_this_process_has() -> None:
    before = resident()
    block = bytearray(64 * MIB)

    assert 60 * MIB < resident() - before < 80 * MIB
    assert len(block) == 64 * MIB
