"""The sweeps over the job table find their rows by an index, without a clock: what they cost must not grow with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction

from django_backie import outbox
from django_backie.broker.replies import Arrival
from django_backie.duties.prune import Prune

from . import plans

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor not in plans.EXPLAIN, reason="this database explains in another way"),
]

BY_STATE = {"backie_job_state", "backie_job_finished"}
# SQLite would rather use one that is not partial.
OUTBOX = {"backie_job_outbox"} if connection.vendor == "postgresql" else BY_STATE
SETTLED = {"backie_job_settled"} if connection.vendor == "postgresql" else {"backie_job_finished"}


@pytest.fixture
def plans_of(db: None) -> Callable[[Callable[[], Any]], list[str]]:
    """Return a function that tells how the queries of a function find jobs, those by id apart."""
    plans.fill()

    def explain(work: Callable[[], Any]) -> list[str]:
        with transaction.atomic(), plans.recorded() as recorder:
            work()
        assert recorder.queries
        return [plan for plan in recorder.plans() if not plans.is_by_id(plan)]

    return explain


def indexes_of(found: Sequence[str]) -> set[str]:
    return {index for plan in found for index in plans.indexes(plan)}


def push(packed: Sequence[Any]) -> list[Arrival]:
    return [Arrival.ADDED] * len(packed)


def pruning(retention: timedelta) -> Prune:
    config = SimpleNamespace(retention=retention, retention_failed=retention, databases=["default"])
    broker = SimpleNamespace(missing=lambda ids: ids)
    backend: Any = SimpleNamespace(config=config, broker=broker, alias="default")
    return Prune(backend)


def test_what_never_reached_redis_is_found_by_an_index(plans_of: Any) -> None:
    found = plans_of(lambda: outbox.relay("default", "default", push, time.time() + 60))
    assert indexes_of(found) <= OUTBOX, found


def test_unfinished_jobs_are_found_by_their_state(plans_of: Any) -> None:
    found = plans_of(lambda: list(outbox.unfinished_pages("default", "default", time.time() + 60)))
    assert indexes_of(found) <= BY_STATE, found


def test_parked_jobs_are_found_by_their_state(plans_of: Any) -> None:
    found = plans_of(lambda: list(outbox.parked("default", "default")))
    assert indexes_of(found) <= BY_STATE, found


def test_what_ended_long_ago_is_found_by_its_end(plans_of: Any) -> None:
    found = plans_of(pruning(timedelta(minutes=30)).tick)
    # Of a state that hardly any job has, the server's sample of the table decides between two that are as good.
    assert {"backie_job_finished"} | SETTLED <= indexes_of(found) <= BY_STATE | SETTLED, found


def test_no_sweep_reads_the_whole_table_where_there_is_nothing_to_do(plans_of: Any) -> None:
    def sweep() -> None:
        outbox.relay("default", "default", push, 0)
        list(outbox.unfinished_pages("default", "default", 0))
        pruning(timedelta(days=1000)).tick()

    found = plans_of(sweep)
    assert "*" not in indexes_of(found), found
