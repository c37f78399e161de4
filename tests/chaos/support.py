"""Facts of a campaign in which all went well, to be broken one by one."""

from __future__ import annotations

from django_backie.chaos.facts import Ended, Execution, Facts, Order, Remains, Row

QUICK, EFFECT, LINK, CHILD, PILL, HOPELESS = (f"01a20424-d3be-7610-9513-60cc5cb6e81{n}" for n in range(6))
KEYS = ("b", "h", "q:.+", "qs", "seq", "w:.+")


def good_facts() -> Facts:
    """Return facts in which every invariant holds: six jobs of five kinds."""
    return Facts(
        orders=(
            Order(QUICK, "quick"),
            Order(EFFECT, "effect"),
            Order(LINK, "link"),
            Order(CHILD, "quick", parent=LINK),
            Order(PILL, "poison"),
            Order(HOPELESS, "hopeless"),
        ),
        rows=(
            Row(QUICK, "SUCCESSFUL"),
            Row(EFFECT, "SUCCESSFUL"),
            Row(LINK, "SUCCESSFUL"),
            Row(CHILD, "SUCCESSFUL"),
            Row(PILL, "FAILED", reason="killed its worker 3 times", attempt=0, crashes=3),
            Row(HOPELESS, "FAILED", error="RuntimeError: as always", attempt=2, max_attempts=2),
        ),
        ended=(
            Ended(QUICK, 1, "succeeded"),
            Ended(EFFECT, 1, "succeeded"),
            Ended(LINK, 1, "succeeded"),
            Ended(CHILD, 1, "succeeded"),
            *(Ended(PILL, 1, "lost") for _ in range(3)),
            *(Ended(HOPELESS, number, "failed") for number in (1, 2)),
        ),
        executions=(
            *(Execution(job, 1, 100, 1.0, 2.0, succeeded=True) for job in (QUICK, EFFECT, LINK, CHILD)),
            *(Execution(PILL, 1, pid, 10.0 * pid) for pid in (1, 2, 3)),
            *(Execution(HOPELESS, number, 100, number, number + 0.5) for number in (1, 2)),
        ),
        counter=2,
        effects=(EFFECT, LINK),
        quiet=Remains(keys=("chaos:{0}:qs", "chaos:{0}:seq"), workers=("a",)),
        over=Remains(keys=("chaos:{0}:qs", "chaos:{0}:seq")),
        known_keys=KEYS,
    )
