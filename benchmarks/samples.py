"""From samples to figures: pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Value = float | list[float]


@dataclass(frozen=True, slots=True)
class Column:
    """A figure of a table.

    ``statistic`` is how the samples of the rounds become one figure: their median, shown with its range, or a
    percentile of all the values of all of them. ``better`` says which way is better, where that can be said.
    """

    key: str
    title: str
    digits: int = 0
    better: Literal["more", "less", ""] = ""
    statistic: Literal["median", "p50", "p99"] = "median"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and the range of what it was made from."""

    value: float
    low: float
    high: float


def figure(column: Column, samples: Sequence[Mapping[str, Value]]) -> Figure | None:
    """Return the figure of a column, or None if nobody has measured it."""
    values = [sample[column.key] for sample in samples if column.key in sample]
    if not values:
        return None
    flat = [number for value in values for number in (value if isinstance(value, list) else [value])]
    middle = statistics.median(flat) if column.statistic == "median" else percentile(flat, int(column.statistic[1:]))
    return Figure(middle, min(flat), max(flat))


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that at least so many percent of the values do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, rank - 1)]


def advantage(column: Column, ours: Figure | None, theirs: Figure | None) -> float | None:
    """Return how many times better ours is; below 1 it is worse."""
    if ours is None or theirs is None or not column.better:
        return None
    better, worse = (ours, theirs) if column.better == "more" else (theirs, ours)
    return better.value / worse.value if worse.value else None


def as_column(fields: Mapping[str, Any]) -> Column:
    """Return a column that was written to a file."""
    return Column(**fields)
