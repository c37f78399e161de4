"""How close the system comes to what is possible when jobs wait: the throughput of many at once."""

from __future__ import annotations

from ..bodies import WAIT
from ..load import Load, Style
from ..measures import Sample, drained
from ..peers import FLOOR, OURS
from ..samples import Column
from ..stage import Scene
from .base import Act, Case, Plan, Section, Table, named

COLUMNS = (
    Column("rate", "jobs/s", better="more"),
    Column("share", "% of the ideal"),
    Column("cpu", "worker CPU µs/job"),
    Column("redis_cpu", "Redis CPU µs/job", 1),
    Column("trips", "round trips/job", 2),
)
WAVES = {100: 20, 1000: 10}


def _sections(plan: Plan) -> list[Section]:
    return [Section(f"{width:,} at once", _note(width), COLUMNS, _cases(plan, width)) for width in WAVES]


def _note(width: int) -> str:
    return (
        f"Jobs of {WAIT * 1000:.0f} ms, {width * WAVES[width]:,} of them, one process. The ideal is "
        f"{width / WAIT:,.0f}/s. Timed from the end of the first {width:,}. Systems that do not run so many at once in "
        "a process are left out."
    )


def _cases(plan: Plan, width: int) -> list[Case]:
    act = _act(width * plan.shorter(WAVES[width]))
    return [
        Case(f"{named(peer, database)}, {style}", peer, _load(width, style), act, database)
        for peer in (OURS, *plan.peers, FLOOR)
        if width <= peer.widest
        for style in peer.styles
        for database in plan.databases_of(peer)
    ]


def _load(width: int, style: Style) -> Load:
    return Load(kind="waits", processes=1, width=width, style=style, durability="commit")


def _act(jobs: int) -> Act:
    def measure(scene: Scene) -> Sample:
        scene.client.ask("fill", "wait", jobs)
        sample = drained(scene, jobs, first_jobs=scene.load.width)
        return {**sample, "share": sample["rate"] * WAIT / scene.load.width * 100}

    return measure


TABLE = Table("waits", "Jobs that wait", "As for a reply from the network, with many at once.", _sections)
