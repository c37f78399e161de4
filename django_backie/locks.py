"""Wait for a row's lock for a while and no longer: a host that freezes keeps the locks of its open transaction."""

from __future__ import annotations

from typing import Any

from django.db import connections

# PostgreSQL: lock_not_available. MariaDB and MySQL: ER_LOCK_WAIT_TIMEOUT, after innodb_lock_wait_timeout.
_SQLSTATE, _ERRNO = "55P03", 1205


def limit_wait(alias: str, seconds: float) -> None:
    """Bound the waits of the present transaction from here on, where the database can; others have a bound already."""
    connection = connections[alias]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {round(seconds * 1000)}")


def is_timeout(error: BaseException) -> bool:
    """Tell whether a database error says that a lock was not to be had in time."""
    cause: Any = error.__cause__
    return _SQLSTATE in {getattr(cause, "sqlstate", None), getattr(cause, "pgcode", None)} or _ERRNO in error.args[:1]
