"""The duties of a backend, in the order in which they run."""

from __future__ import annotations

import logging
import threading

from django.db import connections

from ..backend import RedisBackend
from ..clock import SYSTEM, Clock
from ..exceptions import BrokerError
from .base import Duty, Rota
from .mirror import Mirror
from .prune import Prune
from .reconcile import Reconcile
from .recover import Recover
from .relay import Relay

logger = logging.getLogger("django_backie.duties")


def perform(backend: RedisBackend, stop: threading.Event, clock: Clock = SYSTEM) -> None:
    """Do the duties until stopped, then mirror what is left; uses, and in the end closes, this thread's connections."""
    try:
        Rota(duties_of(backend), stop, clock).run()
        if backend.config.mirrored:
            Mirror(backend).drain()
    except BrokerError as error:
        logger.warning("%s; the next worker will mirror what is left", error)
    finally:
        connections.close_all()


def duties_of(backend: RedisBackend) -> list[Duty]:
    """Return the duties of a backend; without a mirror there is only one."""
    duties: list[Duty] = [Recover(backend.broker)]
    if backend.config.mirrored:
        duties += [Mirror(backend), Relay(backend), Reconcile(backend), Prune(backend)]
    return duties
