"""How fast a queue of jobs that do nothing is emptied, and what that costs."""

from __future__ import annotations

from collections.abc import Callable

from ..load import Load
from ..measures import Sample, drained
from ..peers import FLOOR, OURS, Peer
from ..samples import Column
from ..stage import Scene
from .base import DATABASE_NAMES, Act, Case, Plan, Section, Table, cases_of_all

COLUMNS = (
    Column("rate", "jobs/s", better="more"),
    Column("cpu", "worker CPU µs/job"),
    Column("redis_cpu", "Redis CPU µs/job", 1),
    Column("trips", "round trips/job", 2),
    Column("commands", "commands/job", 2),
)
BYTES = Column("bytes", "Redis bytes/queued job")
NOTE = (
    "The queue is filled, then the worker started; timed from the first 5 % to the last job. CPU is that of all worker "
    "processes, which share one core. Round trips are reads by the server; commands count those inside of scripts too. "
    "The mirror's duty is paused by the benchmark (there is no such setting) to show the job path alone; CPU of "
    "PostgreSQL's processes is not included."
)
NOTE_OF_TWO = "As above, with a core for each process; on a machine of two cores one of them is the server's too."


def _sections(plan: Plan) -> list[Section]:
    return [
        Section("one process", NOTE, (*COLUMNS, BYTES), _cases(plan, 1)),
        Section("two processes", NOTE_OF_TWO, COLUMNS, _cases(plan, 2)),
    ]


def _cases(plan: Plan, processes: int) -> list[Case]:
    act = _act(plan, processes)
    tuned = Load(kind="noop", processes=processes)
    return [
        *_ours(plan, processes),
        *cases_of_all(plan.peers, plan, tuned, act),
        Case("bare redis-py", FLOOR, tuned, act(FLOOR)),
    ]


def _ours(plan: Plan, processes: int) -> list[Case]:
    paused = Load(kind="noop", processes=processes, durability="commit", mirror="paused")
    mirrored = Load(kind="noop", processes=processes, durability="commit")
    act = _act(plan, processes)(OURS)
    return [
        Case("django-backie, mirror paused", OURS, paused, act),
        *(
            Case(f"django-backie, mirror on {DATABASE_NAMES[name]}", OURS, mirrored, act, name)
            for name in plan.databases
        ),
    ]


def _act(plan: Plan, processes: int) -> Callable[[Peer], Act]:
    def of(peer: Peer) -> Act:
        return lambda scene: _measure(scene, plan.jobs(peer, processes))

    return of


def _measure(scene: Scene, jobs: int) -> Sample:
    scene.client.ask("fill", "noop", 1)
    empty = scene.stage.server.figures().memory
    scene.client.ask("fill", "noop", jobs - 1)
    size = (scene.stage.server.figures().memory - empty) / (jobs - 1)
    return {**drained(scene, jobs), **({"bytes": size} if scene.peer.uses_redis else {})}


TABLE = Table("drain", "Draining a queue", "Jobs that do nothing, at least once where the system can.", _sections)
