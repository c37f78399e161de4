"""What the tests of the job table share: jobs, and snapshots as the mirror gets them."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from django_backie.broker.replies import Record, Snapshot
from django_backie.core import codec, ids
from django_backie.core.codec import Signer
from django_backie.core.job import Job
from django_backie.core.states import State
from django_backie.models import Job as JobRow
from django_backie.moments import moment

from .app import tasks

# The worker that mirrors a job knows its task: so must whoever runs these tests.
assert tasks.add.name

CREATED = 1_700_000_000.123
SIGNER = Signer.of([settings.SECRET_KEY])


def make_job(**values: Any) -> Job:
    """Return a job; everything but what a test is about has a value."""
    return Job(
        **{
            "id": ids.new_key(),
            "task": "tests.app.tasks.add",
            "queue": "default",
            "created": CREATED,
            **values,
        }
    )


def body_of(job: Job) -> str:
    """Return the signed body of a job."""
    return codec.pack(job, SIGNER, 128 * 1024).body


def snapshot_of(job: Job, version: int, state: State = State.READY, body: str | None = None, **values: Any) -> Snapshot:
    """Return a job as Redis has it."""
    return Snapshot(job.id, version, body_of(job) if body is None else body, Record(state, version, **values))


def note(number: int = 1, outcome: str = "failed", **values: Any) -> dict[str, Any]:
    """Return an attempt record as ``Transition.record`` writes it."""
    error = {"c": "builtins.ValueError", "m": "boom", "t": "Traceback ..."} if outcome == "failed" else {}
    begun = CREATED + number
    return {"n": number, "w": "w1", "s": begun, "e": begun + 0.5, "o": outcome, **error, **values}


def unpack(job_id: str, body: str) -> Job:
    """Return the job of a body, as the backend does."""
    return codec.unpack(job_id, body, SIGNER)


def row_of(job: Job, using: str = "default") -> JobRow:
    """Return the row of a job."""
    return JobRow.objects.using(using).get(pk=job.id)


def row(job: Job, using: str = "default", **values: Any) -> JobRow:
    """Write the row of a job as the outbox or the mirror would have."""
    defaults = {
        "id": job.id,
        "task": job.task,
        "backend": job.backend,
        "queue": job.queue,
        "priority": job.priority,
    }
    defaults |= {"body": body_of(job), "enqueued_at": moment(job.created), "run_after": moment(job.run_after)}
    return JobRow.objects.using(using).create(**{**defaults, **values})
