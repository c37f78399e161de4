"""How long a job waits for an idle worker."""

from __future__ import annotations

import time

from ..bodies import STAMP
from ..load import Load
from ..measures import Sample
from ..peers import FLOOR, OURS
from ..samples import Column
from ..stage import Scene
from .base import DATABASE_NAMES, Case, Plan, Section, Table, cases_of_all

COLUMNS = (
    Column("waited", "p50 ms", 2, better="less", statistic="p50"),
    Column("waited", "p99 ms", 2, better="less", statistic="p99"),
)
SAMPLES, PAUSE, SETTLING = 100, 0.05, 2.0
NOTE = (
    f"One job each {PAUSE * 1000:.0f} ms, from another process, to a worker that has nothing else to do; from before "
    "the call that makes it to its first statement. Default settings with one worker process, the samples of all "
    "rounds together. The durability `commit` is what the others have; with `outbox` the call writes a row first."
)


def _sections(plan: Plan) -> list[Section]:
    load, commit = Load(processes=1), Load(processes=1, durability="commit")
    cases = [
        Case("django-backie, commit", OURS, commit, _measure),
        *(Case(f"django-backie, outbox {DATABASE_NAMES[name]}", OURS, load, _measure, name) for name in plan.databases),
        *cases_of_all(plan.peers, plan, load, lambda peer: _measure),
        Case("bare redis-py, BRPOP", FLOOR, load, _measure),
    ]
    return [Section("default settings", NOTE, COLUMNS, cases)]


def _measure(scene: Scene) -> Sample:
    scene.start_worker()
    scene.client.ask("trickle", 10, PAUSE)
    scene.wait(10, STAMP.size)
    time.sleep(SETTLING)
    scene.client.ask("trickle", SAMPLES, PAUSE)
    scene.wait(10 + SAMPLES, STAMP.size)
    stamps = [*STAMP.iter_unpack(scene.marks.read_bytes())][10:]
    return {"waited": [(begun - sent) * 1000 for sent, begun in stamps]}


TABLE = Table("latency", "Latency", "From the call to the job's first statement, on an idle system.", _sections)
