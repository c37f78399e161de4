"""The page about queues says what happens."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from django_backie import queues, task_pauses
from django_backie.broker import inspect
from tests.app.tasks import add
from tests.helpers import drain

from .pages import DOCS, load

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def page(backend: Any) -> Any:
    add.using(queue_name="mail").delay_many([(number, 1) for number in range(3)])
    return load("how-to/pause-a-queue")


def test_a_health_check_pauses_and_resumes(page: Any) -> None:
    page.provider_is_down()
    found = queues.paused()["mail"]
    assert (found.reason, found.by, found.until - found.since) == (
        "provider is down",
        "health check",
        pytest.approx(1800, abs=1),
    )

    page.provider_is_back()
    assert queues.paused() == {}


def test_a_task_is_paused_and_resumed_beside_others(page: Any, backend: Any) -> None:
    page.template_is_wrong()
    drain(backend)
    assert task_pauses.paused()["tests.app.tasks.add"].reason == "wrong template"
    assert inspect.parked_of_task(backend.broker, "tests.app.tasks.add") == 3

    page.template_is_right()
    drain(backend)
    assert task_pauses.paused() == {}
    assert inspect.ready_counts(backend.broker) == {"mail": 0}


def test_what_is_purged_and_moved_is_counted(page: Any, backend: Any) -> None:
    assert page.send_slowly() == (3, 0)
    assert inspect.ready_counts(backend.broker) == {"bulk": 3, "mail": 0}
    queues.move("bulk", "mail")
    assert page.forget_all() == 3


def test_the_commands_of_the_page_say_what_it_shows(page: Any, monkeypatch: pytest.MonkeyPatch, backend: Any) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    text = (DOCS / "how-to" / "pause-a-queue.md").read_text()
    for words, said in (
        (["pause", "mail", "--reason", "provider is down", "--for", "30m"], "mail is paused"),
        (["stats"], "until "),
        (["resume", "mail"], "mail goes on"),
        (["purge", "mail", "--reason", "sent twice", "--yes"], "job(s) cancelled"),
        (["move", "mail", "bulk"], "job(s) moved to bulk"),
    ):
        output = StringIO()
        call_command("backie", *words, stdout=output)
        assert said in output.getvalue()
        assert said in text
        if words == ["stats"]:
            (line,) = [line for line in output.getvalue().splitlines() if "paused" in line]
            (shown,) = re.findall(r"^mail +412 ready.*$", text, re.MULTILINE)
            assert _shape(line) == _shape(shown)


def _shape(line: str) -> str:
    """Return a line without its numbers."""
    return re.sub(r"\d", "0", re.sub(r" +\d+ ready", " 0 ready", line))
