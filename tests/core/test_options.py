"""What may be set on a task."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from django_backie.core.options import backoff_problem, option_problem, timeouts_problem


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_attempts", 1),
        ("max_attempts", 1000),
        ("backoff", 1),
        ("backoff", 0.5),
        ("backoff", [1, 2.5]),
        ("backoff", (0, 60)),
        ("timeout", 1),
        ("timeout", 0.1),
        ("timeout", timedelta(minutes=1)),
        ("hard_timeout", 0.1),
        ("hard_timeout", timedelta(minutes=1)),
        ("durability", "outbox"),
        ("durability", "commit"),
        ("durability", "now"),
        ("sensitive", True),
        ("sensitive", False),
        ("sensitive", ["card"]),
        ("sensitive", frozenset({"card"})),
    ],
)
def test_a_sensible_value_is_no_problem(name: str, value: Any) -> None:
    assert option_problem(name, value) is None


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("max_attempts", 0, "must be a whole number from 1"),
        ("max_attempts", 1.5, "must be a whole number from 1"),
        ("max_attempts", True, "must be a whole number from 1"),
        ("max_attempts", "3", "must be a whole number from 1"),
        ("backoff", 0, "0 is not above 0"),
        ("backoff", -1, "-1 is not above 0"),
        ("backoff", [1, -2], "-2 is not above 0"),
        ("backoff", [], "an empty list"),
        ("backoff", "1", "'1' is not a number"),
        ("backoff", [1, None], "None is not a number"),
        ("backoff", True, "True is not a number"),
        ("backoff", math.nan, "nan is not"),
        ("timeout", 0, "must be a number of seconds above 0"),
        ("timeout", -1, "must be a number of seconds above 0"),
        ("timeout", "1m", "must be a number of seconds above 0"),
        ("timeout", True, "must be a number of seconds above 0"),
        ("timeout", math.nan, "must be a number of seconds above 0"),
        ("timeout", timedelta(0), "must be a number of seconds above 0"),
        ("hard_timeout", 0, "must be a number of seconds above 0, or a timedelta, ten years at most"),
        ("hard_timeout", math.inf, "ten years at most"),
        ("hard_timeout", True, "must be a number of seconds above 0"),
        ("durability", "sometimes", "must be one of 'outbox', 'commit', 'now'"),
        ("sensitive", "card", "must be True, or a list of argument names"),
        ("sensitive", [1], "must be True, or a list of argument names"),
        ("sensitive", 1, "must be True, or a list of argument names"),
    ],
)
def test_a_problem_is_named_with_the_way_out(name: str, value: Any, problem: str) -> None:
    assert problem in (option_problem(name, value) or "no problem")


@pytest.mark.parametrize(("soft", "hard"), [(None, 1), (1, None), (None, None), (1, 1.5)])
def test_a_hard_timeout_beyond_the_soft_one_is_no_problem(soft: Any, hard: Any) -> None:
    assert timeouts_problem(soft, hard) is None


@pytest.mark.parametrize("hard", [29, 30])
def test_a_hard_timeout_that_leaves_the_soft_one_no_time_is_a_problem(hard: float) -> None:
    assert timeouts_problem(30, hard) == f"hard_timeout is {hard} and timeout is 30: the hard one must be larger"


def test_waiting_times_that_are_all_nothing_are_allowed_only_in_a_list() -> None:
    assert backoff_problem([0, 0]) is None
    assert backoff_problem(0) is not None
