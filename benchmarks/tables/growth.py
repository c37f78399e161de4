"""Whether a long queue makes anything slower."""

from __future__ import annotations

from ..load import Load
from ..measures import WARM_UP, Sample, drained, enqueued
from ..peers import FLOOR, OURS
from ..samples import Column
from ..stage import Scene
from .base import Act, Case, Plan, Section, Table

LENGTHS = (10_000, 1_000_000)
TAKEN, MADE = 10_000, 2000
LOAD = Load(kind="noop", processes=1, durability="commit", mirror="paused")
COLUMNS = (
    Column("rate", "drained/s", better="more"),
    Column("cpu", "worker CPU µs/job"),
    Column("redis_cpu", "Redis CPU µs/job", 1),
    Column("enqueued", "enqueued/s", better="more"),
    Column("client_cpu", "client CPU µs/job"),
    Column("enqueue_redis_cpu", "Redis CPU µs/job to enqueue", 1),
    Column("bytes", "Redis bytes/queued job"),
)
NOTE = (
    f"With so many jobs in the queue, {MADE:,} more are made one by one, then the first {TAKEN:,} are run. The queue "
    "counts as mirrored, as one that has grown over time is; the mirror's duty is paused."
)


def _sections(plan: Plan) -> list[Section]:
    cases = [
        Case(f"{peer.title}, {length:,} queued", peer, LOAD, _act(length))
        for peer in (OURS, FLOOR)
        for length in (plan.shorter(length) for length in LENGTHS)
    ]
    return [Section("jobs that do nothing", NOTE, COLUMNS, cases)]


def _act(length: int) -> Act:
    def measure(scene: Scene) -> Sample:
        client, server = scene.client, scene.stage.server
        client.ask("one_by_one", WARM_UP)
        before = server.figures().memory
        client.ask("fill", "noop", length - MADE - WARM_UP)
        if scene.peer is OURS:
            client.ask("forget_unmirrored")
        size = (server.figures().memory - before) / (length - MADE - WARM_UP)
        made = enqueued(scene, MADE, "one_by_one", MADE)
        renamed = {"enqueued": made["rate"], "client_cpu": made["cpu"], "enqueue_redis_cpu": made["redis_cpu"]}
        return {**drained(scene, min(TAKEN, length)), **renamed, "bytes": size}

    return measure


TABLE = Table("growth", "A long queue", "From ten thousand queued jobs to a million.", _sections)
