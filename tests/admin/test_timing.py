"""How long a job waited and ran."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from django_backie.admin import timing
from django_backie.models import Job

from .support import SECOND

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def job(state: str, **values) -> Job:
    return Job(state=state, enqueued_at=NOW - 100 * SECOND, **values)


def test_the_wait_ends_with_the_first_start():
    assert timing.waited(job("FAILED", started_at=NOW - 90 * SECOND), NOW) == 10 * SECOND


def test_a_ready_job_is_still_waiting():
    assert timing.waited(job("READY"), NOW) == 100 * SECOND


def test_the_wait_of_a_planned_job_begins_when_it_is_due():
    started = job("RUNNING", run_after=NOW - 20 * SECOND, started_at=NOW - 15 * SECOND)
    assert timing.waited(started, NOW) == 5 * SECOND


def test_a_retry_does_not_shorten_the_first_wait():
    retried = job("RETRYABLE", run_after=NOW + 60 * SECOND, started_at=NOW - 90 * SECOND)
    assert timing.waited(retried, NOW) == 10 * SECOND


def test_a_job_that_is_not_due_has_not_waited():
    assert timing.waited(job("SCHEDULED", run_after=NOW + SECOND), NOW) is None


def test_a_job_cancelled_before_its_start_has_no_wait():
    assert timing.waited(job("CANCELLED", finished_at=NOW), NOW) is None


def test_clocks_that_differ_make_no_negative_wait():
    assert timing.waited(job("RUNNING", started_at=NOW - 101 * SECOND), NOW) == 0 * SECOND


def test_a_running_job_has_been_running_until_now():
    assert timing.ran(job("RUNNING", last_attempted_at=NOW - 3 * SECOND), NOW) == 3 * SECOND


def test_a_finished_job_ran_as_long_as_its_last_attempt():
    finished = job("SUCCESSFUL", last_attempted_at=NOW - 9 * SECOND, finished_at=NOW - 2 * SECOND)
    assert timing.ran(finished, NOW) == 7 * SECOND


@pytest.mark.parametrize("state", ["READY", "RETRYABLE"])
def test_a_job_between_two_attempts_is_not_running(state):
    assert timing.ran(job(state, last_attempted_at=NOW - 9 * SECOND), NOW) is None


def test_a_job_that_never_started_has_not_run():
    assert timing.ran(job("CANCELLED", finished_at=NOW), NOW) is None


def test_a_cancelled_retry_does_not_count_as_running_since_its_last_attempt():
    cancelled = job("CANCELLED", last_attempted_at=NOW - 9 * SECOND, finished_at=NOW - 10 * SECOND)
    assert timing.ran(cancelled, NOW) is None


@pytest.mark.parametrize("state", ["SCHEDULED", "RETRYABLE"])
def test_a_planned_job_has_a_next_run(state):
    due = NOW + SECOND
    assert timing.next_run(job(state, run_after=due), NOW) == due


@pytest.mark.parametrize("state", ["READY", "RUNNING", "FAILED"])
def test_other_jobs_have_no_next_run(state):
    assert timing.next_run(job(state, run_after=NOW + SECOND), NOW) is None
