"""How long a job waited and ran, told from its row alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from ..core.states import FINAL, WAITING, State
from ..models import Job


def due_at(job: Job) -> datetime:
    """Return the moment from which a job could have run for the first time.

    ``run_after`` moves when a job is retried; behind the first start it tells nothing about the wait.
    """
    if job.run_after is None or (job.started_at is not None and job.run_after > job.started_at):
        return job.enqueued_at
    return max(job.enqueued_at, job.run_after)


def next_run(job: Job, now: datetime) -> datetime | None:
    """Return the moment in the future for which a waiting job is planned."""
    planned = job.state in {State.SCHEDULED, State.RETRYABLE}
    return job.run_after if planned and job.run_after is not None and job.run_after > now else None


def waited(job: Job, now: datetime) -> timedelta | None:
    """Return the time between a job's being due and its first start; until now if it has not started."""
    if job.started_at is not None:
        return max(job.started_at - due_at(job), timedelta(0))
    if job.state in WAITING and due_at(job) <= now:
        return now - due_at(job)
    return None


def ran(job: Job, now: datetime) -> timedelta | None:
    """Return how long the last attempt took; until now if it is running."""
    if job.last_attempted_at is None:
        return None
    if job.state == State.RUNNING:
        return max(now - job.last_attempted_at, timedelta(0))
    if job.state in FINAL and job.finished_at is not None and job.finished_at >= job.last_attempted_at:
        return job.finished_at - job.last_attempted_at
    return None
