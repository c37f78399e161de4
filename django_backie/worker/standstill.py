"""Tell of a child in which nothing moves, because a job holds the interpreter's lock: only its parent can."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable

from ..backend import RedisBackend
from ..exceptions import BrokerError, UnreadableBody
from .children import Child

logger = logging.getLogger("django_backie.worker")


class Standstills:
    """Asks a child that has stood for ``patience`` seconds where its jobs are, once each time; None: never."""

    def __init__(self, backend: RedisBackend, patience: float | None) -> None:
        self._backend = backend
        self._patience = patience

    def look(self, children: Iterable[Child]) -> None:
        """Tell of those that have stood for so long."""
        if self._patience is None:
            return
        for child in children:
            if child.pulse is None or child.pulse.stands_for <= self._patience:
                child.is_told = False
            elif not child.is_told and child.has_begun and not child.is_suspended and not child.overruns:
                child.is_told = True
                self._tell(child, child.pulse.stands_for)

    def _tell(self, child: Child, seconds: float) -> None:
        threads = {} if child.board is None else child.board.threads()
        if not threads:
            return
        stacks, tasks = child.where(), self._tasks(child)
        lines = [f"job {job} ({tasks.get(job, '?')}):\n{stacks.get(thread, '  ?')}" for job, thread in threads.items()]
        logger.warning(
            "nothing has moved in worker process %s for %.0f s: one of its jobs seems to hold the interpreter's lock; "
            "they are there:\n%s",
            child.name,
            seconds,
            "\n".join(lines),
        )

    def _tasks(self, child: Child) -> dict[str, str]:
        """Return the tasks of the jobs that a child holds, as far as they can be had."""
        tasks: dict[str, str] = {}
        with contextlib.suppress(BrokerError):
            for lease in self._backend.broker.held(child.full_name):
                with contextlib.suppress(UnreadableBody):
                    tasks[lease.id] = self._backend.unpack(lease.id, lease.body).task
        return tasks
