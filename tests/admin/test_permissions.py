"""Who may see and do what. Django's staff flag alone opens nothing."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin

from django_backie.admin.verbs import VERBS
from django_backie.models import Job

from .support import LIST, page_of, text_of, uses_databases

pytestmark = uses_databases


def addresses(job: Job) -> list[str]:
    """Return every address of the job admin, read from its own list."""
    found = []
    for pattern in admin.site._registry[Job].get_urls():
        route = str(pattern.pattern)
        found.append(LIST + re.sub(r"<\w+:object_id>", str(job.pk), route))
    return found


def test_the_addresses_are_those_that_are_known():
    names = {pattern.name for pattern in admin.site._registry[Job].get_urls() if pattern.name}
    assert names == {
        f"django_backie_job_{view}"
        for view in ("changelist", "add", "history", "delete", "change", "retry", "cancel", "run_now")
    }


@pytest.mark.parametrize("method", ["get", "post"])
def test_staff_without_a_permission_is_refused_everywhere(client_with, make_job, fake_control, method):
    client = client_with()
    for url in addresses(make_job(state="FAILED")):
        response = getattr(client, method)(url, follow=True)
        assert response.status_code == 403, url
    assert fake_control.calls == []


@pytest.mark.parametrize("method", ["get", "post"])
def test_people_who_are_no_staff_are_sent_to_the_login(client, make_job, method):
    for url in addresses(make_job()):
        assert "/login/" in getattr(client, method)(url, follow=True).redirect_chain[-1][0]


def test_staff_without_a_permission_cannot_tell_whether_a_job_exists(client_with, make_job):
    client, job = client_with(), make_job()
    urls = [page_of(job), page_of(job, "history"), page_of(job, "delete")]
    job.delete()
    assert [client.get(url, follow=True).status_code for url in urls[:2]] == [403, 403]


def test_staff_without_a_permission_does_not_see_the_section(client_with):
    assert "Background jobs" not in text_of(client_with().get("/admin/"))


def test_viewers_may_read_list_page_and_history(client_with, make_job):
    client, job = client_with("view_job"), make_job()
    assert [client.get(url).status_code for url in (LIST, page_of(job), page_of(job, "history"))] == [200] * 3


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_viewers_may_not_act(client_with, make_job, fake_control, verb):
    client = client_with("view_job")
    job = make_job(state=next(iter(verb.states)))
    assert client.post(page_of(job, verb.name)).status_code == 403
    client.post(LIST, {"action": verb.action, "_selected_action": [job.pk], "index": "0"})
    assert fake_control.calls == []


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_each_verb_has_a_permission_of_its_own(client_with, make_job, fake_control, verb):
    client = client_with("view_job", verb.permission)
    job = make_job(state=next(iter(verb.states)))
    for other in VERBS.values():
        expected = 302 if other is verb else 403
        assert client.post(page_of(job, other.name)).status_code == expected


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_the_permission_to_act_is_none_to_see(client_with, make_job, fake_control, verb):
    job = make_job(state=next(iter(verb.states)))
    assert client_with(verb.permission).post(page_of(job, verb.name)).status_code == 403
    assert fake_control.calls == []


def test_viewers_are_offered_no_action(client_with, make_job):
    make_job()
    client = client_with("view_job")
    assert 'name="action"' not in text_of(client.get(LIST))


def test_only_permitted_actions_are_offered(client_with, make_job):
    make_job()
    page = text_of(client_with("view_job", "retry_job").get(LIST))
    assert 'value="retry_jobs"' in page
    assert 'value="cancel_jobs"' not in page


def test_only_permitted_buttons_are_offered(client_with, make_job):
    job = make_job(state="SCHEDULED")
    page = text_of(client_with("view_job", "run_job").get(page_of(job)))
    assert page_of(job, "run_now") in page
    assert page_of(job, "cancel") not in page


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("view", ["add", "delete"])
def test_nobody_adds_or_deletes(root, make_job, method, view):
    job = make_job()
    url = f"{LIST}add/" if view == "add" else page_of(job, "delete")
    assert getattr(root, method)(url).status_code == 403


def test_nobody_changes_a_row(root, make_job):
    job = make_job()
    assert root.post(page_of(job), {"state": "SUCCESSFUL"}).status_code == 403


def test_deleting_is_not_offered_as_an_action(root, make_job):
    make_job()
    assert "delete_selected" not in text_of(root.get(LIST))


SECRETS = {
    "arguments": {"note": "PAYLOAD-ARGUMENT"},
    "result": '"PAYLOAD-RESULT"',
    "error_message": "PAYLOAD-MESSAGE",
    "body": "PAYLOAD-BODY",
}


@pytest.fixture(params=["FAILED", "SUCCESSFUL"])
def secret_job(request, make_job, make_attempt):
    job = make_job(state=request.param, error_class="shop.Declined", **SECRETS)
    make_attempt(job, error_class="shop.Declined", error_message="PAYLOAD-ATTEMPT", traceback="PAYLOAD-TRACEBACK")
    return job


def test_payload_is_hidden_from_mere_viewers(client_with, secret_job):
    client = client_with("view_job")
    for url in (LIST, page_of(secret_job), page_of(secret_job, "history")):
        assert "PAYLOAD" not in text_of(client.get(url))


def test_mere_viewers_are_told_what_would_show_them_more(client_with, secret_job):
    assert "django_backie.view_payload" in text_of(client_with("view_job").get(page_of(secret_job)))


def test_mere_viewers_see_the_class_of_an_error(client_with, secret_job):
    assert "shop.Declined" in text_of(client_with("view_job").get(page_of(secret_job)))


def test_payload_is_shown_to_those_who_may_see_it(client_with, secret_job):
    page = text_of(client_with("view_job", "view_payload").get(page_of(secret_job)))
    for secret in (
        "PAYLOAD-ARGUMENT",
        "PAYLOAD-RESULT",
        "PAYLOAD-MESSAGE",
        "PAYLOAD-ATTEMPT",
        "PAYLOAD-TRACEBACK",
    ):
        assert secret in page


def test_the_body_is_shown_to_nobody(root, secret_job):
    for url in (LIST, page_of(secret_job), page_of(secret_job, "history")):
        assert "PAYLOAD-BODY" not in text_of(root.get(url))


def test_the_question_before_cancelling_shows_no_payload(client_with, make_job, fake_control):
    client = client_with("view_job", "cancel_job")
    jobs = [make_job(**SECRETS) for _ in range(2)]
    data = {"action": "cancel_jobs", "_selected_action": [job.pk for job in jobs], "index": "0"}
    assert "PAYLOAD" not in text_of(client.post(LIST, data))
