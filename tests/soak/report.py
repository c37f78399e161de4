"""Figures with bounds, as a table or as JSON."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value and the bound it has to keep."""

    name: str
    value: float
    bound: float
    unit: str = ""
    note: str = ""

    @property
    def is_kept(self) -> bool:
        """Tell whether the value is within the bound."""
        return self.value <= self.bound


@dataclass(slots=True)
class Report:
    """What a program has found."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        """Add a figure and show it at once: the next one may take minutes."""
        self.figures.append(figure)
        say(_line(figure))

    def require(self, holds: bool, otherwise: str) -> None:
        """Note what is wrong unless the condition holds."""
        if not holds:
            self.broken.append(otherwise)
            say(f"  BROKEN: {otherwise}")

    @property
    def is_good(self) -> bool:
        """Tell whether every bound is kept and nothing is broken."""
        return not self.broken and all(figure.is_kept for figure in self.figures)

    def as_json(self) -> str:
        """Return everything for a machine."""
        figures = [{**asdict(figure), "kept": figure.is_kept} for figure in self.figures]
        return json.dumps({"title": self.title, "good": self.is_good, "figures": figures, "broken": self.broken})


def spread(seconds: Sequence[float]) -> str:
    """Return the middle and the number of measurements in words."""
    return f"median {statistics.median(seconds):.2f} s of {len(seconds)}" if seconds else "none"


def say(line: str) -> None:
    """Write a line to the person who waits; the report in JSON goes to standard output alone."""
    sys.stderr.write(f"{line}\n")


def _line(figure: Figure) -> str:
    verdict = "OK" if figure.is_kept else "TOO MUCH"
    name, value = f"  {figure.name:<64}", f"{figure.value:>10.2f}"
    return f"{name}{value} {figure.unit:<4} bound {figure.bound:>7g}  {verdict:<8}  {figure.note}"
