"""The plan of a campaign comes from its seed alone."""

from __future__ import annotations

from collections import Counter

from django_backie.chaos.plan import ALL, GAP, LONG, SHORT, draw
from django_backie.chaos.strikes import ACTS


def test_a_seed_gives_the_same_plan_again() -> None:
    assert draw(7, 60, SHORT) == draw(7, 60, SHORT)
    assert draw(7, 60, SHORT) != draw(8, 60, SHORT)


def test_a_minute_has_more_than_a_hundred_and_fifty_faults_of_every_kind() -> None:
    for seed in range(20):
        strikes = draw(seed, 60, SHORT)

        assert len(strikes) >= 180
        assert len({strike.fault.name for strike in strikes}) >= len(SHORT) - 3
    assert {strike.fault.name for seed in range(20) for strike in draw(seed, 60, SHORT)} == {f.name for f in SHORT}


def test_strikes_come_in_order_and_within_the_time() -> None:
    times = [strike.at for strike in draw(7, 60, SHORT)]

    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= 60


def test_faults_of_one_resource_do_not_overlap() -> None:
    free: dict[str, float] = {}
    for strike in draw(7, 600, LONG):
        resource = strike.fault.resource
        if resource:
            assert strike.at >= free.get(resource, 0.0), f"{strike.fault.name} while {resource} is away"
            free[resource] = strike.at + strike.lasts + GAP


def test_only_the_wanted_faults_are_planned() -> None:
    wanted = [ALL["kill-child"], ALL["flushall"]]

    assert set(Counter(strike.fault.name for strike in draw(7, 60, wanted))) == {"kill-child", "flushall"}


def test_a_fault_lasts_as_long_as_it_may() -> None:
    for strike in draw(7, 600, LONG):
        low, high = strike.fault.lasts

        assert low <= strike.lasts <= high


def test_every_fault_can_be_done() -> None:
    assert ACTS.keys() == ALL.keys()
