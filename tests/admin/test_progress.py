"""How far a job is, on its page."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.broker.sent import Shown
from django_backie.core.progress import reported
from django_backie.core.states import State
from django_backie.exceptions import BrokerUnavailable
from django_backie.models import Attempt, Job
from tests.app.progressing import halfway, walk
from tests.helpers import drain, lease, mirror

from .support import page_of, text_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def bar_of(text: str) -> str:
    found = re.search(r'<p class="bk-progress">.*?</p>', text, re.DOTALL)
    return unescape(found[0]) if found else ""


@pytest.fixture
def running(backend) -> Job:
    """Return the row of a job that runs and has shown how far it is."""
    result = halfway.delay()
    (held,) = lease(backend, "w")
    mirror(backend)
    backend.broker.show([Shown("w", held.id, held.token, reported(1, 4, "<b>page</b>", time.time()).text())])
    return Job.objects.get(pk=result.id)


def test_a_running_job_has_a_bar(root, running):
    text = text_of(root.get(page_of(running)))

    assert 'value="25"' in bar_of(text)
    assert 'aria-valuenow="25"' in bar_of(text)
    assert "<strong>25%</strong>" in bar_of(text)
    assert "&lt;b&gt;page&lt;/b&gt;" in text
    assert "<b>page" not in text


def test_a_job_that_ended_shows_its_last_value(root, backend):
    result = walk.delay(3)
    drain(backend)
    mirror(backend)

    bar = bar_of(text_of(root.get(page_of(Job.objects.get(pk=result.id)))))
    assert 'value="100"' in bar
    assert "walking" in bar


def test_a_job_that_ended_with_no_total_has_a_bar_that_stands(root, make_job, now):
    job = make_job(state=State.FAILED)
    Attempt.objects.create(job=job, number=1, worker="w", started_at=now, finished_at=now, progress=[7, None, "", 1.0])

    bar = bar_of(text_of(root.get(page_of(job))))
    assert 'value="0"' in bar
    assert "7 done" in bar


def test_what_a_task_says_is_for_those_who_may_see_payloads(client_with, running):
    bar = bar_of(text_of(client_with("view_job").get(page_of(running))))

    assert "25%" in bar
    assert "page" not in bar


@pytest.mark.parametrize("state", [State.RUNNING, State.READY, State.SUCCESSFUL])
def test_a_job_that_shows_nothing_has_no_bar(root, make_job, state):
    assert bar_of(text_of(root.get(page_of(make_job(state=state))))) == ""


def test_without_redis_the_page_shows_the_rest(root, running, monkeypatch):
    def refuse(self, ids):
        raise BrokerUnavailable("gone")

    monkeypatch.setattr(RedisBroker, "inspect", refuse)
    text = text_of(root.get(page_of(running)))

    assert bar_of(text) == ""
    assert str(running.pk) in text


def test_a_job_of_a_backend_that_is_gone_has_no_bar(root, make_job):
    assert bar_of(text_of(root.get(page_of(make_job(state=State.RUNNING, backend="gone"))))) == ""
