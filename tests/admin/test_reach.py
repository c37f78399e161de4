"""Filters that no index serves together: the list looks back so far, says so, and leads on."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_backie.admin import choices, paginator, reach
from django_backie.admin.jobs import JobAdmin
from django_backie.models import Job

from .support import LIST, SECOND, rows_of, text_of, told, uses_databases

pytestmark = uses_databases

has_pairs = connection.vendor == "postgresql"
BOTH = {"queue": "mail", "task": "shop.tasks.charge"}


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    """Let a page look at six jobs."""
    monkeypatch.setattr(paginator, "LIMIT", 6)
    monkeypatch.setattr(JobAdmin, "list_per_page", 4)


@pytest.fixture
def make_jobs(make_job, now):
    """Return a function that makes jobs of a queue and a task, one a second, the first of them so many seconds old."""

    def make(count: int, queue: str = "mail", task: str = "shop.tasks.send", age: int = 0, **values) -> list[Job]:
        moments = [now - (age + number) * SECOND for number in range(count)]
        return [make_job(queue=queue, task=task, enqueued_at=moment, **values) for moment in moments]

    return make


@pytest.fixture
def many(make_jobs):
    """Fill a queue and a task with more jobs each than a page looks at; return the two jobs of both, newest first."""
    make_jobs(8, task="shop.tasks.send")
    make_jobs(10, queue="pay", task="shop.tasks.charge")
    return [make_jobs(1, age=age, **BOTH)[0] for age in (4, 20)]


def changelist_of(client, **parameters):
    return client.get(LIST, parameters).context["cl"]


def numbers(changelist) -> dict[str, str]:
    return {chip.label: chip.number for chip in changelist.chips}


def test_a_single_filter_looks_at_all_jobs(root, many):
    assert changelist_of(root, task="shop.tasks.charge").edge is None


def test_two_filters_look_at_the_newest_jobs_of_one(root, many):
    assert rows_of(root.get(LIST, BOTH)) == many[:1]


def test_it_is_said_since_when_was_looked(root, many):
    page = text_of(root.get(LIST, BOTH))
    assert "since <time " in page
    assert "1+ job" in page


def test_what_was_not_looked_at_is_on_a_later_page(root, many):
    older = changelist_of(root, **BOTH).older_url
    assert rows_of(root.get(LIST + older)) == many[1:]


def test_pages_show_every_job_once_and_come_to_an_end(root, make_jobs, now):
    for age in range(0, 60, 3):
        make_jobs(1, age=age, **BOTH)
        make_jobs(1, age=age + 1, task="shop.tasks.send")
        make_jobs(1, age=age + 1, queue="pay", task=BOTH["task"])
        # At the moment at which a page ends, too.
        make_jobs(1, age=age, **BOTH)
    seen, addresses = [], [f"{LIST}?queue=mail&task=shop.tasks.charge"]
    for address in addresses:
        pages = root.get(address).context["cl"].paginator.num_pages
        responses = [root.get(f"{address}&p={page}") for page in range(1, pages + 1)]
        seen += [job for response in responses for job in rows_of(response)]
        older = responses[-1].context["cl"].older_url
        addresses += [LIST + older] if older else []
        assert len(addresses) < 30
    assert seen == list(Job.objects.filter(**BOTH).order_by("-enqueued_at", "-pk"))


def test_an_empty_page_leads_on_too(root, make_jobs):
    make_jobs(8, task="shop.tasks.send")
    make_jobs(8, queue="pay", task="shop.tasks.charge")
    page = text_of(root.get(LIST, BOTH))
    assert "No job matches." in page
    assert "older ›" in page


def test_of_a_rare_value_all_jobs_are_looked_at(root, make_jobs):
    make_jobs(20, task="shop.tasks.send")
    rare = make_jobs(5, age=1000, **BOTH)
    changes = changelist_of(root, **BOTH)
    assert (list(changes.result_list), changes.edge, changes.older_url) == (rare[:4], None, "")


def test_the_rarer_value_decides_how_far_to_look(root, make_jobs, now):
    make_jobs(30, task="shop.tasks.send")
    make_jobs(8, queue="pay", task="shop.tasks.charge", age=100)
    assert changelist_of(root, **BOTH).edge == now - 106 * SECOND


@pytest.mark.skipif(not has_pairs, reason="this database has no index of a troubled state with a queue or a task")
@pytest.mark.parametrize("state", ["BLOCKED", "CANCELLED", "FAILED", "RETRYABLE"])
@pytest.mark.parametrize("other", [{"queue": "mail"}, {"task": "shop.tasks.charge"}])
def test_all_jobs_of_a_troubled_state_are_looked_at(root, make_jobs, state, other):
    make_jobs(8, state=state, queue="pay")
    make_jobs(8, **{**BOTH, "state": "SUCCESSFUL"})
    wanted = make_jobs(1, age=100, state=state, **BOTH)
    changes = changelist_of(root, state=state, **other)
    assert (list(changes.result_list), changes.edge) == (wanted, None)


def test_a_window_of_time_needs_no_other_edge(root, make_jobs):
    make_jobs(30)
    assert changelist_of(root, queue="mail", within="1h").edge is None


def test_a_window_of_time_bounds_how_far_to_look(root, make_jobs):
    make_jobs(3, **BOTH)
    make_jobs(20, age=4000, **BOTH)
    assert changelist_of(root, within="1h", **BOTH).edge is None


def test_the_search_counts_as_a_filter(root, many):
    response = root.get(LIST, {"q": "queue:mail", "task": BOTH["task"]})
    assert rows_of(response) == many[:1]


def test_a_search_and_a_filter_that_exclude_each_other_ask_for_no_job(root, make_jobs):
    make_jobs(1)
    with CaptureQueriesContext(connection) as queries:
        assert rows_of(root.get(LIST, {"q": "queue:pay", "queue": "mail"})) == []
    assert not [query for query in queries if "django_backie_job" in query["sql"] and "FROM" in query["sql"]]


def test_a_filter_narrows_a_search_for_several_tasks(root, make_jobs, monkeypatch):
    monkeypatch.setattr(choices, "known_tasks", lambda: ["shop.tasks.charge", "shop.tasks.send"])
    wanted = make_jobs(8, task="shop.tasks.charge")
    make_jobs(8)
    changes = changelist_of(root, q="shop", task="shop.tasks.charge")
    assert (list(changes.result_list), changes.edge) == (wanted[:4], None)


def test_a_search_for_several_tasks_is_looked_up_among_the_jobs_of_a_filter(root, make_jobs, monkeypatch):
    monkeypatch.setattr(choices, "known_tasks", lambda: ["shop.tasks.charge", "shop.tasks.send"])
    make_jobs(8, queue="pay", task="shop.tasks.charge", state="RUNNING")
    assert changelist_of(root, q="shop", state="RUNNING").edge is not None


def test_chips_of_a_filter_count_as_far_as_their_pages_look(root, make_jobs):
    make_jobs(10, state="SUCCESSFUL")
    make_jobs(10, state="SUCCESSFUL", queue="pay")
    make_jobs(2, state="RUNNING", age=100)
    changes = changelist_of(root, queue="mail")
    assert (numbers(changes)["succeeded"], numbers(changes)["running"]) == ("6+", "2")


def test_chips_of_two_filters_count_what_their_page_looks_at(root, many):
    assert numbers(changelist_of(root, **BOTH))["ready"] == "1+"


def test_a_chip_and_its_page_tell_the_same_number(root, make_jobs):
    make_jobs(3, state="FAILED")
    make_jobs(9, state="FAILED", queue="pay", age=1)
    make_jobs(20, state="SUCCESSFUL")
    chip = next(chip for chip in changelist_of(root, queue="mail").chips if chip.label == "failed")
    assert root.get(LIST + chip.url).context["cl"].result_words == chip.number


def test_an_action_on_all_that_match_takes_those_that_were_looked_at(root, many, fake_control):
    data = {"action": "cancel_jobs", "select_across": "1", "index": "0", "_selected_action": [str(many[0].pk)]}
    response = root.post(f"{LIST}?queue=mail&task=shop.tasks.charge", data, follow=True)
    assert [ids for _verb, ids, _options in fake_control.calls] == [(str(many[0].pk),)], told(response)


def test_it_is_said_that_all_that_match_are_the_newest_only(root, many):
    context = root.get(LIST, BOTH).context
    assert context["select_all_words"] == "Select the newest 1 that match"


@pytest.mark.parametrize("parameters", [BOTH, {"state": "READY", **BOTH}, {"state": "FAILED", "q": "queue:mail"}])
def test_filters_together_cost_at_most_twelve_queries(root, many, parameters):
    root.get(LIST, parameters)
    with CaptureQueriesContext(connection) as queries:
        root.get(LIST, parameters)
    assert len(queries) <= 12


def test_conditions_on_one_field_are_merged():
    conditions = [("task", ("a", "b", "c")), ("queue", ("mail",)), ("task", ("c", "b")), None]
    assert reach.merged(conditions) == {("task", ("b", "c")), ("queue", ("mail",))}


def test_conditions_that_exclude_each_other_are_none():
    assert reach.merged([("task", ("a",)), ("task", ("b",))]) is None


def test_edges_work_without_time_zones(make_job, settings, root):
    settings.USE_TZ = False
    moment = datetime(2026, 11, 22, 12)
    for number in range(20):
        make_job(enqueued_at=moment - number * SECOND, **BOTH)
    assert changelist_of(root, **BOTH).edge == moment - 6 * SECOND
