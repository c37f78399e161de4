"""The invariants: one judgement for all campaigns, over frozen facts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import policies, unique_keys
from .facts import Facts, Remains, Row
from .kinds import CANCELLED, FAILED, KINDS, SUCCESSFUL
from .layout import NAMESPACE
from .view import View, Violation, is_forgotten, leased

FINAL = {SUCCESSFUL, FAILED, CANCELLED}
CRASH_CAP = 3
KILLED = "killed its worker"
# Who has a slot of a limit, or waits for one.
_SLOTS = tuple(f"{NAMESPACE}:{{0}}:{name}" for name in ("lj", "lw", "ls:"))


@dataclass(frozen=True, slots=True)
class Invariant:
    """One invariant. Without a judge it does not apply, for the reason in ``absent``."""

    name: str
    text: str
    judge: Callable[[View], Iterator[Violation]] | None = None
    absent: str = ""


def check(facts: Facts) -> tuple[Violation, ...]:
    """Return everything that is wrong with the facts."""
    view = View(facts)
    return tuple(
        violation for invariant in INVARIANTS if invariant.judge is not None for violation in invariant.judge(view)
    )


def lost(facts: Facts) -> list[str]:
    """Return the jobs that were committed and have not run, or not ended."""
    view = View(facts)
    return [order.job for order in facts.orders if _is_lost(view, order.job)]


def ghosts(facts: Facts) -> list[str]:
    """Return the jobs that have run, or have a row, though nothing of them was committed."""
    view = View(facts)
    return sorted((view.executions.keys() | view.rows.keys()) - view.orders.keys())


def duplicates(facts: Facts) -> list[str]:
    """Return the jobs whose body ran to its end more than once."""
    ends = Counter(execution.job for execution in facts.executions if execution.succeeded)
    return [job for job, count in ends.items() if count > 1]


def _is_lost(view: View, job: str) -> bool:
    row = view.rows.get(job)
    if row is None or row.state not in FINAL:
        return True
    return job not in view.executions and not _is_excused(view, row)


def _is_excused(view: View, row: Row) -> bool:
    """Tell whether a job was cancelled for one of the reasons that its kind allows."""
    order = view.orders.get(row.job)
    excuses = KINDS[order.kind].excuses if order is not None else ()
    return row.state == CANCELLED and row.reason.startswith(excuses)


def _i1(view: View) -> Iterator[Violation]:
    for order in view.facts.orders:
        row, runs = view.rows.get(order.job), len(view.executions.get(order.job, ()))
        expected = KINDS[order.kind].ends
        if row is None:
            yield Violation("I1", order.job, f"a {order.kind} job with a row", "no row")
        elif row.state not in FINAL:
            yield Violation("I1", order.job, f"a {order.kind} job that has ended", _shown(row, runs))
        elif _is_excused(view, row):
            continue
        elif not runs:
            yield Violation("I1", order.job, f"a {order.kind} job that has run", _shown(row, runs))
        elif row.state != expected and not _was_killed(row):
            yield Violation("I1", order.job, f"a {order.kind} job that ends {expected}", _shown(row, runs))


def _shown(row: Row, runs: int) -> str:
    why = "; ".join(part for part in (row.reason, row.error) if part)
    attempts = f"attempt {row.attempt} of {row.max_attempts}, {row.crashes} crash(es), {runs} run(s)"
    return f"{row.state}, {attempts}{f': {why}' if why else ''}"


def _was_killed(row: Row) -> bool:
    """Tell whether a job was buried: kills strike the innocent too, and three are enough."""
    return row.state == FAILED and row.reason.startswith(KILLED) and row.crashes >= CRASH_CAP


def _i2(view: View) -> Iterator[Violation]:
    for job in ghosts(view.facts):
        runs = len(view.executions.get(job, ()))
        state = view.rows[job].state if job in view.rows else "no row"
        yield Violation("I2", job, "nothing of a job that was not committed", f"{runs} run(s), {state}")


def _i3(view: View) -> Iterator[Violation]:
    for row in view.facts.rows:
        if row.attempt > row.max_attempts:
            yield Violation("I3", row.job, f"at most {row.max_attempts} attempts", f"{row.attempt}")
        if row.crashes > CRASH_CAP + 1:
            yield Violation("I3", row.job, f"at most {CRASH_CAP + 1} crashes", f"{row.crashes}")
        if row.state in FINAL and row.attempt > view.counted[row.job] and not _is_settled_by_its_row(view, row):
            yield Violation("I3", row.job, f"{row.attempt} attempts that have ended", f"{view.counted[row.job]}")
    for order in view.facts.orders:
        runs = view.executions.get(order.job, [])
        most = CRASH_CAP + 1 + sum(is_forgotten(run.started, view.facts.outages) for run in runs)
        if order.kind == "poison" and len(runs) > most:
            yield Violation("I3", order.job, f"at most {most} runs of a poison pill", f"{len(runs)}")


def _is_settled_by_its_row(view: View, row: Row) -> bool:
    """Tell whether a row may lack an attempt: an atomic one ends with its effects, whoever can tell of it."""
    order = view.orders.get(row.job)
    return row.state == SUCCESSFUL and order is not None and KINDS[order.kind].atomic


def _i4(view: View) -> Iterator[Violation]:
    for job, row in view.rows.items():
        most = int(row.state == SUCCESSFUL)
        if view.successes[job] > most:
            expected = f"{most} accepted completion(s) of a {row.state} job"
            yield Violation("I4", job, expected, f"{view.successes[job]}")


def _i6(view: View) -> Iterator[Violation]:
    for name, kind in KINDS.items():
        if kind.most is None:
            continue
        runs = [run for order in view.facts.orders if order.kind == name for run in leased(view, order.job)]
        moments = sorted(
            [(run.started, 1, run.job) for run in runs] + [(run.ended or 0.0, -1, run.job) for run in runs]
        )
        at_once = 0
        for _, change, job in moments:
            at_once += change
            if at_once > kind.most:
                yield Violation("I6", job, f"at most {kind.most} {name} job(s) at once", f"{at_once}")


def _i7(view: View) -> Iterator[Violation]:
    quiet = view.facts.quiet
    for job in quiet.marked:
        yield Violation("I7", job, "no change that is not mirrored yet", "marked as changed")
    for job, state in quiet.jobs.items():
        row = view.rows.get(job)
        if row is None:
            yield Violation("I7", job, "a row of every job in Redis", f"no row, in Redis {state}")
        elif row.state != state:
            yield Violation("I7", job, "the same state in the row and in Redis", f"row {row.state}, Redis {state}")


def _i8(view: View) -> Iterator[Violation]:
    over = view.facts.over
    known = re.compile("|".join(view.facts.known_keys))
    prefix = f"{NAMESPACE}:{{0}}:"
    for key in over.keys:
        if key.startswith(_SLOTS):
            yield Violation("I8", "", "no slot and nothing parked after the workers' stop", key)
        if not key.startswith(prefix) or not known.fullmatch(key.removeprefix(prefix)):
            yield Violation("I8", "", "only keys that the package declares", key)
    for job in over.held:
        yield Violation("I8", job, "no lease after the workers' stop", "held")
    for worker in over.workers:
        yield Violation("I8", "", "no worker after the workers' stop", worker)
    for job in over.marked:
        yield Violation("I8", job, "no mark after the workers' stop", "marked as changed")
    yield from _i8_jobs(over)


def _i8_jobs(over: Remains) -> Iterator[Violation]:
    for job, state in over.jobs.items():
        if state in FINAL:
            yield Violation("I8", job, "no job in Redis that has ended", state)


def _i9(view: View) -> Iterator[Violation]:
    happened = Counter(view.facts.effects)
    successful = 0
    for order in view.of_kind(atomic=True):
        row = view.rows.get(order.job)
        due = int(row is not None and row.state == SUCCESSFUL)
        successful += due
        state = row.state if row is not None else "no row"
        if happened[order.job] != due:
            yield Violation("I9", order.job, f"{due} effect(s) of a job that is {state}", f"{happened[order.job]}")
        children = KINDS[order.kind].children
        if children is not None and view.children[order.job] != due * children:
            yield Violation("I9", order.job, f"{due * children} job(s) enqueued", f"{view.children[order.job]}")
    for job in happened.keys() - view.orders.keys():
        yield Violation("I9", job, "no effect of a job that was not committed", f"{happened[job]}")
    if view.facts.counter != successful:
        yield Violation("I9", "", f"a counter of {successful}, the successful atomic jobs", f"{view.facts.counter}")


INVARIANTS = (
    Invariant("I1", "what is committed has run and ended", _i1),
    Invariant("I2", "what is rolled back never runs", _i2),
    Invariant("I3", "attempts and crashes stay within their limits", _i3),
    Invariant("I4", "at most one completion of a job is accepted", _i4),
    Invariant("I5", "jobs of a unique key do not run at once, and a duplicate has a survivor", unique_keys.judge),
    Invariant("I6", "a concurrency limit holds at every instant", _i6),
    Invariant("I7", "the job table agrees with Redis 5 s after the last job", _i7),
    Invariant("I8", "nothing is left behind in Redis", _i8),
    Invariant("I9", "effects of atomic jobs have happened exactly once", _i9),
    Invariant("I10", "a batch's callback fires exactly once", absent="no batches yet"),
    Invariant("I11", "a job does not begin after it has expired, and is not dropped before", policies.expiry),
    Invariant("I12", "each slot of a schedule has made exactly one job", policies.slots),
    Invariant("I13", "nothing begins in a paused queue, or of a paused task", policies.pauses),
    Invariant(
        "I14", "what was cancelled stays so, and what was asked to end does not begin again", policies.cancellation
    ),
)
