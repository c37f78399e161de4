"""A job's page."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_backie.admin import page
from django_backie.core.cancellation import as_asked

from .support import LIST, SECOND, page_of, text_of, told, uses_databases

pytestmark = uses_databases


@pytest.fixture
def show(root):
    return lambda job: unescape(text_of(root.get(page_of(job))))


def buttons(text: str) -> list[str]:
    return re.findall(r"<form method=\"post\" action=\"/admin/django_backie/job/[^/]+/(\w+)/", text)


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        ("SCHEDULED", ["run_now", "cancel"]),
        ("BLOCKED", ["cancel"]),
        ("READY", ["cancel"]),
        ("RUNNING", ["cancel"]),
        ("RETRYABLE", ["run_now", "cancel"]),
        ("SUCCESSFUL", []),
        ("FAILED", ["retry"]),
        ("CANCELLED", ["retry"]),
    ],
)
def test_a_state_has_the_buttons_of_the_verbs_it_allows(show, make_job, state, verbs):
    assert buttons(show(make_job(state=state))) == verbs


def test_the_head_names_task_id_queue_and_attempts(show, make_job):
    job = make_job(task="shop.tasks.charge", queue="pay", attempt=2)
    text = show(job)
    for wanted in ("shop.charge", "shop.tasks.charge", str(job.pk), "pay", "2 of 5"):
        assert wanted in text


def test_the_queue_leads_to_its_jobs(root, make_job):
    job = make_job(queue="a&b c")
    match = re.search(rf'href="({re.escape(LIST)}\?queue=[^"]*)"', text_of(root.get(page_of(job))))
    assert [found.pk for found in root.get(unescape(match[1])).context["cl"].result_list] == [job.pk]


def test_a_blocked_job_tells_why(show, make_job):
    assert "This job is blocked: no worker knows it" in show(make_job(state="BLOCKED", reason="no worker knows it"))


def test_a_cancelled_job_tells_why(show, make_job):
    assert "This job was cancelled: wrong prices" in show(make_job(state="CANCELLED", reason="wrong prices"))


@pytest.mark.parametrize(("wish", "notice"), [("wrong prices", "to end: wrong prices"), ("", "to end.")])
def test_a_running_job_that_was_asked_to_end_is_shown_as_cancelling(show, make_job, wish, notice):
    text = show(make_job(state="RUNNING", reason=as_asked(wish)))
    assert f"This job was asked {notice}" in text
    assert "cancelling</span>" in text


def test_a_running_job_that_nobody_wants_cancelled_is_not_shown_as_cancelling(show, make_job):
    assert "cancelling" not in show(make_job(state="RUNNING"))


def test_the_list_shows_which_running_jobs_are_being_cancelled(root, make_job):
    make_job(state="RUNNING", reason=as_asked("wrong prices"))
    make_job(state="RUNNING")
    assert text_of(root.get(LIST)).count("cancelling</span>") == 1


def test_a_job_without_a_reason_has_no_notice(show, make_job):
    assert "bk-notice" not in show(make_job(state="CANCELLED"))


def test_arguments_stand_under_their_names(show, make_job):
    text = show(make_job(arguments={"order_id": 7}))
    assert re.search(r"order_id</code></th><td><pre [^>]*>7</pre>", text)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, -(2**53) - 1])
def test_large_numbers_are_exact(show, make_job, number):
    assert f">{number}</pre>" in show(make_job(arguments={"number": number}, state="SUCCESSFUL", result=str(number)))


def test_no_arguments_are_said_to_be_none(show, make_job):
    assert "This job was enqueued without arguments." in show(make_job(arguments={}))


def test_the_result_of_a_success_is_shown(show, make_job):
    assert ">[1, 2]</pre>" in show(make_job(state="SUCCESSFUL", result="[1,2]"))


@pytest.mark.parametrize("result", ["", "null"])
def test_a_success_that_returned_nothing_shows_none(show, make_job, result):
    assert ">None</pre>" in show(make_job(state="SUCCESSFUL", result=result))


def test_an_empty_result_is_told_from_none(show, make_job):
    assert ">''</pre>" in show(make_job(state="SUCCESSFUL", result='""'))


def test_a_job_that_has_not_succeeded_has_no_result(show, make_job):
    assert "bk-result" not in show(make_job(state="FAILED"))


def test_attempts_are_listed_in_the_order_they_were_made(show, make_job, make_attempt):
    job = make_job(state="FAILED")
    for number in (2, 1, 3):
        make_attempt(job, number, worker=f"worker-{number}")
    assert re.findall(r"<td>worker-(\d)</td>", show(job)) == ["1", "2", "3"]


def test_the_attempt_that_is_running_is_listed(show, make_job, now):
    job = make_job(state="RUNNING", attempt=1, worker="web-9", last_attempted_at=now - 3 * SECOND)
    assert "<td>web-9</td>" in show(job)


def test_each_attempt_has_its_traceback_and_the_last_is_open(show, make_job, make_attempt):
    job = make_job(state="FAILED")
    for number in (1, 2):
        make_attempt(job, number, traceback=f"Traceback {number}")
    found = re.findall(r"<details class=\"bk-details\"( open)?>.*?Traceback (\d)</pre>", show(job), re.DOTALL)
    assert found == [("", "1"), (" open", "2")]


def test_tracebacks_of_a_job_that_succeeded_in_the_end_are_closed(show, make_job, make_attempt):
    job = make_job(state="SUCCESSFUL")
    make_attempt(job, 1, traceback="Traceback")
    assert '<details class="bk-details" open>' not in show(job)


def test_only_the_newest_attempts_are_read(show, make_job, make_attempt, monkeypatch):
    monkeypatch.setattr(page, "ATTEMPTS_SHOWN", 2)
    job = make_job(state="FAILED")
    for number in range(1, 5):
        make_attempt(job, number, worker=f"worker-{number}")
    text = show(job)
    assert re.findall(r"<td>worker-(\d)</td>", text) == ["3", "4"]
    assert "Earlier attempts are not shown." in text


def test_the_timeline_has_words_for_those_who_cannot_see_it(show, make_job, now):
    job = make_job(state="RUNNING", enqueued_at=now - 9 * SECOND, last_attempted_at=now - 4 * SECOND)
    assert re.search(r'role="img" aria-label="Timeline: waiting: 5.0 s, running: \d', show(job))


def test_the_timeline_is_drawn_in_every_language_with_plain_numbers(root, make_job, make_attempt, now, settings):
    settings.LANGUAGE_CODE = "de"
    settings.USE_THOUSAND_SEPARATOR = True
    job = make_job(state="FAILED", enqueued_at=now, finished_at=now + 90 * SECOND)
    make_attempt(job, 1, started_at=now, finished_at=now + 90 * SECOND)
    assert 'width="1000" height="20"' in text_of(root.get(page_of(job)))


def test_the_row_is_shown_as_json(show, make_job):
    job = make_job(arguments={"number": 2**60 + 1})
    row = json.loads(re.search(r'id="bk-raw-text"[^>]*>(.*?)</pre>', show(job), re.DOTALL)[1])
    assert (row["id"], row["arguments"], "body" in row) == (str(job.pk), {"number": 2**60 + 1}, False)


def test_copy_buttons_are_hidden_until_the_script_shows_them(show, make_job):
    found = re.findall(r"<button type=\"button\" class=\"bk-copy\"[^>]*>", show(make_job()))
    assert found
    assert all(" hidden" in button for button in found)


def test_copy_buttons_point_at_what_they_copy(show, make_job, make_attempt):
    job = make_job(state="FAILED")
    make_attempt(job, 1, traceback="Traceback")
    text = show(job)
    targets = re.findall(r'data-bk-copy="([^"]+)"', text)
    assert len(targets) == 3
    assert all(text.count(f'id="{target}"') == 1 for target in targets)


def test_a_job_in_another_database_is_shown(show, make_job, make_attempt):
    job = make_job(using="other", state="FAILED")
    make_attempt(job, 1, worker="elsewhere")
    assert "elsewhere" in show(job)


@pytest.mark.parametrize("object_id", ["nonsense", "1", "a/b", "01a20369-82d3-7325-aa31-7bdf3bae7963", "..", "%00"])
def test_a_job_that_does_not_exist_leads_to_the_list(root, object_id):
    response = root.get(f"{LIST}{object_id}/change/", follow=True)
    assert response.request["PATH_INFO"] == LIST
    assert told(response)[0].startswith("There is no job ")


def test_a_page_costs_at_most_twelve_queries(root, make_job, make_attempt):
    job = make_job(state="FAILED")
    for number in range(1, 30):
        make_attempt(job, number, traceback="Traceback")
    root.get(page_of(job))
    with CaptureQueriesContext(connection) as captured:
        root.get(page_of(job))
    assert len(captured) <= 12


def test_a_page_never_reads_the_body(root, make_job):
    job = make_job(body="SIGNED")
    with CaptureQueriesContext(connection) as captured:
        root.get(page_of(job))
    assert not [query for query in captured if '"body"' in query["sql"]]


def test_a_page_is_shown_when_times_are_naive(root, make_job, make_attempt, settings):
    from datetime import datetime

    settings.USE_TZ = False
    moment = datetime(2026, 11, 22, 12, 0)
    job = make_job(state="RETRYABLE", enqueued_at=moment, run_after=moment, last_attempted_at=moment)
    make_attempt(job, 1, started_at=moment, finished_at=moment + SECOND, retry_at=moment + 9 * SECOND)
    assert root.get(page_of(job)).status_code == root.get(LIST).status_code == 200
