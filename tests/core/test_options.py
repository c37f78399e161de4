"""What may be set on a task."""

from __future__ import annotations

import math
from typing import Any

import pytest

from django_backie.core.options import backoff_problem, option_problem


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
        ("durability", "sometimes", "must be one of 'outbox', 'commit', 'now'"),
        ("sensitive", "card", "must be True, or a list of argument names"),
        ("sensitive", [1], "must be True, or a list of argument names"),
        ("sensitive", 1, "must be True, or a list of argument names"),
    ],
)
def test_a_problem_is_named_with_the_way_out(name: str, value: Any, problem: str) -> None:
    assert problem in (option_problem(name, value) or "no problem")


def test_waiting_times_that_are_all_nothing_are_allowed_only_in_a_list() -> None:
    assert backoff_problem([0, 0]) is None
    assert backoff_problem(0) is not None
