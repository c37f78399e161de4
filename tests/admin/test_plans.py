"""By which index the list finds its jobs, without a clock."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from django_backie.admin import paginator, reach
from django_backie.models import Job
from tests import plans

from .support import LIST, uses_databases

pytestmark = [
    uses_databases,
    pytest.mark.skipif(connection.vendor not in plans.EXPLAIN, reason="this database explains in another way"),
]

QUEUE, TASK = {"queue": "queue-1"}, {"task": "shop.tasks.task_1"}
HAS_PAIRS = connection.vendor == "postgresql"
# What was chosen, and the index that finds the jobs of the page, newest first.
SIMPLE: list[tuple[dict[str, str], str]] = [
    ({}, "enqueued"),
    ({"within": "15m"}, "enqueued"),
    ({"state": "FAILED"}, "state"),
    (QUEUE, "queue"),
    (TASK, "task"),
    ({**QUEUE, "within": "15m"}, "queue"),
    ({"q": "queue:queue-1"}, "queue"),
    ({"q": "task:shop.tasks.task_1"}, "task"),
]
COMBINED = [
    ({"state": "FAILED", **QUEUE}, "queue_troubled" if HAS_PAIRS else "queue"),
    ({"state": "FAILED", **TASK}, "task_troubled" if HAS_PAIRS else "task"),
    ({"state": "SUCCESSFUL", **QUEUE}, "queue"),
    ({"state": "SUCCESSFUL", **TASK}, "task"),
    ({**QUEUE, **TASK}, "task"),
    ({"state": "FAILED", **QUEUE, **TASK}, "task"),
]


@pytest.fixture
def filled(monkeypatch):
    """Fill the table; a page looks at so few jobs that there are more of any queue or task."""
    monkeypatch.setattr(paginator, "LIMIT", 80)
    plans.fill()


def plans_of(client, **parameters: Any) -> list[str]:
    """Return how the queries of a page would be answered, the jobs themselves last."""
    with plans.recorded() as recorder:
        assert client.get(LIST, parameters).status_code == 200
    return recorder.plans()


def found_by(plan: str) -> str:
    """Return the index by which the jobs of a page are found, and whether they have to be sorted."""
    names = ", ".join(sorted(name.removeprefix("backie_job_") for name in plans.indexes(plan)))
    return f"{names}, sorted" if plans.sorts(plan) else names


def test_every_page_is_read_from_an_index_in_order(root, filled):
    pages = [*SIMPLE, *COMBINED]
    found = [(parameters, found_by(plans_of(root, **parameters)[-1])) for parameters, _index in pages]
    assert found == pages


def test_older_windows_are_read_from_the_same_index_in_order(root, filled):
    key = paginator.key_of(Job.objects.order_by("enqueued_at")[plans.ROWS // 2])
    pages = [page for page in SIMPLE if "within" not in page[0]]
    found = [(parameters, found_by(plans_of(root, before=key, **parameters)[-1])) for parameters, _index in pages]
    assert found == pages


def test_no_query_of_a_page_reads_the_whole_table(root, filled):
    for parameters, _index in [*SIMPLE, *COMBINED]:
        for plan in plans_of(root, **parameters):
            assert "*" not in plans.indexes(plan), (parameters, plan)


def test_how_far_to_look_is_read_from_indexes_alone(root, filled):
    edges = plans_of(root, **QUEUE, **TASK)[0]
    assert plans.indexes(edges) >= {"backie_job_queue", "backie_job_task"}, edges
    assert not plans.sorts(edges), edges
    assert edges.count("Only Scan" if HAS_PAIRS else "COVERING INDEX") >= 2, edges


def test_a_hidden_condition_cannot_be_answered_by_an_index(filled):
    sql, params = reach.hidden(Job.objects.order_by(), [("queue", ("queue-1",))]).query.sql_with_params()
    plan = plans.plan(sql, params)
    assert "Index Cond" not in plan, plan
    assert "SEARCH" not in plan, plan
