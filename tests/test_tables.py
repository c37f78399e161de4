"""Whether the tables are those of this release, and who is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from django_backie import tables
from django_backie.duties.migrations import Migrations

pytestmark = pytest.mark.django_db(databases=["default", "other"])

LAST = "0011_schedule_ended"


@pytest.fixture
def behind() -> Iterator[None]:
    """Let the database forget the last migration."""
    recorder = MigrationRecorder(connections["default"])
    recorder.record_unapplied(tables.APP, LAST)
    yield
    recorder.record_applied(tables.APP, LAST)


def test_a_database_with_all_migrations_is_up_to_date() -> None:
    assert tables.unapplied("default") == []


def test_what_is_to_be_applied_is_named(behind: None) -> None:
    assert tables.unapplied("default") == [LAST]
    assert tables.unapplied("other") == []


def test_who_has_migrations_of_his_own_knows_better(behind: None, settings: Any) -> None:
    settings.MIGRATION_MODULES = {tables.APP: "shop.backie_migrations"}

    assert tables.unapplied("default") == []


def test_a_worker_tells_how_to_catch_up(behind: None, backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "django_backie.duties"):
        assert Migrations(backend).tick() == float("inf")

    assert [record.getMessage() for record in caplog.records] == [
        "the tables in 'default' are those of an earlier release, 1 migration(s) behind; "
        "run: manage.py migrate django_backie --database default"
    ]
