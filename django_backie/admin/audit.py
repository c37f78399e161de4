"""Who did what to which job or queue: one log entry each, and one line for the machines."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.http import HttpRequest

from ..models import Job

logger = logging.getLogger("django_backie.admin")


def record(request: HttpRequest, jobs: Sequence[Job], verb: str, message: str) -> None:
    """Write down that the user of this request did ``verb`` to these jobs."""
    if not jobs:
        return
    user: Any = request.user
    LogEntry.objects.log_actions(user.pk, jobs, CHANGE, message)
    for job in jobs:
        extra = {"job_id": str(job.pk), "task": job.task, "action": verb, "user": user.get_username()}
        logger.info("%(action)s of job %(job_id)s (%(task)s) by %(user)s", extra, extra=extra)


def record_pause(request: HttpRequest, kind: str, name: str, verb: str) -> None:
    """Write a line that the user did ``verb`` to a ``"queue"``, a ``"task"`` or a ``"schedule"``.

    Django itself makes the log entry.
    """
    user: Any = request.user
    extra = {kind: name, "action": verb, "user": user.get_username()}
    logger.info("%s of %s %s by %s", verb, kind, name, extra["user"], extra=extra)
