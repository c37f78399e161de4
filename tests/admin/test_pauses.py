"""Paused queues in the admin: who may see them, and who may pause and resume."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from django_backie import queues, task_pauses
from django_backie.broker.redis import RedisBroker
from django_backie.exceptions import BrokerUnavailable
from django_backie.models import Pause
from tests.app.tasks import add
from tests.helpers import drain, mirror

from .support import LIST, text_of, told

PAUSES = "/admin/django_backie/pause/"
ADD = f"{PAUSES}add/"
BLANK = {"backend": "default", "queue": "mail", "reason": "", "until_0": "", "until_1": ""}

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(autouse=True)
def _own_redis(backend: Any) -> None:
    """Keep to a namespace of the test's own."""


def resume(client: Any, *rows: Pause) -> Any:
    data = {"action": "resume_queues", "_selected_action": [row.pk for row in rows], "index": "0"}
    return client.post(PAUSES, data, follow=True)


def test_a_queue_is_paused_by_adding_it(root, caplog):
    with caplog.at_level(logging.INFO, "django_backie.admin"):
        response = root.post(ADD, {**BLANK, "reason": "provider is down"}, follow=True)

    text_of(response)
    (found,) = queues.paused().values()
    assert (found.reason, found.by, found.until) == ("provider is down", "root", None)
    (entry,) = LogEntry.objects.all()
    assert (entry.object_id, entry.object_repr, entry.is_addition()) == (str(Pause.objects.get().pk), "mail", True)
    assert "pause of queue mail by root" in caplog.text


def test_the_end_of_a_pause_is_set_and_changed(root):
    root.post(ADD, {**BLANK, "until_0": "2040-01-01", "until_1": "12:00:00"})
    row = Pause.objects.get()
    assert queues.paused()["mail"].until == datetime(2040, 1, 1, 12, tzinfo=UTC).timestamp()

    root.post(f"{PAUSES}{row.pk}/change/", {"reason": "why", "until_0": "", "until_1": ""})
    found = queues.paused()["mail"]
    assert (found.until, found.reason, Pause.objects.get().since) == (None, "why", row.since)


def test_a_queue_that_is_paused_already_may_be_added_again(root):
    queues.pause("mail", reason="first")
    root.post(ADD, {**BLANK, "reason": "second"})

    assert [row.reason for row in Pause.objects.all()] == ["second"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("queue", "a\u200bb", "1 to 100 printable characters"),
        ("until_0", "2020-01-01", "must be in the future"),
        ("backend", "unknown", "Select a valid choice"),
        ("backend", "now", "Select a valid choice"),
    ],
)
def test_what_makes_no_pause_is_refused(root, field, value, words):
    response = root.post(ADD, {**BLANK, "until_1": "12:00:00" if field == "until_0" else "", field: value})

    assert words in text_of(response)
    assert not Pause.objects.exists()


def test_selected_queues_are_resumed(root, caplog):
    for queue in ("mail", "bulk", "slow"):
        queues.pause(queue)
    with caplog.at_level(logging.INFO, "django_backie.admin"):
        response = resume(root, *Pause.objects.exclude(queue="slow"))

    assert told(response) == ["2 pauses have ended."]
    assert [*queues.paused()] == ["slow"]
    assert sorted(LogEntry.objects.values_list("object_repr", flat=True)) == ["bulk", "mail"]
    assert "resume of queue mail by root" in caplog.text


def test_what_cannot_be_told_to_redis_now_is_told(root, monkeypatch):
    queues.pause("mail")

    def away(*arguments: Any) -> None:
        raise BrokerUnavailable("Redis is away")

    monkeypatch.setattr(RedisBroker, "resume", away)
    response = resume(root, Pause.objects.get())

    assert told(response) == ["Redis is not available; it follows when Redis is back.", "1 pause has ended."]
    assert not Pause.objects.exists()


def test_the_list_shows_what_lasts(root):
    queues.pause("mail", reason="<script>", by="ann")
    queues.pause("over")
    Pause.objects.filter(queue="over").update(until=timezone.now() - timedelta(seconds=1))
    page = text_of(root.get(PAUSES))

    assert "&lt;script&gt;" in page
    assert "<script>" not in page.replace("<script src", "")
    assert "1 pause" in page
    assert "over" not in page.split("result_list")[-1].split("</table>")[0]


@pytest.mark.parametrize("url", [PAUSES, ADD])
@pytest.mark.parametrize("method", ["get", "post"])
def test_staff_without_a_permission_is_refused(client_with, url, method):
    queues.pause("mail")
    response = getattr(client_with(), method)(url, BLANK)

    assert response.status_code == 403
    assert [*queues.paused()] == ["mail"]


def test_viewers_see_and_may_not_act(client_with):
    queues.pause("mail")
    client, row = client_with("view_pause"), Pause.objects.get()
    assert "mail" in text_of(client.get(PAUSES))

    assert client.post(ADD, {**BLANK, "queue": "bulk"}).status_code == 403
    assert client.post(f"{PAUSES}{row.pk}/change/", {"reason": "x"}).status_code == 403
    resume(client, row)
    assert {queue: found.reason for queue, found in queues.paused().items()} == {"mail": ""}


def test_nobody_deletes_a_pause_without_resuming_the_queue(root):
    queues.pause("mail")
    row = Pause.objects.get()
    assert root.post(f"{PAUSES}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    root.post(PAUSES, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})

    assert Pause.objects.exists()


def test_who_may_pause_needs_no_other_permission(client_with):
    client = client_with("pause_queue")
    client.post(ADD, BLANK)
    assert [*queues.paused()] == ["mail"]
    resume(client, Pause.objects.get())

    assert queues.paused() == {}


def test_the_list_of_jobs_says_what_is_paused(root, settings):
    settings.LANGUAGE_CODE = "en"
    assert "is paused since" not in text_of(root.get(LIST))
    queues.pause("ma<i>l", reason="provider is down", by="ann", until=timedelta(hours=1))
    page = text_of(root.get(LIST))

    assert "The queue ma&lt;i&gt;l is paused since" in page
    assert all(words in page for words in ("Until", "By ann.", "provider is down"))


@pytest.mark.parametrize(
    ("language", "words"), [("de", "seit"), ("es", "está en pausa desde"), ("fr", "est en pause depuis")]
)
def test_it_is_said_in_the_language_of_the_reader(root, settings, language, words):
    settings.LANGUAGE_CODE = language
    queues.pause("mail")

    assert words in text_of(root.get(LIST))
    assert words.split()[-1] in text_of(root.get(PAUSES)).lower()


def test_without_a_job_table_there_is_nothing_to_see(root, settings):
    settings.TASKS = {"default": settings.TASKS["now"]}

    assert root.get(ADD).status_code == 403
    assert "0 pauses" in text_of(root.get(PAUSES))


# Tasks.


TASK = {**BLANK, "queue": "", "task": "tests.app.tasks.add"}


def test_a_task_is_paused_by_adding_it_and_resumed(root, caplog):
    queues.pause("mail")
    with caplog.at_level(logging.INFO, "django_backie.admin"):
        root.post(ADD, {**TASK, "reason": "wrong template"})
        (found,) = task_pauses.paused().values()
        assert (found.reason, found.by) == ("wrong template", "root")
        response = resume(root, Pause.objects.get(queue=""))

    assert told(response)[-1] == "1 pause has ended."
    assert task_pauses.paused() == {}
    assert queues.paused().keys() == {"mail"}
    assert [record.getMessage() for record in caplog.records] == [
        "pause of task tests.app.tasks.add by root",
        "resume of task tests.app.tasks.add by root",
    ]


def test_the_end_of_a_task_s_pause_is_changed(root):
    root.post(ADD, TASK)
    row = Pause.objects.get()
    root.post(f"{PAUSES}{row.pk}/change/", {"reason": "why", "until_0": "2040-01-01", "until_1": "12:00:00"})

    found = task_pauses.paused()["tests.app.tasks.add"]
    assert (found.reason, found.until) == ("why", datetime(2040, 1, 1, 12, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({**TASK, "queue": "mail"}, "Name a queue or a task, and not both."),
        ({**TASK, "task": ""}, "Name a queue or a task, and not both."),
        ({**TASK, "task": "a|b"}, "No task can have this name."),
    ],
)
def test_what_is_no_queue_and_no_task_is_refused(root, data, words):
    assert words in text_of(root.post(ADD, data))
    assert not Pause.objects.exists()


def test_the_list_and_the_page_of_a_job_say_that_its_task_is_paused(root, backend):
    result = add.delay(1, 2)
    task_pauses.pause(add, reason="wrong template")
    drain(backend)
    mirror(backend)

    assert "The task tests.app.tasks.add is paused since" in text_of(root.get(LIST))
    page = text_of(root.get(f"{LIST}{result.id}/change/"))
    assert "This job waits: its task is paused." in page
