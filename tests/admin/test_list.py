"""What the list shows of a job, and at what price."""

from __future__ import annotations

import re

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from django_backie.admin import paginator
from django_backie.admin.jobs import JobAdmin

from .support import LIST, SECOND, rows_of, text_of, uses_databases

pytestmark = uses_databases


@pytest.fixture
def queries_of(root):
    """Return a function that tells the queries of a page."""

    def count(url: str = LIST, **parameters) -> list[str]:
        root.get(url, parameters)
        with CaptureQueriesContext(connection) as captured:
            assert root.get(url, parameters).status_code == 200
        return [query["sql"] for query in captured]

    return count


def test_a_row_tells_state_task_arguments_queue_attempts_and_age(root, make_job, now):
    values = {"task": "shop.tasks.charge", "arguments": {"order": 7}, "queue": "pay", "attempt": 2}
    make_job(state="RETRYABLE", enqueued_at=now - 200 * SECOND, **values)
    page = text_of(root.get(LIST))
    for text in ("retrying", ">shop.charge<", "order=7", "pay", "2/5", "3 min ago"):
        assert text in page


def test_the_full_name_of_a_task_is_in_its_title(root, make_job):
    make_job(task="shop.tasks.charge")
    assert 'title="shop.tasks.charge"' in text_of(root.get(LIST))


def test_a_row_has_no_column_for_the_id(root, make_job):
    job = make_job()
    assert f">{job.pk}<" not in text_of(root.get(LIST))


def test_a_planned_job_tells_when_it_is_due(root, make_job, now):
    make_job(state="SCHEDULED", run_after=now + 290 * SECOND)
    assert "due in 4 min" in text_of(root.get(LIST))


def test_a_running_job_tells_that_it_goes_on(root, make_job, now):
    make_job(state="RUNNING", started_at=now - 125 * SECOND, last_attempted_at=now - 125 * SECOND)
    assert re.search(r"2 min \d+ s…", text_of(root.get(LIST)))


def test_a_state_of_a_newer_version_is_shown_as_it_is(root, make_job):
    make_job(state="PARKED")
    assert "PARKED" in text_of(root.get(LIST))


def test_every_state_has_a_word_and_a_shape(root, make_job):
    for state in (
        "SCHEDULED",
        "BLOCKED",
        "READY",
        "RUNNING",
        "RETRYABLE",
        "SUCCESSFUL",
        "FAILED",
        "CANCELLED",
    ):
        make_job(state=state)
    badges = re.findall(r'<span class="bk-badge[^>]*>(<svg .*?</svg>)(\w+)</span>', text_of(root.get(LIST)))
    assert len({shape for shape, _word in badges}) == len({word for _shape, word in badges}) == 8


def test_the_newest_job_comes_first(root, make_job, now):
    old, new = make_job(enqueued_at=now - SECOND), make_job(enqueued_at=now)
    assert rows_of(root.get(LIST)) == [new, old]


@pytest.mark.parametrize("order", ["1", "-2", "5.-1", "99", "x"])
def test_no_address_can_ask_for_an_order_without_an_index(root, make_job, now, order):
    old, new = make_job(enqueued_at=now - SECOND), make_job(enqueued_at=now)
    assert rows_of(root.get(LIST, {"o": order})) == [new, old]


def test_an_empty_table_says_so(root):
    assert "There are no jobs yet." in text_of(root.get(LIST))


def test_rows_are_headed_by_their_task(root, make_job):
    make_job()
    assert '<th scope="row"' in text_of(root.get(LIST))


def test_every_column_has_a_header_with_a_scope(root, make_job):
    make_job()
    head = re.search(r'id="result_list".*?</thead>', text_of(root.get(LIST)), re.DOTALL)[0]
    assert head.count("<th ") == head.count('scope="col"') == len(JobAdmin.list_display) + 1


def test_the_table_scrolls_inside_a_region_with_a_name(root, make_job):
    make_job()
    assert '<div class="results bk-scroll" role="region" aria-label="Jobs" tabindex="0">' in text_of(root.get(LIST))


def test_links_to_jobs_keep_the_filters_of_the_list(root, make_job):
    make_job(queue="mail")
    assert "/change/?_changelist_filters=queue%3Dmail" in text_of(root.get(LIST, {"queue": "mail"}))


def test_a_popup_hands_the_job_to_its_opener(root, make_job):
    job = make_job()
    assert f'data-popup-opener="{job.pk}"' in text_of(root.get(LIST, {"_popup": "1"}))


def test_the_body_and_other_large_columns_are_not_read(queries_of, make_job):
    make_job(body="SIGNED")
    assert not [sql for sql in queries_of() if '"body"' in sql or '"result"' in sql]


def test_the_arguments_are_not_read_for_those_who_may_not_see_them(client_with, make_job):
    make_job()
    client = client_with("view_job")
    with CaptureQueriesContext(connection) as captured:
        client.get(LIST)
    assert not [query for query in captured if "arguments" in query["sql"] and "FROM" in query["sql"]]


@pytest.mark.parametrize("parameters", [{}, {"state": "FAILED"}, {"queue": "default", "q": "add", "within": "7d"}])
def test_the_list_costs_at_most_twelve_queries(queries_of, make_job, parameters):
    for _ in range(30):
        make_job(state="FAILED")
    assert len(queries_of(**parameters)) <= 12


def test_the_list_costs_a_plain_user_at_most_twelve_queries(client_with, make_job):
    make_job()
    client = client_with("view_job", "view_payload", "retry_job")
    with CaptureQueriesContext(connection) as captured:
        client.get(LIST)
    assert len(captured) <= 12


def test_more_jobs_cost_no_more_queries(queries_of, make_job):
    make_job(state="FAILED")
    before = len(queries_of())
    for _ in range(40):
        make_job(state="RUNNING")
    assert len(queries_of()) == before


def test_a_full_window_costs_at_most_twelve_queries(queries_of, make_job, monkeypatch):
    monkeypatch.setattr(paginator, "LIMIT", 20)
    for _ in range(60):
        make_job()
    assert len(queries_of()) <= 12


@pytest.mark.parametrize(
    "parameters", [{}, {"state": "FAILED"}, {"q": "add"}, {"q": "old"}, {"within": "1h"}, {"p": 1}]
)
def test_nothing_counts_or_compares_the_whole_table(queries_of, make_job, parameters):
    make_job(state="FAILED")
    for sql in queries_of(**parameters):
        if "django_backie_job" in sql:
            assert "DISTINCT" not in sql.upper()
            assert "GROUP BY" not in sql.upper()
            # A count is bounded when it counts a query that carries a limit of its own.
            assert sql.count("COUNT(") == len(re.findall(r"LIMIT 10001\)", sql)), sql
            assert "LIMIT" in sql, sql


def test_another_database_is_asked_for_its_own_jobs_only(root, make_job):
    make_job(using="other")
    with CaptureQueriesContext(connections["default"]) as captured:
        root.get(LIST, {"db": "other"})
    assert not [query for query in captured if "django_backie_job" in query["sql"] and "COUNT" in query["sql"]]
