"""How long the jobs of a killed or stopped worker waited until they were started again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from .facts import Execution
from .plan import ALL
from .stage import Struck

MEASURED = ("kill-child", "kill-tree", "stop-child", "stop-tree")
# Seconds after an outage in which its effects are still felt.
AFTERMATH = 3.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What one kind of fault cost, in seconds. Undisturbed: neither Redis nor the database was away meanwhile."""

    name: str
    jobs: int
    median: float
    slowest: float
    undisturbed: int
    slowest_undisturbed: float


def recoveries(struck: Sequence[Struck], executions: Sequence[Execution]) -> list[Recovery]:
    """Return the recovery times of each kind of fault that interrupted any job."""
    of_job: dict[str, list[Execution]] = defaultdict(list)
    of_pid: dict[int, list[Execution]] = defaultdict(list)
    for execution in executions:
        of_job[execution.job].append(execution)
        of_pid[execution.pid].append(execution)
    outages = [(fault.at, fault.until + AFTERMATH) for fault in struck if ALL[fault.name].resource]
    waits: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for fault in struck:
        for pid in fault.victims if fault.name in MEASURED else ():
            for execution in of_pid[pid]:
                again = _again(execution, fault.at, of_job[execution.job])
                if again is not None:
                    disturbed = any(start < again and fault.at < end for start, end in outages)
                    waits[fault.name].append((again - fault.at, disturbed))
    return [_summed(name, waits[name]) for name in MEASURED if waits[name]]


def _again(execution: Execution, at: float, all_of_job: Sequence[Execution]) -> float | None:
    """Return when a job that was interrupted at a time started again; None if it was not, or did not at once.

    After its second crash a job waits for half a minute, by design.
    """
    if execution.started > at or (execution.ended is not None and execution.ended < at):
        return None
    if any(other.ended is None and other.started < execution.started for other in all_of_job):
        return None
    return next((other.started for other in all_of_job if other.started > at), None)


def _summed(name: str, waits: Sequence[tuple[float, bool]]) -> Recovery:
    times = [wait for wait, _ in waits]
    undisturbed = [wait for wait, disturbed in waits if not disturbed]
    slowest = max(undisturbed, default=0.0)
    return Recovery(name, len(times), median(times), max(times), len(undisturbed), slowest)
