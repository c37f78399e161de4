"""The kinds of jobs in a campaign, and how each must end."""

from __future__ import annotations

from dataclasses import dataclass

SUCCESSFUL, FAILED = "SUCCESSFUL", "FAILED"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job: its task, how often it comes among the others, and what must become of it.

    ``children`` is the number of jobs that it enqueues when it succeeds, where that number is promised; ``most`` is how
    many may run at once, where that is limited.
    """

    name: str
    weight: float
    ends: str = SUCCESSFUL
    atomic: bool = False
    children: int | None = None
    most: int | None = None


KINDS = {
    kind.name: kind
    for kind in (
        Kind("quick", 40),
        Kind("swift", 12),
        Kind("slow", 5),
        Kind("unsteady", 5),
        Kind("hopeless", 2, ends=FAILED),
        Kind("scheduled", 6),
        Kind("chain", 6),
        Kind("effect", 16, atomic=True),
        Kind("link", 6, atomic=True, children=1),
        Kind("limited", 6, most=3),
        Kind("poison", 0, ends=FAILED),
    )
}
