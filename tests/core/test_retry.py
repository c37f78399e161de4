"""How long to wait before trying again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_backie.core import retry

MIDDLE = 0.5


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 15), (2, 30), (3, 60), (4, 120), (8, 1920), (9, 3600), (500, 3600)]
)
def test_a_number_doubles_with_each_failure_up_to_an_hour(failures: int, seconds: float) -> None:
    assert retry.delay(15.0, failures, MIDDLE) == pytest.approx(seconds)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 10), (3, 7200), (4, 7200), (99, 7200)])
def test_a_list_is_taken_as_written_and_its_last_value_repeats(failures: int, seconds: float) -> None:
    assert retry.delay((1.0, 10.0, 7200.0), failures, MIDDLE) == pytest.approx(seconds)


def test_a_number_above_an_hour_is_one_hour() -> None:
    assert retry.delay(86_400.0, 1, MIDDLE) == pytest.approx(3600)


@pytest.mark.parametrize(("dice", "seconds"), [(0.0, 8.0), (0.5, 10.0), (0.999999, 12.0)])
def test_the_dice_spread_a_wait_by_a_fifth(dice: float, seconds: float) -> None:
    assert retry.delay((10.0,), 1, dice) == pytest.approx(seconds, abs=0.001)


@given(st.floats(0.001, 1e9), st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_negative_nor_endless(backoff: float, failures: int, dice: float) -> None:
    assert 0 < retry.delay(backoff, failures, dice) <= retry.LONGEST * 1.2


def test_no_wait_may_be_asked_for_in_a_list() -> None:
    assert retry.delay((0.0, 5.0), 1, MIDDLE) == 0
