"""What may be typed into the search box."""

from __future__ import annotations

from uuid import uuid4

import pytest

from django_backie.admin import choices
from django_backie.admin.search import as_id

from .support import LIST, page_of, rows_of, text_of, told, uses_databases

pytestmark = uses_databases


@pytest.fixture
def tasks(monkeypatch, make_job):
    """Return three jobs; two of their tasks are known."""
    monkeypatch.setattr(choices, "known_tasks", lambda: ["shop.tasks.charge_card", "shop.tasks.send_receipt"])
    names = ["shop.tasks.charge_card", "shop.tasks.send_receipt", "old.tasks.charge"]
    return [make_job(task=name, queue=f"queue-{number}") for number, name in enumerate(names)]


def found(client, term: str) -> list:
    return rows_of(client.get(LIST, {"q": term}))


def test_an_id_opens_its_job(root, make_job):
    job = make_job()
    assert root.get(LIST, {"q": str(job.pk)}).url.startswith(page_of(job))


def test_an_id_without_dashes_opens_its_job(root, make_job):
    job = make_job()
    assert root.get(LIST, {"q": f" {job.pk.hex} "}).url.startswith(page_of(job))


def test_an_id_in_another_database_opens_its_job(root, make_job):
    job = make_job(using="other")
    assert root.get(LIST, {"q": str(job.pk)}).url.startswith(page_of(job))


def test_an_unknown_id_finds_nothing(root, make_job):
    make_job()
    assert "No job matches." in text_of(root.get(LIST, {"q": str(uuid4())}))


def test_an_id_is_not_looked_up_for_those_who_may_not_see_it(client_with, make_job):
    job = make_job()
    assert client_with().get(LIST, {"q": str(job.pk)}).status_code == 403


def test_a_part_of_a_known_tasks_name_finds_its_jobs(root, tasks):
    assert found(root, "Receipt") == [tasks[1]]


def test_the_full_name_of_an_unknown_task_finds_its_jobs(root, tasks):
    assert found(root, "old.tasks.charge") == [tasks[2]]


def test_a_part_of_an_unknown_tasks_name_is_not_searched_for_in_the_table(root, tasks):
    assert found(root, "old.tasks") == []


def test_a_task_may_be_named_as_such(root, tasks):
    assert found(root, "task: charge_card") == [tasks[0]]


def test_a_queue_may_be_searched_for(root, tasks):
    assert found(root, "queue:queue-1") == [tasks[1]]


def test_blanks_find_everything(root, tasks):
    assert len(found(root, "  ")) == 3


@pytest.mark.parametrize("term", ["%", "'; drop table", "\\", "a:b:c", "queue:", "x" * 5000])
def test_odd_terms_find_nothing_and_break_nothing(root, tasks, term):
    assert found(root, term) == []


def test_a_term_that_no_database_takes_is_refused_in_words(root, tasks):
    response = root.get(LIST, {"q": "\x00"})
    assert told(response) == ["Null characters are not allowed."]


def test_the_search_combines_with_filters(root, tasks):
    assert rows_of(root.get(LIST, {"q": "shop", "queue": "queue-0"})) == [tasks[0]]


@pytest.mark.parametrize("text", ["", "abc", "g" * 32, "-" * 36, "1" * 33])
def test_other_texts_are_no_ids(text):
    assert as_id(text) is None
