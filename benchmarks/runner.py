"""Go through the rounds: in each, every contestant once, so that what disturbs the machine disturbs them all."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from .measures import Sample
from .peers import FLOOR, OURS, Peer
from .samples import figure
from .stage import Stage, Trouble
from .tables.base import Case, Plan, Section, Table


@dataclass(slots=True)
class Row:
    """A case and what came of it."""

    section: Section
    case: Case
    number: int = 0
    settings: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    trouble: str = ""

    def measure(self, stage: Stage) -> None:
        """Take one sample; a system that fails once is not asked again."""
        if self.trouble:
            return
        case = self.case
        try:
            with stage.scene(case.peer, case.load, case.database, self.number) as scene:
                self.settings, self.versions = scene.facts["settings"], scene.facts["versions"]
                self.samples.append(case.act(scene))
        except Trouble as trouble:
            self.trouble = str(trouble)

    @property
    def last_words(self) -> str:
        """Return the newest figure in words."""
        if self.trouble:
            return f"FAILED: {self.trouble}"
        column = self.section.columns[0]
        newest = figure(column, self.samples[-1:])
        return f"{newest.value:,.{column.digits}f} {column.title}" if newest else "-"

    def as_json(self) -> dict[str, Any]:
        """Return everything that a report needs."""
        return {
            "name": self.case.row,
            "role": role(self.case.peer),
            "peer": self.case.peer.title,
            "settings": self.settings if self.section.shows_settings else "",
            "samples": self.samples,
            "trouble": self.trouble,
        }


def role(peer: Peer) -> str:
    """Return what a system stands for in a table."""
    return {OURS.name: "ours", FLOOR.name: "floor"}.get(peer.name, "peer")


def run(table: Table, plan: Plan, stage: Stage, rounds: int) -> dict[str, Any]:
    """Measure a table and return it as JSON."""
    sections = [(section, [Row(section, case) for case in section.cases]) for section in table.sections(plan)]
    rounds = table.rounds or rounds
    progress = Progress(table.name, rounds * sum(len(rows) for _, rows in sections))
    for number in range(1, rounds + 1):
        for section, rows in sections:
            _run_round(section, rows, stage, functools.partial(progress.say, f"round {number} of {rounds}"))
    return {
        "name": table.name,
        "title": table.title,
        "about": table.about,
        "rounds": rounds,
        "sections": [_section_as_json(section, rows) for section, rows in sections],
        "versions": _versions([row for _, rows in sections for row in rows]),
    }


def _run_round(section: Section, rows: Sequence[Row], stage: Stage, say: Callable[[Row], None]) -> None:
    if not section.together:
        for row in rows:
            row.measure(stage)
            say(row)
        return
    for number, row in enumerate(rows, start=1):
        row.number = number
    with ThreadPoolExecutor(len(rows) or 1) as pool:
        for row, _ in zip(rows, pool.map(lambda row: row.measure(stage), rows), strict=True):
            say(row)


def _versions(rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Return what was installed for each system."""
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row.case.peer.title, {}).update(row.versions)
    return found


def _section_as_json(section: Section, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "title": section.title,
        "note": section.note,
        "columns": [asdict(column) for column in section.columns],
        "rows": [row.as_json() for row in rows],
    }


class Progress:
    """Says on standard error how far the table is."""

    def __init__(self, name: str, total: int) -> None:
        self._name = name
        self._total = total
        self._done = 0
        self._began = time.monotonic()

    def say(self, where: str, row: Row) -> None:
        """Say what a row has just come to."""
        self._done += 1
        elapsed = time.monotonic() - self._began
        left = elapsed / self._done * (self._total - self._done)
        place = f"{self._name}, {where}, {row.section.title}: {row.case.row}"
        print(f"{place}: {row.last_words}; {_minutes(left)} left", file=sys.stderr)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
