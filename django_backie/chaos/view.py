"""The facts, looked up by job, and what is said of them where something is wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from .facts import Execution, Facts, Order, Outages
from .kinds import KINDS

LOST = "lost"
# Seconds in which something reaches the database while both are there; and how long at most it is not looked for again
# after the database was away, if it was away for as long (duties/mirror.py).
MOMENT, LONGEST_PAUSE = 1.5, 5.0


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that should not be. ``job`` is empty where it is not about one job."""

    invariant: str
    job: str
    expected: str
    found: str


class View:
    """The facts, looked up by job."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.orders = {order.job: order for order in facts.orders}
        self.rows = {row.job: row for row in facts.rows}

    @cached_property
    def executions(self) -> dict[str, list[Execution]]:
        """Return the executions of each job."""
        found: dict[str, list[Execution]] = defaultdict(list)
        for execution in self.facts.executions:
            found[execution.job].append(execution)
        return dict(found)

    @cached_property
    def key_of(self) -> dict[str, str]:
        """Return the key of each unique job, with its task."""
        return {call.job: f"{call.kind} {call.key}" for call in self.facts.calls}

    @cached_property
    def successes(self) -> Counter[str]:
        """Return how many successful attempts the table has of each job."""
        return Counter(ended.job for ended in self.facts.ended if ended.outcome == "succeeded")

    @cached_property
    def accepted(self) -> frozenset[tuple[str, int]]:
        """Return job and number of the successful attempts that the table has."""
        return frozenset((ended.job, ended.number) for ended in self.facts.ended if ended.outcome == "succeeded")

    @cached_property
    def counted(self) -> Counter[str]:
        """Return how many attempts of each job have ended and count: one that was lost with its worker does not."""
        return Counter(ended.job for ended in self.facts.ended if ended.outcome != LOST)

    @cached_property
    def children(self) -> Counter[str]:
        """Return how many jobs each job has enqueued."""
        return Counter(order.parent for order in self.facts.orders if order.parent)

    def of_kind(self, *, atomic: bool) -> Iterator[Order]:
        """Yield the orders of atomic jobs, or of the others."""
        return (order for order in self.facts.orders if KINDS[order.kind].atomic is atomic)


def leased(view: View, job: str) -> list[Execution]:
    """Return the runs of a job that surely had a lease all the time, for their end was accepted."""
    runs = view.executions.get(job, [])
    numbers = Counter(run.attempt for run in runs)
    return [run for run in runs if run.ended and (job, run.attempt) in view.accepted and numbers[run.attempt] == 1]


def written_by(at: float, outages: Outages) -> float:
    """Return when what happened at a time is in the database: a moment later, or after that is back and looked for."""
    at += MOMENT
    for start, end in sorted(outages.unwritable):
        back = end + MOMENT + min(end - start, LONGEST_PAUSE)
        if start < at < back:
            at = back
    return at


def is_forgotten(at: float, outages: Outages) -> bool:
    """Tell whether nobody can know of what happened at a time: Redis lost its memory before the database had it."""
    written = written_by(at, outages)
    return any(at < end and start < written for start, end in outages.wipes)
