"""Rates, shared limits, and the text that travels."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_backie.core.limits import Rate, Shared, checked_hold, digests_of, limit_key_of, rate_of, slots_text
from django_backie.exceptions import InvalidOption


@pytest.mark.parametrize(
    ("rate", "interval"),
    [
        ("1/s", 1.0),
        ("100/m", 0.6),
        (" 5 / s ", 0.2),
        ("1000/24h", 86.4),
        ("1/30d", timedelta(days=30).total_seconds()),
        ("100000/s", 0.00001),
    ],
)
def test_a_rate_is_a_number_and_a_time(rate: str, interval: float) -> None:
    assert Rate(rate).interval == pytest.approx(interval)


@pytest.mark.parametrize(
    "rate", ["", "100", "100/", "/m", "0/s", "5/0s", "5/w", "-1/s", "1.5/s", "5/s/m", 5, None, b"5/s"]
)
def test_what_is_no_rate_is_refused_with_an_example(rate: Any) -> None:
    with pytest.raises(InvalidOption, match="is no rate; write a number and a time, such as '100/m'"):
        Rate(rate)


@pytest.mark.parametrize("rate", ["100001/s", "1/367d"])
def test_a_rate_beyond_what_redis_could_keep_is_refused(rate: str) -> None:
    with pytest.raises(InvalidOption, match="is beyond"):
        Rate(rate)


@pytest.mark.parametrize("burst", [0, -1, 1.5, True, "2", 100_001])
def test_a_burst_is_a_whole_number(burst: Any) -> None:
    with pytest.raises(InvalidOption, match=r"burst of '5/s' is .*, it must be a whole number from 1"):
        Rate("5/s", burst=burst)


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (Rate("100/m"), "rabc|600.000000|100"),
        (Rate("100/m", burst=7), "rabc|600.000000|7"),
        (Rate("3/s"), "rabc|333.333333|3"),
        (Rate("1000000/d"), "rabc|86.400000|100000"),
    ],
)
def test_a_rate_travels_as_its_key_the_milliseconds_of_a_token_and_the_most(rate: Rate, text: str) -> None:
    assert rate.text("abc") == text


def test_a_rate_may_be_written_as_text() -> None:
    assert rate_of("5/s") == Rate("5/s")
    assert rate_of(Rate("5/s", 2)) == Rate("5/s", 2)


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_shared_limit_has_a_name(name: Any) -> None:
    with pytest.raises(InvalidOption, match="the name of a shared limit is"):
        Shared(name)


@pytest.mark.parametrize("by", [7, [1], None])
def test_a_key_that_can_be_none_is_refused(by: Any) -> None:
    with pytest.raises(InvalidOption, match="its key is"):
        Shared("stripe", by=by)
    with pytest.raises(InvalidOption, match="its key is"):
        limit_key_of(by)


def test_names_of_a_key_are_kept_in_their_order() -> None:
    assert limit_key_of(["b", "a"]) == ("b", "a")
    assert Shared("stripe", by="account").by == ("account",)
    assert limit_key_of(Shared("stripe")) == Shared("stripe")


def test_limits_are_held_by_names_without_their_kinds() -> None:
    assert digests_of(f"{slots_text('a1', 3)} {Rate('5/s').text('b2')}") == ["a1", "b2"]
    assert digests_of("") == []


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), True, "5", None, 366 * 86_400 + 1])
def test_a_hold_is_a_time(seconds: Any) -> None:
    with pytest.raises(InvalidOption, match="a limit is held for a number of seconds from 0"):
        checked_hold(seconds)
