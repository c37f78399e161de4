"""Whether one customer's many jobs delay another's few."""

from __future__ import annotations

from ..bodies import NUMBER
from ..load import Load
from ..measures import Sample, drained
from ..peers import OURS
from ..samples import Column
from ..stage import Scene
from .base import Act, Case, Plan, Section, Table

BIG, TENANTS, SMALL = 100_000, 9, 10
# With a turn for each tenant, the last of its jobs is started in its tenth turn.
IDEAL = (TENANTS + 1) * SMALL
LOAD = Load(kind="noop", processes=1, durability="commit", mirror="paused")
TURNS = (
    Column("last", "jobs started until a small tenant's last"),
    Column("share", "of the ideal", 2),
)
COSTS = (
    Column("rate", "drained/s"),
    Column("cpu", "worker CPU µs/job"),
    Column("redis_cpu", "Redis CPU µs/job", 1),
)
TURNS_NOTE = (
    f"One tenant enqueues {BIG:,} jobs, then {TENANTS} others {SMALL} each. Counted are the jobs that one worker "
    "process with eight threads has run when the last of a small tenant's has run, for the slowest of them; ideal are "
    f"{IDEAL}, {SMALL} turns of {TENANTS + 1} tenants."
)
COSTS_NOTE = "What turns cost: the same no-ops, with and without groups, in the queue before the worker starts."


def _sections(plan: Plan) -> list[Section]:
    big, jobs = plan.shorter(BIG), plan.shorter(40_000)
    turns = [
        Case("as they come", OURS, LOAD, _turns(big, is_fair=False)),
        Case("fair_by the tenant", OURS, LOAD, _turns(big, is_fair=True)),
    ]
    groups = {
        "no groups": 0,
        "one tenant": 1,
        "10 tenants": 10,
        "1,000 tenants": 1000,
        "each job a tenant of its own": jobs,
    }
    costs = [Case(row, OURS, LOAD, _costs(jobs, count)) for row, count in groups.items()]
    return [
        Section("turns", TURNS_NOTE, TURNS, turns, shows_settings=False),
        Section("costs", COSTS_NOTE, COSTS, costs, shows_settings=False),
    ]


def _turns(big: int, *, is_fair: bool) -> Act:
    def measure(scene: Scene) -> Sample:
        scene.client.ask("fill_for_tenants", big, TENANTS, SMALL, is_fair)
        scene.start_worker()
        scene.wait(big + TENANTS * SMALL, NUMBER.size)
        tenants = [tenant for (tenant,) in NUMBER.iter_unpack(scene.marks.read_bytes())]
        last = max(len(tenants) - tenants[::-1].index(tenant) for tenant in range(1, TENANTS + 1))
        return {"last": last, "share": last / IDEAL}

    return measure


def _costs(jobs: int, groups: int) -> Act:
    def measure(scene: Scene) -> Sample:
        scene.client.ask("fill_groups", jobs, groups)
        return drained(scene, jobs)

    return measure


TABLE = Table("fairness", "Turns", "One customer with a hundred thousand jobs, and nine with ten.", _sections)
