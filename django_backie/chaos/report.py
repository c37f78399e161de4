"""What a campaign says: a table for people, and the same as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from . import checker, policies
from .checker import INVARIANTS
from .facts import Execution, Facts
from .kinds import KINDS
from .plan import ALL
from .recovery import Recovery, recoveries
from .stage import Struck
from .view import Violation

MOST_SHOWN = 20
# Seconds from which on each policy must have been put to the test.
ENOUGH = 60.0
_POLICIES = {
    "conflicts": "calls of unique tasks that led to the job of another",
    "replaced": "unique jobs that gave their place to a later one",
    "expired": "jobs that were dropped, for it was too late",
    "called off": "jobs that were cancelled",
    "pauses": "of a queue, or of a task",
    "slots": "of schedules",
}


@dataclass(frozen=True, slots=True)
class Setup:
    """What was tried. ``seconds`` and ``lease`` are seconds."""

    seed: int
    seconds: float
    faults: tuple[str, ...]
    database: str
    server: str
    workers: int
    lease: float


@dataclass(frozen=True, slots=True)
class Report:
    """What a campaign has shown. ``quiet_after`` is seconds from the last fault to the last job; None: never."""

    setup: Setup
    struck: tuple[Struck, ...]
    jobs: dict[str, int]
    runs: int
    lost: tuple[str, ...]
    ghosts: tuple[str, ...]
    duplicates: tuple[str, ...]
    effects: int
    policies: dict[str, int]
    recoveries: tuple[Recovery, ...]
    violations: tuple[Violation, ...]
    quiet_after: float | None

    @property
    def passed(self) -> bool:
        """Tell whether nothing was lost and no invariant broken, of what was tried at all."""
        well = not self.violations and not self.lost and not self.ghosts
        return well and self.quiet_after is not None and bool(self.jobs) and not self.untried

    @property
    def untried(self) -> tuple[str, ...]:
        """Return what a campaign that is long enough has never put to the test."""
        return tuple(name for name, count in self.policies.items() if not count and self.setup.seconds >= ENOUGH)


def judge(setup: Setup, struck: Sequence[Struck], facts: Facts, quiet_after: float | None) -> Report:
    """Return the report of a campaign: the checker's verdict and the figures."""
    return Report(
        setup=setup,
        struck=tuple(struck),
        jobs=dict(Counter(order.kind for order in facts.orders).most_common()),
        runs=len(facts.executions),
        lost=tuple(checker.lost(facts)),
        ghosts=tuple(checker.ghosts(facts)),
        duplicates=tuple(checker.duplicates(facts)),
        effects=facts.counter,
        policies=policies.tried(facts),
        recoveries=tuple(recoveries(struck, _measured(facts))),
        violations=checker.check(facts),
        quiet_after=quiet_after,
    )


def _measured(facts: Facts) -> list[Execution]:
    """Return the executions of all but those that may wait in a paused queue."""
    side = {order.job for order in facts.orders if KINDS[order.kind].side}
    return [run for run in facts.executions if run.job not in side]


def head(setup: Setup) -> str:
    """Return the first line: enough to repeat the campaign."""
    return (
        f"backie chaos   seed {setup.seed}   {setup.seconds:g} s   {setup.database}   {setup.server}   "
        f"{setup.workers} workers   lease {setup.lease:g} s"
    )


def text(report: Report) -> str:
    """Return the report for people; its last line is the verdict."""
    return "\n".join([*_faults(report), *_jobs(report), *_recoveries(report), *_invariants(report), verdict(report)])


def verdict(report: Report) -> str:
    """Return the last line."""
    counts = (
        f"{sum(report.jobs.values())} jobs, {len(report.struck)} faults: {len(report.lost)} lost, "
        f"{len(report.ghosts)} ghosts, {len(report.violations)} violation(s)"
    )
    again = f"repeat with --seed {report.setup.seed}"
    if report.passed:
        return f"PASSED   {counts}   ({again})"
    why = "; not all work was done in time" if report.quiet_after is None else ""
    why += "" if report.jobs else "; nothing was tried"
    why += f"; never tried: {', '.join(report.untried)}" if report.jobs and report.untried else ""
    return f"FAILED   {counts}{why}   ({again})"


def as_json(report: Report) -> dict[str, Any]:
    """Return the report for machines; the keys are documented and stay."""
    applicable = {violation.invariant for violation in report.violations}
    return {
        **asdict(report.setup),
        "passed": report.passed,
        "faults_struck": dict(Counter(fault.name for fault in report.struck).most_common()),
        "jobs": report.jobs,
        "runs": report.runs,
        "lost": list(report.lost),
        "ghosts": list(report.ghosts),
        "duplicates": list(report.duplicates),
        "effects": report.effects,
        "policies": report.policies,
        "quiet_after": report.quiet_after,
        "recoveries": [asdict(recovery) for recovery in report.recoveries],
        "invariants": {
            invariant.name: invariant.absent or ("broken" if invariant.name in applicable else "ok")
            for invariant in INVARIANTS
        },
        "violations": [asdict(violation) for violation in report.violations],
    }


def _faults(report: Report) -> Iterator[str]:
    yield f"{'faults':<20}{len(report.struck):>8}"
    for name, count in Counter(fault.name for fault in report.struck).most_common():
        yield f"  {name:<18}{count:>8}   {ALL[name].text}"


def _jobs(report: Report) -> Iterator[str]:
    yield f"{'committed jobs':<20}{sum(report.jobs.values()):>8}"
    for kind, count in report.jobs.items():
        yield f"  {kind:<18}{count:>8}"
    quiet = "never" if report.quiet_after is None else f"{report.quiet_after:.1f} s"
    for name, value, note in (
        ("runs", report.runs, ""),
        ("lost", len(report.lost), "committed, but not run or not ended"),
        ("ghosts", len(report.ghosts), "run, but not committed"),
        ("duplicates", len(report.duplicates), "ran to the end more than once, as is allowed to all but atomic jobs"),
        ("effects", report.effects, "of atomic jobs"),
        *((name, report.policies[name], note) for name, note in _POLICIES.items()),
        ("quiet after", quiet, ""),
    ):
        yield f"{name:<20}{value:>8}{f'   {note}' if note else ''}"


def _recoveries(report: Report) -> Iterator[str]:
    if not report.recoveries:
        return
    yield f"{'started again after':<20}{'jobs':>8}{'median':>10}{'slowest':>10}   with Redis and database there"
    for found in report.recoveries:
        yield (
            f"  {found.name:<18}{found.jobs:>8}{found.median:>8.2f} s{found.slowest:>8.2f} s"
            f"   {found.undisturbed} jobs, slowest {found.slowest_undisturbed:.2f} s"
        )


def _invariants(report: Report) -> Iterator[str]:
    yield "invariants"
    for invariant in INVARIANTS:
        broken = [violation for violation in report.violations if violation.invariant == invariant.name]
        state = "-" if invariant.absent else f"{len(broken)} broken" if broken else "ok"
        note = f" (not applicable: {invariant.absent})" if invariant.absent else ""
        yield f"  {invariant.name:<4}{state:<12}{invariant.text}{note}"
        for violation in broken[:MOST_SHOWN]:
            where = f"{violation.job}: " if violation.job else ""
            yield f"        {where}expected {violation.expected}, found {violation.found}"
        if len(broken) > MOST_SHOWN:
            yield f"        and {len(broken) - MOST_SHOWN} more (--json has them all)"
