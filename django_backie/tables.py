"""Whether the tables of a database are those that this release writes to."""

from __future__ import annotations

import pkgutil

from django.apps import apps
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from . import migrations

APP = "django_backie"


def lacks_jobs(alias: str) -> bool:
    """Tell whether the job table is missing; in a database without any migration the first one is under way.

    Raises:
        DatabaseError: the database cannot be asked.
    """
    connection = connections[alias]
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
    return MigrationRecorder.Migration._meta.db_table in names and job_table() not in names


def job_table() -> str:
    """Return the name of the job table."""
    return str(apps.get_model(APP, "Job")._meta.db_table)


def unapplied(alias: str) -> list[str]:
    """Return the migrations of this release that a database does not have yet, for the errors see ``lacks_jobs``.

    Where ``MIGRATION_MODULES`` says otherwise, whoever wrote that knows better.
    """
    _, is_explicit = MigrationLoader.migrations_module(APP)
    if is_explicit:
        return []
    # Not by Django's loader: it would import those of all apps.
    names = {module.name for module in pkgutil.iter_modules(migrations.__path__)}
    recorder = MigrationRecorder(connections[alias])
    return sorted(names - {name for app, name in recorder.applied_migrations() if app == APP})
