"""What the tests of the core share."""

from __future__ import annotations

from typing import Any

from django_backie.core.job import Job
from django_backie.core.signer import Signer

SIGNER = Signer.of(["not a secret"])
LIMIT = 128 * 1024
JOB_ID = "0193d5a0-0000-7000-8000-000000000001"


def make_job(**values: Any) -> Job:
    """Return a job; everything but what a test is about has a value."""
    return Job(
        **{
            "id": JOB_ID,
            "task": "shop.tasks.send",
            "queue": "default",
            "created": 1_700_000_000.123,
            **values,
        }
    )
