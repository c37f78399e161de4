"""What it costs us to have every job in the database, and how far the database is behind."""

from __future__ import annotations

import time

from ..load import Load
from ..measures import MICRO, Sample
from ..peers import OURS
from ..samples import Column
from ..stage import Client, Scene, Worker
from .base import DATABASE_NAMES, Act, Case, Plan, Section, Table

OFFERED, SECONDS, PAUSE = 5000, 20.0, 0.02
LOOK = 0.1
BACKLOG = 30_000
LOAD = Load(durability="commit")
FLOW = (
    Column("cpu", "CPU µs/job, all our processes", better="less"),
    Column("duties_cpu", "of which the mirror's process"),
    Column("client_cpu", "client CPU µs/job"),
    Column("lag", "lag s, median", 2, statistic="p50"),
    Column("lag", "lag s, p99", 2, statistic="p99"),
    Column("behind", "s until all is mirrored", 1),
    Column("rate", "jobs/s made"),
)
RUSH = (
    Column("rows", "rows/s", better="more"),
    Column("cpu", "CPU µs/job, all our processes"),
    Column("duties_cpu", "of which the mirror's process"),
)


def _sections(plan: Plan) -> list[Section]:
    seconds = SECONDS / 4 if plan.quick else SECONDS
    flow = _cases(plan, lambda scene: _flow(scene, seconds))
    rush = _cases(plan, lambda scene: _rush(scene, plan.shorter(BACKLOG)))
    return [
        Section(f"{OFFERED:,} jobs/s offered", _flow_note(seconds), FLOW, flow),
        Section("a backlog", RUSH_NOTE, RUSH, rush),
    ]


def _flow_note(seconds: float) -> str:
    return (
        f"A client makes {OFFERED:,} no-ops a second for {seconds:.0f} s with `delay_many`, a worker with default "
        "settings runs them. *Lag* is the age of the oldest change in Redis that the database does not know yet, asked "
        f"for each {LOOK:.1f} s. CPU is that of parent, child and duties until everything is mirrored. The worker and "
        "PostgreSQL, whose CPU is not included, may use all cores."
    )


RUSH_NOTE = (
    f"A worker is started on {BACKLOG:,} no-ops that are in no database yet. Timed from the end of the first job until "
    "the last row says that it has succeeded."
)


def _cases(plan: Plan, act: Act) -> list[Case]:
    return [Case(f"django-backie, {DATABASE_NAMES[name]}", OURS, LOAD, act, name) for name in plan.databases]


def _flow(scene: Scene, seconds: float) -> Sample:
    worker, watcher = scene.start_worker(), scene.start_client()
    scene.client.ask("fill", "noop", 1)
    scene.wait(1)
    _until_mirrored(watcher)
    before, duties = worker.cpu(), _duties_cpu(worker)
    scene.client.begin("offer", OFFERED, seconds, PAUSE)
    lags = []
    while not scene.client.is_ready():
        lags.append(watcher.ask("unmirrored_age"))
        time.sleep(LOOK)
    made = scene.client.answer()
    ended = time.monotonic()
    jobs = int(made["jobs"])
    scene.wait(jobs + 1)
    _until_mirrored(watcher)
    return {
        "cpu": (worker.cpu() - before) / jobs * MICRO,
        "duties_cpu": (_duties_cpu(worker) - duties) / jobs * MICRO,
        "client_cpu": made["cpu"] / jobs * MICRO,
        "lag": lags,
        "behind": time.monotonic() - ended,
        "rate": jobs / made["wall"],
    }


def _rush(scene: Scene, jobs: int) -> Sample:
    watcher = scene.start_client()
    scene.client.ask("fill", "noop", jobs)
    worker = scene.start_worker()
    began = scene.wait(1)
    scene.wait(jobs)
    _until_mirrored(watcher)
    seconds = time.monotonic() - began
    rows = watcher.ask("rows")
    return {
        "rows": rows / seconds,
        "cpu": worker.cpu() / jobs * MICRO,
        "duties_cpu": _duties_cpu(worker) / jobs * MICRO,
    }


def _until_mirrored(watcher: Client) -> None:
    while watcher.ask("unmirrored_age"):
        time.sleep(LOOK / 2)


def _duties_cpu(worker: Worker) -> float:
    """Return the seconds of CPU of the process with the duties: it is forked first."""
    return worker.tree()[1].cpu


TABLE = Table("mirror", "The mirror", "Every job's state in the database, written by the worker's duties.", _sections)
