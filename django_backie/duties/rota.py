"""The duties of a backend, in the order in which they run."""

from __future__ import annotations

import logging

from django.db import connections

from ..backend import RedisBackend
from ..clock import SYSTEM, Clock
from ..exceptions import BrokerError
from .base import Bell, Duty, Rota
from .migrations import Migrations
from .mirror import Mirror
from .prune import Prune
from .reconcile import Reconcile
from .recover import Recover
from .relay import Relay
from .release import Release
from .schedule_rows import ScheduleRows
from .schedules import Schedules

logger = logging.getLogger("django_backie.duties")


def perform(backend: RedisBackend, bell: Bell, clock: Clock = SYSTEM) -> None:
    """Do the duties until stopped, then mirror what is left; uses, and in the end closes, this thread's connections."""
    try:
        Rota(duties_of(backend, clock), bell, clock).run()
        if backend.config.mirrored:
            Mirror(backend).drain()
    except BrokerError as error:
        logger.warning("%s; the next worker will mirror what is left", error)
    finally:
        connections.close_all()


def prepare(backend: RedisBackend, clock: Clock = SYSTEM) -> None:
    """Make ready what is due: jobs that are in the outbox still, and those of schedules whose times have come.

    A worker that ends when nothing is ready may else be gone before its own duties have come to that.
    """
    if backend.config.mirrored:
        duties: list[Duty] = [Relay(backend, clock), Schedules(backend, clock), ScheduleRows(backend, clock)]
        Rota(duties, Bell(), clock).run_through()


def duties_of(backend: RedisBackend, clock: Clock = SYSTEM) -> list[Duty]:
    """Return the duties of a backend; without a mirror there are only those that need no database."""
    if not backend.config.mirrored:
        return [Recover(backend.broker), Reconcile(backend, clock)]
    duties: list[Duty] = [Recover(backend.broker), Mirror(backend), Relay(backend, clock), Reconcile(backend, clock)]
    duties += [Schedules(backend, clock), ScheduleRows(backend, clock), Release(backend), Prune(backend, clock)]
    return [*duties, Migrations(backend)]
