"""What Django does around a request, done around a job: connections, queries, language, time zone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import connections, reset_queries
from django.utils import timezone, translation

logger = logging.getLogger("django_backie.worker")


def before() -> None:
    """Drop connections that are broken or too old; one inside an atomic block (a test's) is left alone."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def after(job: str) -> None:
    """End a transaction that a job left open, forget its language and time zone, and do what ``before`` does."""
    for connection in connections.all(initialized_only=True):
        if _is_left_open(connection):
            logger.warning("%s left a transaction open on %r; it is rolled back", job, connection.alias)
            # Closing rolls back on every database, and leaves no half-entered atomic block behind.
            connection.in_atomic_block = False
            connection.savepoint_ids = []
            connection.run_on_commit = []
            connection.close()
    before()
    if settings.DEBUG:
        reset_queries()
    translation.deactivate()
    timezone.deactivate()


def safely(care: Callable[..., None], *args: str) -> None:
    """Do what is to be done for the connections; an error in it is logged, for the job is not to blame."""
    try:
        care(*args)
    except Exception:
        logger.exception("caring for the database connections failed")


def close_all() -> None:
    """Close this thread's connections; a thread does so at its end."""
    connections.close_all()


def _is_left_open(connection: Any) -> bool:
    if connection.connection is None:
        return False
    return bool(connection.in_atomic_block) or connection.autocommit != connection.settings_dict["AUTOCOMMIT"]
