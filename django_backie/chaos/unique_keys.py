"""I5: jobs of a unique key do not run at once, and each that was turned away leads to one that does the work.

One that is unique until its start may run beside the next of its key, but begins after all calls that lead to it.
"""

from __future__ import annotations

from collections.abc import Iterator

from .facts import Execution, Row
from .kinds import CANCELLED, DUPLICATE, KINDS, REPLACED
from .view import View, Violation, is_forgotten, leased


def judge(view: View) -> Iterator[Violation]:
    """Yield what breaks I5, among runs whose end was accepted."""
    latest: dict[str, Execution] = {}
    alone = {call.job for call in view.facts.calls if not KINDS[call.kind].until_start}
    runs = [run for job in alone for run in leased(view, job)]
    for run in sorted(runs, key=lambda run: run.started):
        key = view.key_of[run.job]
        former = latest.get(key)
        if former is not None and run.started < (former.ended or 0.0) and run.job != former.job:
            yield Violation("I5", run.job, f"no job of {key} beside another", f"it began while {former.job} ran")
        if former is None or (run.ended or 0.0) > (former.ended or 0.0):
            latest[key] = run
    yield from _led_astray(view)
    yield from _come_too_late(view)


def _led_astray(view: View) -> Iterator[Violation]:
    for job, key in view.key_of.items():
        seen, at = {job}, view.rows.get(job)
        # A survivor may be turned away itself, by a later call or where Redis has lost its memory of it.
        while at is not None and (survivor := _survivor(at)):
            if survivor in seen or view.key_of.get(survivor) != key:
                yield Violation("I5", job, f"a survivor of {key} that does the work", at.reason)
                break
            seen.add(survivor)
            at = view.rows.get(survivor)


def _come_too_late(view: View) -> Iterator[Violation]:
    for call in view.facts.calls:
        if not KINDS[call.kind].until_start:
            continue
        began = [run.started for run in view.executions.get(_last_survivor(view, call.job), ())]
        # Where Redis has lost that a job was started, its key stands until it is started again, or is found to be over.
        if began and max(began) < call.at and not is_forgotten(max(began), view.facts.outages):
            yield Violation("I5", call.job, f"a run for {call.key} that begins after the call", "the last began before")


def _last_survivor(view: View, job: str) -> str:
    seen = {job}
    while (row := view.rows.get(job)) and (survivor := _survivor(row)) and survivor not in seen:
        seen.add(survivor)
        job = survivor
    return job


def _survivor(row: Row) -> str:
    """Return the job that was to do the work instead; empty where there is none."""
    for prefix in (DUPLICATE, REPLACED):
        if row.state == CANCELLED and row.reason.startswith(prefix):
            return row.reason.removeprefix(prefix)
    return ""
