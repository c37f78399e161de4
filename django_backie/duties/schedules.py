"""Make the jobs of schedules in the code and in the settings, each slot's exactly once, without a leader.

A row for each schedule and rule holds the last slot that was taken up. Whoever moves it on, in one transaction with the
rows of the jobs, has made them; all others find that it has moved.

A worker marks the rows of other rules of its schedules as ended, so that a rule that comes back is not thought to have
been there all the time. Where workers with both rules run side by side, as in a deploy, each goes on with its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, InterfaceError, transaction

from .. import schedule_settings, timetables
from ..backend import RedisBackend
from ..clock import SYSTEM, Clock
from ..core import ids
from ..core.timetable import GRACE
from ..moments import epoch, moment
from ..schedule_settings import Plan

logger = logging.getLogger("django_backie.duties")


@dataclass(slots=True)
class _Due:
    """When a schedule is to be looked at again."""

    plan: Plan
    database: str
    at: float = 0.0
    # Whether this process has put the rule in force: from then on it knows all slots.
    is_begun: bool = False

    @property
    def title(self) -> str:
        """Return what people know the schedule by."""
        return self.plan.name or str(self.plan.task.job_name)


class Schedules:
    """At each slot, and once a second at most; asks the database only when a slot has come."""

    name = "schedules"
    interval = 1.0
    # How often to ask whether somebody has ended a pause.
    paused_interval = 5.0
    # Where the next slot is far: how soon to put right that a worker of a former rule was the last to mark the rows.
    longest_interval = 3600.0

    def __init__(self, backend: RedisBackend, clock: Clock = SYSTEM) -> None:
        self._backend = backend
        self._clock = clock
        self._dues: dict[tuple[str, ...], _Due] = {}
        # Said once a process, not each second.
        self._said: dict[Any, str] = {}

    def tick(self) -> float:
        """Make the jobs whose slots have come, and return the seconds until the next."""
        now = self._clock.now()
        for due in self._known():
            if due.at <= now:
                due.at = self._looked_at(due, now)
        nearest = min((due.at for due in self._dues.values()), default=now + self.interval)
        return max(0.0, min(nearest - now, self.interval))

    def _looked_at(self, due: _Due, now: float) -> float:
        try:
            at = self._take_up(due, now)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("schedule of %s: %r is left out for now: %s", due.title, due.database, error)
            return now + self.interval
        # Whatever is wrong with one, such as a key function of the project's: the others and all else go on.
        except Exception as error:  # noqa: BLE001
            self._say(due.title, error)
            return now + self.paused_interval
        self._said.pop(due.title, None)
        return at

    def _known(self) -> Iterator[_Due]:
        for task, schedule in timetables.scheduled(self._backend):
            key = (task.job_name, str(schedule))
            if key not in self._dues:
                self._dues[key] = self._due(timetables.of_code(task, schedule))
            yield self._dues[key]
        for name in schedule_settings.names(self._backend):
            # They stand as long as the process does.
            if (name,) not in self._dues:
                try:
                    self._dues[(name,)] = self._due(schedule_settings.plan_of(name, self._backend))
                except schedule_settings.ERRORS as error:
                    self._say(name, error)
                    continue
            yield self._dues[(name,)]

    def _due(self, plan: Plan) -> _Due:
        return _Due(plan, timetables.database_of(plan.task, self._backend))

    def _say(self, name: Any, error: Exception) -> None:
        if self._said.get(name) != str(error):
            self._said[name] = str(error)
            logger.warning("the schedule %r is broken and left out: %s", name, error)

    def _take_up(self, due: _Due, now: float) -> float:
        """Make the jobs of the slots that have come; return when to look again."""
        row = timetables.row_of(due.plan, self._backend, now)
        if row.is_ended or not due.is_begun:
            # Of the last minute, some may be about to be taken up by a worker that has had the rule all the time.
            begun = 0.0 if due.is_begun else now - GRACE
            timetables.put_in_force(row, due.plan, self._backend, begun)
            due.is_begun = True
        if row.is_paused:
            return now + self.paused_interval
        latest, slots = due.plan.schedule.due(epoch(row.last_slot), now, settings.TIME_ZONE)
        if latest > epoch(row.last_slot):
            self._move_on(due, row.pk, row.last_slot, latest, slots)
        return min(due.plan.schedule.next_after(max(latest, now), settings.TIME_ZONE), now + self.longest_interval)

    def _move_on(self, due: _Due, pk: int, former: datetime, latest: float, slots: list[float]) -> None:
        with transaction.atomic(using=due.database):
            rows = timetables.rows_of(due.plan, self._backend)
            if rows.filter(pk=pk, last_slot=former, is_paused=False).update(last_slot=moment(latest)):
                for slot in slots:
                    self._make(due, slot)

    def _make(self, due: _Due, slot: float) -> None:
        key = _slot_key(due, self._backend.alias, slot)
        task = timetables.for_slot(due.plan, slot, key, due.database)
        try:
            with transaction.atomic(using=due.database):
                self._backend.submit_as(task, [due.plan.call], [key])
        except IntegrityError:
            # The database was put back to an earlier state, but not as far.
            logger.warning("%s: the job of %s is there already", due.title, moment(slot))


def _slot_key(due: _Due, alias: str, slot: float) -> str:
    """Return the id of a slot's job: the same for all workers."""
    plan = due.plan
    parts = ("settings", plan.name) if plan.name else ()
    return ids.key_at(round(slot * 1000), alias, *parts, plan.task.job_name, str(plan.schedule))
