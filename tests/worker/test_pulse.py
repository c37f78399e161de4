"""A child's loop counter, judged by its parent."""

from __future__ import annotations

import pytest

from django_backie.worker.pulse import KILL_MARGIN, LONGEST_LOOK, Pulse, Verdict

LEASE = 15.0
IDLE = 0.0


def looks(pulse: Pulse, seconds: int, *, turns: int = 7, busy_until: float = IDLE, start: float = 0.0) -> Verdict:
    """Look once a second and return the last verdict."""
    verdict = Verdict.MOVING
    for second in range(1, seconds + 1):
        verdict = pulse.feel(turns, busy_until, start + second)
    return verdict


def test_a_counter_that_moves_is_a_sign_of_life() -> None:
    pulse = Pulse(LEASE, 0.0)
    assert {pulse.feel(second, IDLE, float(second)) for second in range(100)} == {Verdict.MOVING}


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        (LEASE, Verdict.MOVING),
        (LEASE + 1, Verdict.STANDING),
        (LEASE + KILL_MARGIN, Verdict.STANDING),
        (LEASE + KILL_MARGIN + 1, Verdict.WEDGED),
    ],
)
def test_a_loop_that_stands_loses_its_lease_and_then_its_process(seconds: float, verdict: Verdict) -> None:
    assert looks(Pulse(LEASE, 0.0), int(seconds)) is verdict


def test_a_loop_that_moves_again_is_alive_again() -> None:
    pulse = Pulse(LEASE, 0.0)
    assert looks(pulse, 20) is Verdict.STANDING
    assert pulse.feel(8, IDLE, 21.0) is Verdict.MOVING
    assert looks(pulse, 10, turns=8, start=21.0) is Verdict.MOVING


def test_a_job_that_may_still_run_excuses_a_loop_that_stands() -> None:
    assert looks(Pulse(LEASE, 0.0), 600, busy_until=601.0) is Verdict.MOVING


def test_the_excuse_ends_with_the_timeout_of_the_job() -> None:
    pulse = Pulse(LEASE, 0.0)
    assert looks(pulse, 99 + int(LEASE) - 1, busy_until=100.0) is Verdict.MOVING
    assert looks(pulse, 2, busy_until=100.0, start=99.0 + LEASE) is Verdict.STANDING


def test_what_the_parent_has_slept_through_does_not_count() -> None:
    pulse = Pulse(LEASE, 0.0)
    pulse.feel(7, IDLE, 1.0)
    assert pulse.feel(7, IDLE, 10_000.0) is Verdict.MOVING
    assert LONGEST_LOOK < LEASE


def test_how_long_a_loop_stands_is_known_though_a_job_excuses_it() -> None:
    pulse = Pulse(LEASE, 0.0)
    looks(pulse, 12, busy_until=601.0)
    assert pulse.stands_for == 11.0
    pulse.feel(8, 601.0, 13.0)
    assert pulse.stands_for == 0.0
