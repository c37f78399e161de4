"""Bounded counts: one query, whatever the size of the table."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_backie.admin import counts, paginator
from django_backie.admin.reach import Reach
from django_backie.models import Job

from .support import SECOND, uses_databases

pytestmark = uses_databases


def test_an_empty_table_has_no_job_in_any_state():
    assert set(counts.by_state(Job.objects.all()).values()) == {0}


def test_each_state_has_its_count(make_job):
    for state, number in {"FAILED": 3, "READY": 2}.items():
        for _ in range(number):
            make_job(state=state)
    found = counts.by_state(Job.objects.all())
    assert (found["FAILED"], found["READY"], found["RUNNING"]) == (3, 2, 0)


def test_nothing_is_counted_far_beyond_the_limit(make_job, monkeypatch):
    monkeypatch.setattr(paginator, "LIMIT", 3)
    for _ in range(5):
        make_job(state="FAILED")
    assert counts.by_state(Job.objects.all())["FAILED"] == 4


def test_nothing_is_counted_beyond_its_reach(make_job, now):
    for age in range(5):
        make_job(state="FAILED", enqueued_at=now - age * SECOND)
        make_job(state="READY", enqueued_at=now - age * SECOND)
    reaches = counts.EVERYTHING | {"FAILED": Reach(edge=now - 2 * SECOND)}
    found = counts.by_state(Job.objects.all(), reaches)
    assert (found["FAILED"], found["READY"]) == (3, 5)


def test_the_states_of_one_reach_are_counted_together(make_job, now):
    for age, state in enumerate(["FAILED", "FAILED", "READY", "FAILED"]):
        make_job(state=state, enqueued_at=now - age * SECOND)
    with CaptureQueriesContext(connection) as queries:
        found = counts.in_one_reach(Job.objects.all(), Reach(edge=now - 2 * SECOND))
    assert (found["FAILED"], found["READY"], found["RUNNING"]) == (2, 1, 0)
    assert len(queries) == 1


def test_only_the_jobs_of_the_query_are_counted(make_job):
    make_job(state="FAILED", queue="mail")
    make_job(state="FAILED", queue="other")
    assert counts.by_state(Job.objects.filter(queue="mail"))["FAILED"] == 1


def test_all_states_are_counted_by_one_query(make_job):
    make_job()
    with CaptureQueriesContext(connection) as queries:
        counts.by_state(Job.objects.all())
    assert len(queries) == 1


def test_the_jobs_of_another_database_are_counted_there(make_job):
    make_job(using="other", state="FAILED")
    assert counts.by_state(Job.objects.using("other"))["FAILED"] == 1
