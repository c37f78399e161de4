"""Make the jobs of tasks that have a schedule, each slot's exactly once, without a leader.

A row for each task and rule holds the last slot that was taken up. Whoever moves it on, in one transaction with the
rows of the jobs, has made them; all others find that it has moved.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, transaction

from .. import timetables
from ..backend import RedisBackend
from ..clock import SYSTEM, Clock
from ..core import ids
from ..core.timetable import Schedule
from ..moments import epoch, moment

logger = logging.getLogger("django_backie.duties")


@dataclass(slots=True)
class _Due:
    """When a task is to be looked at again."""

    task: Any
    schedule: Schedule
    database: str
    at: float = 0.0


class Schedules:
    """At each slot, and once a second at most; asks the database only when a slot has come."""

    name = "schedules"
    interval = 1.0
    # How often to ask whether somebody has ended a pause.
    paused_interval = 5.0

    def __init__(self, backend: RedisBackend, clock: Clock = SYSTEM) -> None:
        self._backend = backend
        self._clock = clock
        self._dues: dict[tuple[str, str], _Due] = {}

    def tick(self) -> float:
        """Make the jobs whose slots have come, and return the seconds until the next."""
        now = self._clock.now()
        for due in self._known():
            if due.at <= now:
                try:
                    due.at = self._take_up(due, now)
                except (DatabaseError, InterfaceError) as error:
                    logger.warning("schedule of %s: %r is left out for now: %s", due.task.job_name, due.database, error)
                    due.at = now + self.interval
        nearest = min((due.at for due in self._dues.values()), default=now + self.interval)
        return max(0.0, min(nearest - now, self.interval))

    def _known(self) -> Iterator[_Due]:
        for task, schedule in timetables.scheduled(self._backend):
            key = (task.job_name, str(schedule))
            if key not in self._dues:
                self._dues[key] = _Due(task, schedule, timetables.database_of(task, self._backend))
            yield self._dues[key]

    def _take_up(self, due: _Due, now: float) -> float:
        """Make the jobs of the slots that have come; return when to look again."""
        row = timetables.row_of(due.task, self._backend, now)
        if row.is_paused:
            return now + self.paused_interval
        latest, slots = due.schedule.due(epoch(row.last_slot), now, settings.TIME_ZONE)
        if latest > epoch(row.last_slot):
            self._move_on(due, row.pk, row.last_slot, latest, slots)
        return due.schedule.next_after(max(latest, now), settings.TIME_ZONE)

    def _move_on(self, due: _Due, pk: int, former: datetime, latest: float, slots: list[float]) -> None:
        with transaction.atomic(using=due.database):
            rows = timetables.rows_of(due.task, self._backend)
            if rows.filter(pk=pk, last_slot=former, is_paused=False).update(last_slot=moment(latest)):
                for slot in slots:
                    self._make(due, slot)

    def _make(self, due: _Due, slot: float) -> None:
        key = _slot_key(due, self._backend.alias, slot)
        # In the outbox, whatever the task's own durability: a slot comes but once.
        task = timetables.for_slots(due.task, due.schedule).using(database=due.database, durability="outbox")
        if due.schedule.jitter:
            part = random.Random(key).random() * due.schedule.jitter  # noqa: S311 - always the same for a slot
            task = task.using(run_after=moment(slot) + timedelta(seconds=part))
        try:
            with transaction.atomic(using=due.database):
                self._backend.submit_as(task, [((), {})], [key])
        except IntegrityError:
            # The database was put back to an earlier state, but not as far.
            logger.warning("%s: the job of %s is there already", due.task.job_name, moment(slot))


def _slot_key(due: _Due, alias: str, slot: float) -> str:
    """Return the id of a slot's job: the same for all workers."""
    return ids.key_at(round(slot * 1000), alias, due.task.job_name, str(due.schedule))
