"""Retry, cancel and run now."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import CHANGE, LogEntry

from django_backie.admin import actions
from django_backie.exceptions import BrokerUnavailable

from .support import LIST, page_of, text_of, told, uses_databases

pytestmark = uses_databases

EVERYTHING = ("view_job", "retry_job", "cancel_job", "run_job")


def act(client, action: str, *jobs, url: str = LIST, follow: bool = True, **values):
    """Tick jobs on the list and run an action."""
    data = {"action": action, "_selected_action": [str(job.pk) for job in jobs], "index": "0", **values}
    return client.post(url, data, follow=follow)


def history() -> list[tuple[str, str, int]]:
    entries = LogEntry.objects.order_by("object_id")
    return [(entry.object_id, entry.change_message, entry.action_flag) for entry in entries]


VERBS = [
    ("retry_jobs", "retry", "FAILED"),
    ("run_jobs_now", "run_now", "SCHEDULED"),
    ("cancel_jobs", "cancel", "READY"),
]


@pytest.mark.parametrize("case", VERBS)
def test_an_action_of_the_list_is_carried_out(root, make_job, fake_control, case):
    action, verb, state = case
    job = make_job(state=state)
    act(root, action, job)
    name, ids, options = fake_control.calls[0]
    assert (name, ids, options["using"]) == (verb, (str(job.pk),), "default")


@pytest.mark.parametrize("case", VERBS)
def test_a_button_of_the_jobs_page_is_carried_out(root, make_job, fake_control, case):
    _action, verb, state = case
    job = make_job(state=state)
    root.post(page_of(job, verb))
    assert fake_control.calls[0][:2] == (verb, (str(job.pk),))


@pytest.mark.parametrize("case", VERBS)
def test_each_job_gets_one_log_entry(root, make_job, fake_control, case):
    action, _verb, state = case
    jobs = [make_job(state=state) for _ in range(3)]
    act(root, action, *jobs, confirmed="yes")
    assert sorted(entry[0] for entry in history()) == sorted(str(job.pk) for job in jobs)
    assert {entry[2] for entry in history()} == {CHANGE}


def test_a_button_leaves_one_log_entry(root, make_job, fake_control):
    job = make_job(state="FAILED")
    root.post(page_of(job, "retry"))
    assert history() == [(str(job.pk), "Retried.", CHANGE)]


def test_the_history_page_shows_the_action(root, make_job, fake_control):
    job = make_job(state="FAILED")
    root.post(page_of(job, "retry"))
    assert "Retried." in text_of(root.get(page_of(job, "history")))


def test_an_action_is_logged_for_machines(root, make_job, fake_control, caplog):
    job = make_job(state="FAILED")
    with caplog.at_level("INFO", "django_backie.admin"):
        root.post(page_of(job, "retry"))
    (record,) = [record for record in caplog.records if record.name == "django_backie.admin"]
    assert (record.job_id, record.action, record.user) == (str(job.pk), "retry", "root")


def test_a_job_that_was_refused_gets_no_log_entry(root, make_job, fake_control):
    done, refused = make_job(state="FAILED"), make_job(state="RUNNING")
    fake_control.refusing[str(refused.pk)] = "it is running"
    act(root, "retry_jobs", done, refused)
    assert [entry[0] for entry in history()] == [str(done.pk)]


def test_the_user_is_told_how_many_were_done(root, make_job, fake_control):
    jobs = [make_job(state="FAILED") for _ in range(3)]
    assert told(act(root, "retry_jobs", *jobs)) == ["3 jobs will run again."]


def test_the_user_is_told_why_the_others_were_not(root, make_job, fake_control):
    jobs = [make_job() for _ in range(3)]
    fake_control.refusing = {str(job.pk): "it is running" for job in jobs[1:]}
    words = told(act(root, "retry_jobs", *jobs))
    assert words == ["1 job will run again.", "2 jobs were left as they are: it is running"]


def test_many_reasons_are_told_as_the_five_most_common(root, make_job, fake_control):
    jobs = [make_job() for _ in range(8)]
    fake_control.refusing = {str(job.pk): f"reason {number}" for number, job in enumerate(jobs)}
    assert len(told(act(root, "retry_jobs", *jobs))) == 5


def test_without_redis_the_user_is_told_and_nothing_is_logged(root, make_job, fake_control):
    fake_control.error = BrokerUnavailable("localhost:6379: connection refused")
    response = act(root, "retry_jobs", make_job(state="FAILED"))
    assert told(response) == ["Redis cannot be reached, so nothing was changed: localhost:6379: connection refused"]
    assert history() == []


def test_a_button_returns_to_the_jobs_page_and_keeps_the_filters(root, make_job, fake_control):
    job = make_job(state="FAILED")
    response = root.post(page_of(job, "retry") + "?_changelist_filters=state%3DFAILED")
    assert response.url == page_of(job) + "?_changelist_filters=state%3DFAILED"


def test_an_action_returns_to_the_list_and_keeps_the_filters(root, make_job, fake_control):
    response = act(root, "retry_jobs", make_job(state="FAILED"), url=f"{LIST}?state=FAILED", follow=False)
    assert response.url == f"{LIST}?state=FAILED"


def test_jobs_that_left_the_filter_meanwhile_are_told_of(root, make_job, fake_control):
    words = told(act(root, "retry_jobs", make_job(state="READY"), url=f"{LIST}?state=FAILED"))
    assert words == ["None of the selected jobs matches the filters any more."]
    assert fake_control.calls == []


def test_a_link_cannot_act(root, make_job, fake_control):
    assert root.get(page_of(make_job(state="FAILED"), "retry")).status_code == 405
    assert fake_control.calls == []


def test_a_button_needs_the_token_of_its_form(make_job, fake_control, user_with):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(user_with(*EVERYTHING))
    assert client.post(page_of(make_job(state="FAILED"), "retry")).status_code == 403


def test_a_job_that_is_gone_is_told_of(root, make_job, fake_control):
    job = make_job(state="FAILED")
    url = page_of(job, "retry")
    job.delete()
    assert "There is no job" in told(root.post(url, follow=True))[0]


def test_a_job_of_another_database_is_acted_on_there(root, make_job, fake_control):
    root.post(page_of(make_job(using="other", state="FAILED"), "retry"))
    assert fake_control.calls[0][2]["using"] == "other"


def test_jobs_of_another_database_are_acted_on_there(root, make_job, fake_control):
    act(root, "retry_jobs", make_job(using="other", state="FAILED"), url=f"{LIST}?db=other")
    assert fake_control.calls[0][2]["using"] == "other"


# Cancelling several


def test_cancelling_several_jobs_asks_first(root, make_job, fake_control):
    page = text_of(act(root, "cancel_jobs", make_job(), make_job(), follow=False))
    assert "2 waiting jobs will be cancelled. They can be retried later." in page
    assert fake_control.calls == []


def test_cancelling_one_job_does_not_ask(root, make_job, fake_control):
    act(root, "cancel_jobs", make_job())
    assert len(fake_control.calls) == 1


def test_the_question_says_which_jobs_stay_as_they_are(root, make_job, fake_control):
    page = text_of(act(root, "cancel_jobs", make_job(), make_job(state="FAILED"), follow=False))
    assert "1 other job has ended and stays as it is." in page


def test_the_question_says_which_jobs_run_already(root, make_job, fake_control):
    page = text_of(act(root, "cancel_jobs", make_job(state="RUNNING"), make_job(), follow=False))
    assert "1 waiting job will be cancelled." in page
    assert "1 running job will be asked to end." in page


def test_the_question_about_jobs_that_have_all_ended_says_so(root, make_job, fake_control):
    jobs = [make_job(state="FAILED"), make_job(state="SUCCESSFUL")]
    page = text_of(act(root, "cancel_jobs", *jobs, follow=False))
    assert "None of these jobs seems to be waiting or running; no others can be cancelled." in page


def test_the_user_is_told_which_jobs_were_asked_to_end_and_the_history_says_so(root, make_job, fake_control):
    running, waiting = make_job(state="RUNNING"), make_job()
    fake_control.running = {str(running.pk)}
    words = told(act(root, "cancel_jobs", running, waiting, confirmed="yes", reason="wrong prices"))
    assert words == [
        "1 job was cancelled.",
        "1 running job was asked to end; it is cancelled as soon as it notices.",
    ]
    assert dict(entry[:2] for entry in history()) == {
        str(running.pk): "Asked to end. wrong prices",
        str(waiting.pk): "Cancelled. wrong prices",
    }


def test_the_question_shows_ten_jobs_at_most(root, make_job, fake_control):
    jobs = [make_job() for _ in range(13)]
    page = text_of(act(root, "cancel_jobs", *jobs, follow=False))
    assert page.count("<li>tests.app.tasks.add") == 10
    assert "and 3 more" in page


def test_the_question_hands_the_choice_on(root, make_job, fake_control):
    jobs = [make_job(), make_job()]
    page = text_of(act(root, "cancel_jobs", *jobs, follow=False))
    fields = dict.fromkeys(re.findall(r'name="(action|confirmed|select_across)"', page))
    assert set(fields) == {"action", "confirmed", "select_across"}
    ids = re.findall(r'name="_selected_action" value="([^"]+)"', page)
    root.post(LIST, {"action": "cancel_jobs", "_selected_action": ids, "confirmed": "yes"})
    assert set(fake_control.calls[0][1]) == {str(job.pk) for job in jobs}


def test_the_reason_reaches_control_and_the_history(root, make_job, fake_control):
    act(root, "cancel_jobs", make_job(), make_job(), confirmed="yes", reason="  wrong prices ")
    assert fake_control.calls[0][2]["reason"] == "wrong prices"
    assert {entry[1] for entry in history()} == {"Cancelled. wrong prices"}


def test_a_reason_of_any_length_fits(root, make_job, fake_control):
    act(root, "cancel_jobs", make_job(), reason="x" * 5000)
    assert len(fake_control.calls[0][2]["reason"]) == 200


# All that match


def test_all_that_match_are_acted_on(root, make_job, fake_control):
    jobs = [make_job(state="FAILED") for _ in range(5)]
    make_job(state="READY")
    act(root, "retry_jobs", jobs[0], url=f"{LIST}?state=FAILED", select_across="1")
    assert set(fake_control.calls[0][1]) == {str(job.pk) for job in jobs}


def test_more_than_the_limit_are_taken_in_part_and_the_user_is_told(root, make_job, fake_control, monkeypatch):
    monkeypatch.setattr(actions, "INLINE_LIMIT", 3)
    jobs = [make_job(state="FAILED") for _ in range(5)]
    words = told(act(root, "retry_jobs", jobs[0], select_across="1"))
    assert len(fake_control.calls[0][1]) == 3
    assert words[0].startswith("More than 3 jobs match; the newest 3 were taken.")


def test_the_question_for_all_that_match_keeps_the_filter_not_the_ids(root, make_job, fake_control):
    jobs = [make_job(queue="mail") for _ in range(4)]
    make_job(queue="other")
    page = text_of(act(root, "cancel_jobs", jobs[0], url=f"{LIST}?queue=mail", select_across="1", follow=False))
    assert "4 waiting jobs" in page
    assert page.count('name="_selected_action"') == 1
    assert 'name="select_across" value="1"' in page


def test_the_list_offers_no_more_than_an_action_takes(root, make_job, monkeypatch):
    from django_backie.admin import jobs

    monkeypatch.setattr(jobs, "INLINE_LIMIT", 2)
    monkeypatch.setattr(jobs.JobAdmin, "list_per_page", 1)
    for _ in range(3):
        make_job()
    assert "Select the newest 2 that match" in text_of(root.get(LIST))


def test_the_list_offers_all_that_match(root, make_job, monkeypatch):
    from django_backie.admin import jobs

    monkeypatch.setattr(jobs.JobAdmin, "list_per_page", 1)
    for _ in range(3):
        make_job()
    assert "Select all 3 jobs that match" in text_of(root.get(LIST))


def test_the_choice_of_jobs_reads_no_payload(root, make_job, fake_control, django_assert_max_num_queries):
    jobs = [make_job(state="FAILED", body="SIGNED") for _ in range(20)]
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        act(root, "retry_jobs", *jobs, follow=False)
    assert not [query for query in captured if '"body"' in query["sql"]]
    assert len(captured) <= 16
