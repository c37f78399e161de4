"""Delete the rows of jobs that ended long ago."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.apps import apps

from ..backend import RedisBackend
from ..clock import SYSTEM, Clock
from ..core.states import State
from ..moments import moment
from .base import on_each


class Prune:
    """Once a minute, without pause while there is a full batch."""

    name = "prune"
    interval = 60.0
    batch = 1000

    def __init__(self, backend: RedisBackend, clock: Clock = SYSTEM) -> None:
        self._backend = backend
        self._clock = clock
        self._is_full = False

    def tick(self) -> float:
        """Delete one batch of each kind on each database."""
        config = self._backend.config
        kinds = (
            (State.SUCCESSFUL, config.retention),
            (State.FAILED, config.retention_failed),
            (State.CANCELLED, config.retention_failed),
        )
        self._is_full = False
        on_each(config.databases, lambda database: self._prune(database, kinds), self.name)
        return 0.0 if self._is_full else self.interval

    def _prune(self, database: str, kinds: Sequence[tuple[State, timedelta]]) -> None:
        for state, retention in kinds:
            before = self._clock.now() - retention.total_seconds()
            self._is_full |= self._delete(state, before, database) == self.batch

    def _delete(self, state: State, before: float, database: str) -> int:
        rows = apps.get_model("django_backie", "Job")._default_manager.using(database)
        old = rows.filter(state=state, finished_at__lt=moment(before), backend=self._backend.alias)
        ids = list(old.filter(settled=False).order_by("finished_at").values_list("pk", flat=True)[: self.batch])
        # The row of an atomic job that Redis still has is all that keeps its effects from happening once more.
        settled = old.filter(settled=True).order_by("finished_at").values_list("pk", flat=True)[: self.batch]
        gone = self._backend.broker.missing([str(job_id) for job_id in settled])
        rows.filter(pk__in=[*ids, *gone]).delete()
        return len(ids)
