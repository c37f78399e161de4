"""What an idle worker occupies."""

from __future__ import annotations

import time

from .. import machine
from ..load import Load
from ..measures import Sample
from ..peers import FLOOR, OURS
from ..samples import Column
from ..stage import Scene
from .base import Case, Plan, Section, Table, cases_of_all

MIB = 1024 * 1024
COLUMNS = (Column("pss", "PSS MiB", better="less"), Column("processes", "processes"))
JOBS, SETTLING = 100, 3.0
NOTE = (
    f"All processes, {SETTLING:.0f} s after they have run {JOBS} jobs. Pages that are shared count once (PSS). Default "
    "settings: each starts as many processes as it does by itself. Every system loads Django, as in a Django project."
)
PROJECT = Load(in_project=True)


def _sections(plan: Plan) -> list[Section]:
    cases = [
        Case("django-backie", OURS, PROJECT, _measure),
        Case("django-backie, 2 processes", OURS, Load(processes=2, in_project=True), _measure),
        *cases_of_all(plan.peers, plan, PROJECT, lambda peer: _measure),
        Case("bare redis-py, no Django", FLOOR, Load(), _measure),
    ]
    return [Section("default settings", NOTE, COLUMNS, cases)]


def _measure(scene: Scene) -> Sample:
    scene.client.ask("fill", "noop", JOBS)
    worker = scene.start_worker()
    scene.wait(JOBS)
    time.sleep(SETTLING)
    processes = worker.tree()
    return {"pss": machine.proportional_memory(processes) / MIB, "processes": len(processes)}


TABLE = Table("memory", "Memory", "What an idle worker occupies.", _sections)
