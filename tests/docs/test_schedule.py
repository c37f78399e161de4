"""The page about schedules says what happens."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from django_backie import compat, every, registry, schedule_rows, schedule_settings
from django_backie.models import Schedule as Row

from .pages import load

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def test_the_tasks_of_the_page_are_listed(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_tasks", {})
    page = load("how-to/schedule")
    output = StringIO()
    call_command("backie", "schedules", stdout=output)

    assert [line.split("  ")[0] for line in output.getvalue().splitlines()] == [
        f"docs_schedule.{name}" for name in ("clean_up", "fetch_rates", "import_orders", "rebuild_index", "send_digest")
    ]
    assert (page.import_orders.schedule.overlap, page.rebuild_index.schedule.overlap) == ("skip", "queue")
    assert page.fetch_rates.schedule == every(minutes=5)
    assert page.send_digest.schedule.timetable.zone == "Europe/Berlin"


def test_the_schedules_of_the_settings_are_read(backend: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_tasks", {})
    page = load("how-to/schedule")
    registry.register("shop.tasks.report", page.report)
    registry.register("shop.tasks.ping", page.clean_up)
    default = settings.TASKS["default"]
    options = {**default["OPTIONS"], **page.TASKS["default"]["OPTIONS"]}
    settings.TASKS = {**settings.TASKS, "default": {**default, "OPTIONS": options}}
    found = {name: schedule_settings.plan_of(name, compat.get_backend("default")) for name in page.SCHEDULES}

    board = found["report for the board"]
    assert str(found["nightly report"].schedule) == "0 3 * * * Europe/Berlin"
    assert (board.task.queue_name, board.task.priority, board.call) == ("bulk", 5, ((), {"region": "all"}))
    assert board.schedule == every(hours=12, missed="skip", overlap="skip", jitter=30)
    assert found["ping"].schedule == every(minutes=5)


def test_the_row_of_the_page_is_written(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_tasks", {})
    page = load("how-to/schedule")
    registry.register("shop.tasks.report", page.report)
    page.write_rows()

    row = Row.objects.get()
    assert (row.name, row.overlap, row.jitter) == ("report for Europe", "skip", 600)
    assert str(schedule_rows.plan_of(row, backend).schedule) == "0 3 * * * Europe/Berlin"
