"""What the filters offer."""

from __future__ import annotations

import pytest

from django_backie import registry
from django_backie.admin import choices
from tests.app import tasks


@pytest.fixture(autouse=True)
def _forget():
    choices._discover.cache_clear()
    yield
    choices._discover.cache_clear()


def test_the_tasks_of_the_project_are_known():
    assert "tests.app.tasks.add" in choices.known_tasks()


def test_the_queues_that_tasks_name_are_known():
    assert tasks.add.queue_name in choices.known_queues()


def test_the_databases_that_hold_jobs_are_known_in_order():
    assert choices.known_databases() == ["default", "other"]


def test_tasks_are_imported_once(monkeypatch):
    calls = []
    monkeypatch.setattr(registry, "discover", calls.append)
    choices.known_tasks()
    choices.known_queues()
    assert len(calls) == 1


def test_a_task_module_that_cannot_be_imported_is_logged_and_takes_no_page_away(monkeypatch, caplog):
    def broken(modules):
        raise ImportError("tasks.py is broken")

    monkeypatch.setattr(registry, "discover", broken)
    assert choices.known_tasks() == registry.names()
    assert "tasks.py is broken" in caplog.text
