"""What Django does around a request, done around a job: connections and queries.

A job that uses no database pays nothing: only connections that were made in this thread are looked at. Language and
time zone need no care, for each attempt runs in a context of its own (``contextvars``), where Django keeps them. It
keeps its caches and task backends there, too: these are made once a thread, lest each attempt connects anew.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.db import connections, reset_queries
from django.db.backends.signals import connection_created

from .. import compat

logger = logging.getLogger("django_backie.worker")


class _Opened(threading.local):
    """The connections that were made in this thread and may still be open."""

    def __init__(self) -> None:
        self.connections: list[Any] = []


class _Origin(threading.local):
    """The context of which the attempts of this thread get copies."""

    context: Context | None = None


_opened = _Opened()
_origin = _Origin()


def context() -> Context:
    """Return a context for one attempt: what it sets there ends with it."""
    if _origin.context is None:
        _origin.context = Context()
        _origin.context.run(_make_what_is_kept)
    return _origin.context.copy()


def _make_what_is_kept() -> None:
    # Whoever uses what is misconfigured is told then.
    for alias in caches:
        with suppress(Exception):
            caches[alias]
    # Also the one that is there without any setting.
    for alias in {*compat.configured_aliases(), compat.default_alias()}:
        with suppress(Exception):
            compat.get_backend(alias)


def _note(*, connection: Any, **_: object) -> None:
    if connection not in _opened.connections:
        _opened.connections.append(connection)


connection_created.connect(_note, dispatch_uid="django_backie.worker.hygiene")


def before() -> None:
    """Drop connections that are broken or too old; one inside an atomic block (a test's) is left alone."""
    if not _opened.connections:
        return
    for connection in _opened.connections:
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()
    _opened.connections = [connection for connection in _opened.connections if connection.connection is not None]


def after(job: str) -> None:
    """End a transaction that a job left open, and do what ``before`` does."""
    if not _opened.connections:
        return
    for connection in _opened.connections:
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
