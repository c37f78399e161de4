"""Tell of migrations that are not applied."""

from __future__ import annotations

import logging

from .. import tables
from ..backend import RedisBackend
from .base import on_each

logger = logging.getLogger("django_backie.duties")


class Migrations:
    """Once, when a worker starts: all other duties can but say what is wrong in the words of the database."""

    name = "migrations"

    def __init__(self, backend: RedisBackend) -> None:
        self._backend = backend

    def tick(self) -> float:
        """Look at each database, and never again."""
        on_each(self._backend.config.databases, _tell, self.name)
        return float("inf")


def _tell(alias: str) -> None:
    if missing := tables.unapplied(alias):
        logger.warning(
            "the tables in %r are those of an earlier release, %d migration(s) behind; run: manage.py migrate %s "
            "--database %s",
            alias,
            len(missing),
            tables.APP,
            alias,
        )
