"""Release jobs that were parked because no worker understood them, once one does."""

from __future__ import annotations

import logging

from .. import outbox, registry
from ..backend import RedisBackend
from ..exceptions import UnknownTask, UnreadableBody

logger = logging.getLogger("django_backie.duties")

REASONS = ("unknown task", "newer body", "unreadable body")


class Release:
    """When a worker starts: it is what a deploy does, and nothing else can change what it understands."""

    name = "release"
    interval = float("inf")

    def __init__(self, backend: RedisBackend) -> None:
        self._backend = backend

    def tick(self) -> float:
        """Make parked jobs ready that this worker can read and run."""
        for database in self._backend.config.databases:
            for page in outbox.parked(database, self._backend.alias):
                strangers = [(job_id, body) for job_id, body, reason in page if reason.startswith(REASONS)]
                ids = [job_id for job_id, body in strangers if self._knows(job_id, body)]
                if ids:
                    self._backend.broker.hasten(ids)
                    logger.info("released %d parked job(s) of %r", len(ids), database)
        return self.interval

    def _knows(self, job_id: str, body: str) -> bool:
        try:
            registry.get(self._backend.unpack(job_id, body).task)
        except (UnreadableBody, UnknownTask):
            return False
        return True
