"""Delete the rows of jobs that ended long ago."""

from __future__ import annotations

from django.apps import apps

from ..backend import RedisBackend
from ..clock import SYSTEM, Clock
from ..core.states import State
from ..moments import moment


class Prune:
    """Once a minute, without pause while there is a full batch."""

    name = "prune"
    interval = 60.0
    batch = 1000

    def __init__(self, backend: RedisBackend, clock: Clock = SYSTEM) -> None:
        self._backend = backend
        self._clock = clock

    def tick(self) -> float:
        """Delete one batch of each kind on each database."""
        config = self._backend.config
        kinds = (
            ((State.SUCCESSFUL,), config.retention),
            ((State.FAILED, State.CANCELLED), config.retention_failed),
        )
        full = False
        for database in config.databases:
            for states, retention in kinds:
                before = self._clock.now() - retention.total_seconds()
                full |= self._delete(states, before, database) == self.batch
        return 0.0 if full else self.interval

    def _delete(self, states: tuple[State, ...], before: float, database: str) -> int:
        rows = apps.get_model("django_backie", "Job")._default_manager.using(database)
        old = rows.filter(state__in=states, finished_at__lt=moment(before), backend=self._backend.alias)
        ids = list(old.order_by("finished_at").values_list("pk", flat=True)[: self.batch])
        if ids:
            rows.filter(pk__in=ids).delete()
        return len(ids)
