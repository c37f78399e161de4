"""The duties of a backend, in the order in which they run."""

from __future__ import annotations

from ..backend import RedisBackend
from .base import Duty
from .mirror import Mirror
from .prune import Prune
from .reconcile import Reconcile
from .recover import Recover
from .relay import Relay


def duties_of(backend: RedisBackend) -> list[Duty]:
    """Return the duties of a backend; without a mirror there is only one."""
    duties: list[Duty] = [Recover(backend.broker)]
    if backend.config.mirrored:
        duties += [Mirror(backend), Relay(backend), Reconcile(backend), Prune(backend)]
    return duties
