"""The kinds of jobs in a campaign, and how each must end."""

from __future__ import annotations

from dataclasses import dataclass

SUCCESSFUL, FAILED, CANCELLED = "SUCCESSFUL", "FAILED", "CANCELLED"
DUPLICATE, REPLACED, EXPIRED, CALLED_OFF = "duplicate of ", "replaced by ", "expired", "called off"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job: its task, how often it comes among the others, and what must become of it.

    ``excuses`` are reasons, as they begin, with which it may be cancelled instead, even if it has never run.
    ``children`` is the number of jobs that it enqueues when it succeeds, where that number is promised; ``most`` is how
    many may run at once, where that is limited. Jobs of a kind in the ``side`` queue wait while that is paused. A job
    that is unique only ``until_start`` may run beside the next of its key.
    """

    name: str
    weight: float
    ends: str = SUCCESSFUL
    excuses: tuple[str, ...] = ()
    atomic: bool = False
    children: int | None = None
    most: int | None = None
    side: bool = False
    until_start: bool = False


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
        Kind("unique", 6, excuses=(DUPLICATE,)),
        Kind("latest", 4, excuses=(DUPLICATE, REPLACED)),
        Kind("fresh", 4, excuses=(DUPLICATE,), until_start=True),
        Kind("settled", 4, excuses=(DUPLICATE,)),
        Kind("perishable", 4, excuses=(EXPIRED,), side=True),
        Kind("held", 4, side=True),
        Kind("revocable", 5, excuses=(CALLED_OFF,)),
        # Those that nobody calls, or for another reason.
        Kind("tick", 0),
        Kind("chime", 0),
        Kind("poison", 0, ends=FAILED),
    )
}
