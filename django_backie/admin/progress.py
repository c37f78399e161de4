"""How far a job is, on its page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from .. import compat
from ..core.states import State
from ..exceptions import BackieError
from ..models import Attempt, Job
from ..progress import Progress, latest, of_row
from ..progress_page import amount
from . import display, values


def context(job: Job, attempts: Sequence[Attempt], now: datetime, *, payload: bool) -> dict[str, Any]:
    """Return what the bar needs, if there is one; what a task says goes with ``payload``."""
    progress = of_job(job, attempts)
    if progress is None:
        return {}
    # A bar of a job that has ended does not move, though nobody knows how much was left.
    percent = progress.percent if job.state == State.RUNNING else progress.percent or 0
    return {
        "progress": {
            "percent": percent,
            "amount": amount(progress),
            "message": values.visible(progress.message) if payload else "",
            "at": display.time_tag(progress.at, display.relative(progress.at, now)),
        }
    }


def of_job(job: Job, attempts: Sequence[Attempt]) -> Progress | None:
    """Return how far the latest attempt is, or was; of one that runs Redis is asked, for no row says it."""
    if job.state == State.RUNNING:
        return _running(job)
    return of_row(attempts[-1].progress) if attempts else None


def _running(job: Job) -> Progress | None:
    job_id = str(job.pk)
    try:
        found = compat.get_backend(job.backend).broker.inspect([job_id]).get(job_id)
    except (BackieError, compat.InvalidTaskBackend, AttributeError):
        # The page tells everything else without Redis, and of the jobs of a backend that is gone.
        return None
    if found is None:
        return None
    return latest(found.record.state, found.record.started, found.record.attempts, found.progress)
