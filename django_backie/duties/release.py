"""Release jobs that were parked because no worker understood them, once one does."""

from __future__ import annotations

import logging

from .. import outbox, registry
from ..backend import RedisBackend
from ..exceptions import UnknownTask, UnreadableBody
from .base import on_each

logger = logging.getLogger("django_backie.duties")

REASONS = ("unknown task", "newer body", "unreadable body")


class Release:
    """When a worker starts, which is what a deploy does; and each minute, for an older one may park the job again."""

    name = "release"
    interval = 60.0

    def __init__(self, backend: RedisBackend) -> None:
        self._backend = backend

    def tick(self) -> float:
        """Make parked jobs ready that this worker can read and run."""
        on_each(self._backend.config.databases, self._release, self.name)
        return self.interval

    def _release(self, database: str) -> None:
        for page in outbox.parked(database, self._backend.alias):
            strangers = [(job_id, body) for job_id, body, reason in page if reason.startswith(REASONS)]
            ids = [job_id for job_id, body in strangers if self._knows(job_id, body)]
            if ids:
                self._backend.broker.hasten(ids)
                logger.info("released %d parked job(s) of %r", len(ids), database)

    def _knows(self, job_id: str, body: str) -> bool:
        try:
            registry.get(self._backend.unpack(job_id, body).task)
        except (UnreadableBody, UnknownTask):
            return False
        return True
