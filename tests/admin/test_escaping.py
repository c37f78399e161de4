"""Nothing that a job carries is ever taken for markup, and no page needs inline code."""

from __future__ import annotations

import re

import pytest
from django.utils.html import escape

from .support import LIST, page_of, text_of, uses_databases

pytestmark = uses_databases

CORPUS = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "'><b onmouseover=alert(1)>",
    "</pre></details><h1>owned</h1>",
    "</textarea><iframe src=//evil>",
    "{{ 31330|add:7 }}{% debug %}",
    "javascript:alert(1)",
]


@pytest.fixture(params=CORPUS)
def evil(request) -> str:
    return request.param


@pytest.fixture(params=["FAILED", "SUCCESSFUL", "BLOCKED", "RUNNING"])
def job(request, evil, make_job, make_attempt, now):
    job = make_job(
        task=evil,
        queue=evil,
        state=request.param,
        reason=evil,
        arguments={evil: evil, "nested": [{evil: [evil]}]},
        result=f'{{"{evil}"' if '"' in evil else f'{{"key": "{evil}"}}',
        error_class=evil,
        error_message=evil,
        worker=evil,
        backend=evil,
        last_attempted_at=now,
    )
    values = {"error_class": evil, "error_message": evil, "traceback": evil, "worker": evil}
    make_attempt(job, 1, outcome="failed", **values)
    return job


def tags(html: str) -> list[str]:
    """Return every tag of a page that our own templates do not write."""
    return re.findall(r"<(?:img|script|svg|b|iframe|h1)\b[^>]*(?:alert|owned|evil)[^>]*>|<h1>owned", html)


def test_no_value_becomes_markup_on_the_jobs_page(root, job):
    assert tags(text_of(root.get(page_of(job)))) == []


def test_no_value_becomes_markup_in_the_list(root, job, evil):
    assert tags(text_of(root.get(LIST, {"queue": evil, "task": evil}))) == []


def test_no_value_becomes_markup_in_the_history(root, job):
    assert tags(text_of(root.get(page_of(job, "history")))) == []


def test_no_value_becomes_markup_in_the_question_before_cancelling(root, make_job, evil, fake_control):
    jobs = [make_job(task=evil, queue=evil) for _ in range(2)]
    data = {"action": "cancel_jobs", "_selected_action": [job.pk for job in jobs], "index": "0"}
    assert tags(text_of(root.post(LIST, data))) == []


def test_no_value_becomes_markup_in_messages(root, make_job, evil, fake_control):
    job = make_job(state="FAILED")
    fake_control.refusing[str(job.pk)] = evil
    assert tags(text_of(root.post(page_of(job, "retry"), follow=True))) == []


def test_no_search_term_becomes_markup(root, make_job, evil):
    make_job()
    assert tags(text_of(root.get(LIST, {"q": evil, "within": evil, "state": evil, "db": evil}))) == []


def test_a_value_is_shown_as_it_is(root, job, evil):
    assert escape(evil) in text_of(root.get(page_of(job)))


def test_templates_do_not_run_what_a_value_says(root, job):
    assert "31337" not in text_of(root.get(page_of(job)))


@pytest.fixture
def pages(root, make_job, make_attempt, fake_control) -> list[str]:
    jobs = [make_job(state=state) for state in ("FAILED", "SUCCESSFUL", "READY", "SCHEDULED")]
    make_attempt(jobs[0], 1, traceback="Traceback")
    data = {"action": "cancel_jobs", "_selected_action": [job.pk for job in jobs], "index": "0"}
    responses = [root.get(LIST), root.post(LIST, data), *(root.get(page_of(job)) for job in jobs)]
    return [text_of(response) for response in responses]


def test_no_page_has_an_inline_style(pages):
    assert not [page for page in pages if re.search(r"<style|\sstyle=", page)]


def test_no_page_has_an_inline_script(pages):
    assert not [page for page in pages if re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|javascript:", page)]


def test_no_page_loads_anything_from_elsewhere(pages):
    for page in pages:
        addresses = re.findall(r'(?:src|href|action)="([^"]*)"', page)
        assert not [address for address in addresses if re.match(r"(https?:)?//|data:", address)]


def test_no_page_has_an_id_twice(pages):
    for page in pages:
        ids = re.findall(r'\sid="([^"]+)"', page)
        assert sorted(set(ids)) == sorted(ids)


def test_every_label_and_reference_has_its_target(pages):
    for page in pages:
        ids = set(re.findall(r'\sid="([^"]+)"', page))
        wanted = re.findall(r'\s(?:for|aria-labelledby|aria-describedby)="(bk-[^"]+|searchbar)"', page)
        assert set(wanted) <= ids


def test_every_field_of_our_forms_has_a_label(pages):
    for page in pages:
        labels = set(re.findall(r'<label for="([^"]+)"', page))
        fields = re.findall(r'<(?:select|input type="(?:search|text)")[^>]*\sid="((?:bk-|searchbar)[^"]*)"', page)
        assert set(fields) <= labels
