"""The page about schedules says what happens."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from django_backie import every, registry

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
