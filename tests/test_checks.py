"""What ``manage.py check`` says: each id where it belongs, and only there."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connections

from django_backie import checks, compat, registry
from django_backie.exceptions import BrokerUnavailable
from tests.app.tasks import add

pytestmark = pytest.mark.django_db(databases=["default", "other"])

BACKEND = "django_backie.backend.RedisBackend"
DURABLE = {"maxmemory_policy": "noeviction", "aof_enabled": 1}


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server say that all is well; a test may say otherwise."""
    monkeypatch.setattr(checks, "server_info", lambda _: DURABLE)
    # Other tests have tasks of many kinds.
    monkeypatch.setattr(registry, "_tasks", {add.job_name: add})


def found(settings: Any, *, deploy: bool = False, databases: list[str] | None = None, **options: Any) -> list[str]:
    """Return the ids of our messages for one alias with these options."""
    settings.TASKS = {"default": {"BACKEND": BACKEND, "OPTIONS": {"URL": "redis://localhost", **options}}}
    messages = run_checks(include_deployment_checks=deploy, databases=databases)
    # Once each: where the backport is installed beside Django 6, both ask the backend.
    return sorted({str(message.id).rpartition(".")[2] for message in messages if "backie" in str(message.id)})


def test_right_options_need_no_word(settings: Any) -> None:
    assert found(settings) == []


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"URLL": "redis://localhost"}, ["E001"]),
        ({"LEASE": 1}, ["E002"]),
        ({"DATABASES": ["defalt"]}, ["E003"]),
        ({"DATABASES": []}, ["E004"]),
        ({"DATABASES": [], "DURABILITY": "commit"}, ["E004"]),
        ({"DATABASES": [], "DURABILITY": "now"}, []),
    ],
)
def test_wrong_options_are_told(settings: Any, options: dict[str, Any], ids: list[str]) -> None:
    assert found(settings, **options) == ids


def test_a_table_without_its_app_is_told(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TASKS = {"default": {"BACKEND": BACKEND, "OPTIONS": {}}}
    monkeypatch.setattr("django.apps.apps.is_installed", lambda _: False)

    assert [message.id for message in compat.get_backend("default").check()] == ["django_backie.E005"]


def test_two_tasks_of_one_name_are_told(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "duplicates", lambda: {"same": ["a.one", "b.two"]})

    assert found(settings) == ["E007"]


def test_a_tasks_module_that_cannot_be_imported_is_told(settings: Any) -> None:
    assert found(settings, TASK_MODULES=["no.such.module"]) == ["E008"]


@pytest.mark.parametrize(
    ("own", "ids"),
    [({"timeout": 60}, ["W009"]), ({"timeout": 60, "hard_timeout": 61}, []), ({"timeout": 59}, []), ({}, [])],
)
def test_a_task_that_the_settings_kill_before_its_own_timeout_is_told(
    settings: Any, monkeypatch: pytest.MonkeyPatch, own: dict[str, Any], ids: list[str]
) -> None:
    monkeypatch.setitem(registry._tasks, "tests.app.tasks.add", add.using(**own))

    assert found(settings, TIMEOUT=30, HARD_TIMEOUT=60) == ids


def test_an_atomic_task_without_a_job_table_is_told(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._tasks, "tests.app.tasks.add", add.using(atomic=True))

    assert found(settings, DATABASES=[], DURABILITY="now") == ["E009"]
    assert found(settings) == []


class NoJobs:
    """A router that keeps the job table out of every database."""

    def allow_migrate(self, db: str, app_label: str, **_: Any) -> bool | None:
        return False if app_label == "django_backie" else None


def test_a_router_that_keeps_the_table_out_is_told(settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.test_checks.NoJobs"]

    assert found(settings) == ["W001"]


def test_a_missing_table_is_told_where_databases_are_asked(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names = connections["default"].introspection.table_names()
    lacking = [name for name in names if name != "django_backie_job"]
    monkeypatch.setattr(type(connections["default"].introspection), "table_names", lambda *_, **__: lacking)

    assert found(settings, databases=["default"]) == ["W007"]
    assert found(settings) == []


@pytest.mark.parametrize(
    ("url", "ids"),
    [
        ("redis://redis.example.org", ["W002", "W003"]),
        ("redis://:secret@redis.example.org", ["W002"]),
        ("rediss://redis.example.org", ["W003"]),
        ("rediss://:secret@redis.example.org", []),
        ("redis://127.0.0.1", []),
        ("unix:///run/redis.sock", []),
    ],
)
def test_how_jobs_travel_is_told_before_a_deployment(settings: Any, url: str, ids: list[str]) -> None:
    assert found(settings, deploy=True, URL=url) == ids
    assert found(settings, URL=url) == []


@pytest.mark.parametrize(
    ("info", "ids"),
    [
        ({**DURABLE, "maxmemory_policy": "allkeys-lru"}, ["W005"]),
        ({**DURABLE, "aof_enabled": 0}, ["W006"]),
    ],
)
def test_a_server_that_forgets_is_told_before_a_deployment(
    settings: Any, monkeypatch: pytest.MonkeyPatch, info: dict[str, Any], ids: list[str]
) -> None:
    monkeypatch.setattr(checks, "server_info", lambda _: info)

    assert found(settings, deploy=True) == ids


def test_a_server_that_cannot_be_asked_is_told(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(_: Any) -> dict[str, Any]:
        raise BrokerUnavailable

    monkeypatch.setattr(checks, "server_info", down)

    assert found(settings, deploy=True) == ["W004"]


def test_the_implicit_alias_is_told(settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": "django.core.no.such.Backend"}}

    ids = [message.id for message in checks.check_configuration()]
    assert "django_backie.I001" in ids
