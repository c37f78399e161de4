"""Expiry, pauses, cancellation and schedules as a campaign shows them: I11 to I14."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .facts import Facts, Pause, Timetable
from .kinds import CALLED_OFF, CANCELLED, DUPLICATE, EXPIRED, KINDS, REPLACED
from .layout import EVERY, SIDE
from .view import View, Violation, is_forgotten, leased, written_by

# Seconds for which a process may be stopped (plan.py), and a little: it begins what it has taken before.
LATE = 7.0
# Seconds in which a pause comes back to a Redis that has lost its memory, while the database is there.
BACK = 3.0
# Seconds by which the clocks of two processes may be read apart.
EARLY = 0.1


def expiry(view: View) -> Iterator[Violation]:
    """Yield what breaks I11: jobs that began too late, or were dropped too early."""
    for order in view.facts.orders:
        if not order.expires:
            continue
        for run in leased(view, order.job):
            if run.started > order.expires + LATE:
                late = f"it began {run.started - order.expires:.1f} s later"
                yield Violation("I11", order.job, "no start after it has expired", late)
        row = view.rows.get(order.job)
        if row is not None and row.reason == EXPIRED and (row.finished or 0.0) < order.expires - EARLY:
            early = f"it was, {order.expires - (row.finished or 0.0):.1f} s before"
            yield Violation("I11", order.job, "not to be dropped before it expires", early)


def slots(view: View) -> Iterator[Violation]:
    """Yield what breaks I12: slots without a job, or with several."""
    for timetable in view.facts.timetables:
        times = Counter(_slot(order.job) for order in view.facts.orders if order.kind == timetable.kind)
        for at, count in sorted(times.items()):
            if count > 1:
                yield Violation("I12", "", f"one {timetable.kind} for the slot {at:.0f}", f"{count}")
        for at in _expected(timetable, min(times, default=timetable.last)):
            if at not in times:
                yield Violation("I12", "", f"one {timetable.kind} for the slot {at:.0f}", "none")


def _slot(job: str) -> float:
    """Return the time that a slot's job has in its id."""
    return int(job.replace("-", "")[:12], 16) / 1000


def _expected(timetable: Timetable, first: float) -> Iterator[float]:
    if timetable.last % timetable.every:
        # The moment at which somebody saw it first: no slot has come since.
        return iter(())
    count = round((timetable.last - first) / timetable.every)
    return (first + number * timetable.every for number in range(count + 1))


def pauses(view: View) -> Iterator[Violation]:
    """Yield what breaks I13: jobs that began while their queue or their task was paused."""
    for pause in view.facts.pauses:
        for order in view.facts.orders:
            if not KINDS[order.kind].side or pause.name not in {SIDE, order.kind}:
                continue
            for run in leased(view, order.job):
                if pause.start + LATE < run.started < pause.end and not _is_forgotten(view, pause, run.started):
                    begun = f"it began {run.started - pause.start:.1f} s after the begin of a pause"
                    yield Violation("I13", order.job, f"no start while {pause.name!r} is paused", begun)


def _is_forgotten(view: View, pause: Pause, at: float) -> bool:
    """Tell whether Redis lost its memory, and may not have been told of the pause again."""
    outages = view.facts.outages
    return any(start < at < written_by(max(end, pause.start), outages) + BACK for start, end in outages.wipes)


def cancellation(view: View) -> Iterator[Violation]:
    """Yield what breaks I14: jobs that did not end, or began again, after they were cancelled."""
    for off in view.facts.callings_off:
        row = view.rows.get(off.job)
        stands = off.answer == "done" and not is_forgotten(off.at, view.facts.outages)
        if stands and row is not None and row.state != CANCELLED:
            yield Violation("I14", off.job, "a job that is cancelled at once", row.state)
        again = sum(run.started > off.at for run in view.executions.get(off.job, ()))
        if off.answer == "asked" and again > 1:
            yield Violation("I14", off.job, "no other run of a job that is asked to end", f"{again}")


def tried(facts: Facts) -> dict[str, int]:
    """Return how often a campaign has put each policy to the test."""
    reasons = Counter(row.reason.partition(" ")[0] for row in facts.rows if row.state == CANCELLED)
    made = len({call.job for call in facts.calls})
    return {
        "conflicts": len(facts.calls) - made + reasons[DUPLICATE.split()[0]],
        "replaced": reasons[REPLACED.split()[0]],
        "expired": reasons[EXPIRED],
        "called off": reasons[CALLED_OFF.split()[0]],
        "pauses": sum(pause.end - pause.start > LATE for pause in facts.pauses),
        "slots": min(sum(order.kind == kind for order in facts.orders) for kind in EVERY),
    }
