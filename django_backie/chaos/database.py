"""The campaign's own database: a file in its directory, or one created on the server of an alias and dropped again."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import DatabaseError, OperationalError, connections
from django.db.utils import ConnectionHandler

from ..exceptions import BackieError

# Seconds to wait for SQLite's lock; a stopped process may hold it for longer.
LOCKED = 1.0
# What Django adds to an entry of DATABASES, and what does not concern the campaign.
FOREIGN = {"TEST", "ATOMIC_REQUESTS", "AUTOCOMMIT"}


class UnsuitableDatabase(BackieError):
    """A database on which no campaign can be run."""


class Database:
    """A database of the campaign; ``entry`` is what stands in DATABASES of its processes."""

    vendor = ""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.entry = entry
        self._handler = ConnectionHandler({"default": {**entry}})

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """Give a cursor on a connection of its own."""
        connection = self._handler.create_connection("default")
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def take_down(self) -> None:
        """Make the database refuse everybody."""
        raise NotImplementedError

    def bring_up(self) -> None:
        """Make the database serve again."""
        raise NotImplementedError


class SqliteDatabase(Database):
    """A file; it is down while somebody holds its lock."""

    vendor = "sqlite"

    def __init__(self, directory: Path) -> None:
        options = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        }
        self._name = str(directory / "database.sqlite3")
        super().__init__({"ENGINE": "django.db.backends.sqlite3", "NAME": self._name, "OPTIONS": options})
        self._is_free = threading.Lock()
        self._holder: sqlite3.Connection | None = None

    def take_down(self) -> None:
        """Lock the database against every writer."""
        if not self._is_free.acquire(timeout=LOCKED):
            msg = "the database is down already"
            raise OperationalError(msg)
        # Another thread may bring it up: whoever clears away.
        holder = sqlite3.connect(self._name, timeout=LOCKED, isolation_level=None, check_same_thread=False)
        try:
            holder.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            holder.close()
            self._is_free.release()
            raise OperationalError(str(error)) from error
        self._holder = holder

    def bring_up(self) -> None:
        """Let go of the lock."""
        holder, self._holder = self._holder, None
        if holder is not None:
            holder.close()
            self._is_free.release()


class PostgresqlDatabase(Database):
    """A database that lives as long as the campaign, beside the one of the alias."""

    vendor = "postgresql"

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self.name = f"backie_chaos_{secrets.token_hex(4)}"
        settings = {name: value for name, value in connections[alias].settings_dict.items() if name not in FOREIGN}
        super().__init__({**settings, "NAME": self.name})

    def create(self) -> None:
        """Create the database.

        Raises:
            UnsuitableDatabase: the user of the alias may not.
        """
        try:
            self._administer(f'CREATE DATABASE "{self.name}"')
        except DatabaseError as error:
            msg = (
                f"database {self._alias!r}: a database of the campaign's own could not be created ({error}); "
                "give the user CREATEDB, or leave --database out: the campaign then runs on SQLite"
            )
            raise UnsuitableDatabase(msg) from error

    def take_down(self) -> None:
        """Refuse new connections and end those that there are."""
        self._administer(f'ALTER DATABASE "{self.name}" ALLOW_CONNECTIONS false')
        self._administer("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", self.name)

    def bring_up(self) -> None:
        """Allow connections again."""
        self._administer(f'ALTER DATABASE "{self.name}" ALLOW_CONNECTIONS true')

    def drop(self) -> None:
        """Remove the database, whoever is still connected."""
        self._administer(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def _administer(self, statement: str, *values: str) -> None:
        # Django's way to another database of the server, as its test runner goes it.
        with connections[self._alias]._nodb_cursor() as cursor:
            cursor.execute(statement, values or None)


@contextmanager
def private_database(wanted: str, directory: Path) -> Iterator[Database]:
    """Give a new, empty database: on the server of an alias, or, for ``sqlite``, in a file; remove it in the end.

    Raises:
        UnsuitableDatabase: no such alias, or not on SQLite or PostgreSQL.
    """
    if wanted == "sqlite":
        yield SqliteDatabase(directory)
        return
    if wanted not in connections:
        msg = f"--database {wanted}: DATABASES has no such alias; it has {', '.join(connections)}"
        raise UnsuitableDatabase(msg)
    vendor = connections[wanted].vendor
    if vendor == "sqlite":
        yield SqliteDatabase(directory)
        return
    if vendor != "postgresql":
        msg = f"--database {wanted}: it is {vendor}, and a campaign runs on SQLite and PostgreSQL only"
        raise UnsuitableDatabase(msg)
    database = PostgresqlDatabase(wanted)
    database.create()
    try:
        yield database
    finally:
        with contextlib.suppress(DatabaseError):
            database.bring_up()
        database.drop()
