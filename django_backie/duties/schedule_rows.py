"""Make the jobs of schedules that people wrote as rows, each slot's exactly once, without a leader.

As with the schedules in the code, whoever moves a row on, in one transaction with its job, has made it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, transaction

from .. import schedule_rows, timetables
from ..backend import RedisBackend
from ..clock import SYSTEM, Clock
from ..core import ids
from ..moments import epoch, moment
from ..schedule_settings import Plan

logger = logging.getLogger("django_backie.duties")

_AS_READ = ("pk", "last_slot", "task", "rule", "zone", "missed", "overlap", "jitter")


@dataclass(slots=True)
class _Due:
    """A row as it was read, and when it is to be looked at again."""

    row: Any
    at: float = 0.0


class ScheduleRows:
    """Reads the rows every five seconds: what is written, changed, paused or deleted is seen by then."""

    name = "schedule_rows"
    interval = 1.0
    reading_interval = 5.0

    def __init__(self, backend: RedisBackend, clock: Clock = SYSTEM) -> None:
        self._backend = backend
        self._clock = clock
        self._dues: list[_Due] = []
        self._read_at = 0.0
        # Said once a process, not each second.
        self._said: dict[int, str] = {}

    def tick(self) -> float:
        """Make the jobs whose slots have come, and return the seconds until the next."""
        now = self._clock.now()
        try:
            if self._read_at <= now:
                self._read_at = now + self.reading_interval
                self._dues = [_Due(row) for row in schedule_rows.rows(self._backend).filter(is_paused=False)]
        except (DatabaseError, InterfaceError) as error:
            self._say(0, "the schedules in %r are left out for now: %s", self._backend.config.databases[0], error)
        for due in self._dues:
            if due.at <= now:
                due.at = self._looked_at(due, now)
        nearest = min((due.at for due in self._dues), default=now + self.interval)
        return max(0.0, min(nearest - now, self._read_at - now, self.interval))

    def _looked_at(self, due: _Due, now: float) -> float:
        try:
            return self._take_up(due, now)
        # Whatever is wrong with one row, the others and all else go on.
        except Exception as error:  # noqa: BLE001
            self._say(due.row.pk, "the schedule %r is broken and left out: %s", due.row.name, error)
            return now + self.reading_interval

    def _take_up(self, due: _Due, now: float) -> float:
        plan = schedule_rows.plan_of(due.row, self._backend)
        last = epoch(due.row.last_slot)
        latest, slots = plan.schedule.due(last, now, settings.TIME_ZONE)
        if latest > last:
            self._move_on(due.row, plan, latest, slots)
            due.row.last_slot = moment(latest)
        self._said.pop(due.row.pk, None)
        return plan.schedule.next_after(max(latest, now), settings.TIME_ZONE)

    def _move_on(self, row: Any, plan: Plan, latest: float, slots: list[float]) -> None:
        with transaction.atomic(using=schedule_rows.database_of(self._backend)):
            unmoved = schedule_rows.rows(self._backend).filter(
                # What was changed since it was read does not fire as it was.
                **{name: getattr(row, name) for name in _AS_READ},
                is_paused=False,
            )
            if unmoved.update(last_slot=moment(latest)):
                for slot in slots:
                    self._make(row, plan, slot)

    def _make(self, row: Any, plan: Plan, slot: float) -> None:
        key = ids.key_at(round(slot * 1000), self._backend.alias, "row", str(row.pk), row.rule, row.zone)
        database = schedule_rows.database_of(self._backend)
        task = timetables.for_slot(plan, slot, key, database)
        try:
            with transaction.atomic(using=database):
                self._backend.submit_as(task, [plan.call], [key])
        except IntegrityError:
            # The database was put back to an earlier state, or the schedule written anew within the slot.
            logger.warning("%s: the job of %s is there already", row.name, moment(slot))

    def _say(self, pk: int, text: str, name: str, error: Exception) -> None:
        if self._said.get(pk) != str(error):
            self._said[pk] = str(error)
            logger.warning(text, name, error)
