"""How fast jobs are made, and what that costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..load import Load
from ..measures import WARM_UP, Sample, enqueued
from ..peers import FLOOR, OURS
from ..samples import Column
from ..stage import Scene
from .base import DATABASE_NAMES, Act, Case, Plan, Section, Table, cases_of_all

COSTS = (
    Column("rate", "jobs/s", better="more"),
    Column("cpu", "client CPU µs/job"),
    Column("redis_cpu", "Redis CPU µs/job", 1),
    Column("trips", "round trips/job", 2),
    Column("commands", "commands/job", 2),
)
INSIDE = Column("inside", "µs/call before the commit", 1, better="less")
WITH_COMMIT = Column("rate", "jobs/s with the commit", better="more")
COMMIT, OUTBOX = Load(durability="commit"), Load(durability="outbox")
SINGLE, TRANSACTIONS, SIZE = 4000, 40, 100
BULK, BULK_SIZE = 20, 1000
SINGLE_NOTE = (
    "A call each, in a warm process. The durability `commit` is what the others have: the job is in Redis when the "
    "call returns. With `outbox` it is a row in the database as well. arq and taskiq are called as a synchronous view "
    "would, through `run_until_complete`. *Our ten commands* are those of a plain job's script, by themselves and on "
    "ready-made names: what the promise costs at least with this client."
)
ROW_NOTE = (
    "*A bare INSERT* saves a row with the same values as a job's, and pushes nothing: what any transactional way must "
    "cost at least."
)
BULK_NOTE = f"{BULK_SIZE:,} jobs a call, for those that have such a call that does not send them one by one."


def _sections(plan: Plan) -> list[Section]:
    each, together = (INSIDE, WITH_COMMIT, *COSTS[1:4]), (WITH_COMMIT, INSIDE, *COSTS[1:4])
    sections = [
        Section("one job, outside of a transaction", SINGLE_NOTE, COSTS, _single(plan)),
        Section("one job in a transaction of its own", ROW_NOTE, each, _alone(plan)),
        Section("a hundred jobs in a transaction", ROW_NOTE, together, _hundred(plan)),
        Section("many jobs with one call", BULK_NOTE, COSTS, _bulk(plan)),
    ]
    return [replace(section, shows_settings=False) for section in sections]


def _single(plan: Plan) -> list[Case]:
    count = plan.shorter(SINGLE)

    def act(scene: Scene) -> Sample:
        return _after(scene, "one_by_one", [WARM_UP], count, [count])

    return [
        Case("django-backie, commit", OURS, COMMIT, act),
        *_outbox(plan, act),
        *cases_of_all(plan.peers, plan, Load(kind="noop"), lambda peer: act),
        Case("bare redis-py, our ten commands", FLOOR, COMMIT, act),
        Case("bare redis-py, LPUSH", FLOOR, Load(), act),
    ]


def _alone(plan: Plan) -> list[Case]:
    act = _in_transactions(plan.shorter(TRANSACTIONS) * SIZE, 1)
    return [*_outbox(plan, act("jobs")), *_rows(plan, act("rows"))]


def _hundred(plan: Plan) -> list[Case]:
    count = plan.shorter(TRANSACTIONS)
    act = _in_transactions(count, SIZE)
    return [
        Case("django-backie, commit", OURS, COMMIT, act("jobs")),
        *_outbox(plan, act("jobs")),
        *_rows(plan, act("rows")),
        Case("bare redis-py, LPUSH of 100", FLOOR, Load(), _in_bulk(count, SIZE)),
    ]


def _in_transactions(count: int, size: int) -> Callable[[str], Act]:
    def of(what: str) -> Act:
        warm_up = [max(1, WARM_UP // size), size, what]
        return lambda scene: _after(scene, "in_transactions", warm_up, count * size, [count, size, what])

    return of


def _outbox(plan: Plan, act: Act) -> list[Case]:
    return [Case(f"django-backie, outbox {DATABASE_NAMES[name]}", OURS, OUTBOX, act, name) for name in plan.databases]


def _rows(plan: Plan, act: Act) -> list[Case]:
    return [Case(f"a bare INSERT, {DATABASE_NAMES[name]}", OURS, OUTBOX, act, name) for name in plan.databases]


def _bulk(plan: Plan) -> list[Case]:
    act = _in_bulk(plan.shorter(BULK), BULK_SIZE)
    return [
        Case("django-backie, commit", OURS, COMMIT, act),
        *_outbox(plan, act),
        *cases_of_all([peer for peer in plan.peers if peer.has_bulk], plan, Load(kind="noop"), lambda peer: act),
        Case("bare redis-py, LPUSH of 1,000", FLOOR, Load(), act),
    ]


def _in_bulk(count: int, size: int) -> Act:
    return lambda scene: _after(scene, "in_bulk", [1, size], count * size, [count, size])


def _after(scene: Scene, verb: str, warm_up: list[object], jobs: int, arguments: list[object]) -> Sample:
    """Measure a verb when the client is warm."""
    scene.client.ask(verb, *warm_up)
    return enqueued(scene, jobs, verb, *arguments)


TABLE = Table("enqueue", "Making jobs", "Single jobs, jobs of a transaction, and many with one call.", _sections)
