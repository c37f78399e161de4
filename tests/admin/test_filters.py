"""The filters of the list."""

from __future__ import annotations

from datetime import timedelta

import pytest

from django_backie.admin import choices
from django_backie.admin.jobs import JobAdmin

from .support import LIST, rows_of, text_of, uses_databases

pytestmark = uses_databases


def test_a_state_is_chosen_by_its_chip(root, make_job):
    failed = make_job(state="FAILED")
    make_job(state="READY")
    chip = next(chip for chip in root.get(LIST).context["cl"].chips if chip.label == "failed")
    assert rows_of(root.get(LIST + chip.url)) == [failed]


def test_the_chosen_chip_is_marked_for_those_who_cannot_see_it(root, make_job):
    make_job(state="FAILED")
    assert text_of(root.get(LIST, {"state": "FAILED"})).count('aria-current="true"') == 1


def test_chips_count_under_the_other_filters(root, make_job):
    make_job(state="FAILED", queue="mail")
    make_job(state="FAILED", queue="other")
    chips = root.get(LIST, {"queue": "mail", "state": "READY"}).context["cl"].chips
    assert {chip.label: chip.number for chip in chips}["failed"] == "1"


def test_chips_keep_the_other_filters(root, make_job):
    make_job(queue="mail")
    assert all("queue=mail" in chip.url for chip in root.get(LIST, {"queue": "mail"}).context["cl"].chips)


def test_a_queue_is_chosen(root, make_job):
    wanted = make_job(queue="mail")
    make_job(queue="other")
    assert rows_of(root.get(LIST, {"queue": "mail"})) == [wanted]


def test_a_task_is_chosen(root, make_job):
    wanted = make_job(task="shop.tasks.charge")
    make_job()
    assert rows_of(root.get(LIST, {"task": "shop.tasks.charge"})) == [wanted]


def test_a_chosen_name_stays_on_offer_when_nothing_knows_it(root, make_job):
    make_job(queue="forgotten")
    assert '<option value="forgotten" selected>' in text_of(root.get(LIST, {"queue": "forgotten"}))


@pytest.mark.parametrize(("within", "count"), [("15m", 1), ("1h", 2), ("7d", 3), ("", 4), ("nonsense", 4)])
def test_a_window_of_time_is_chosen(root, make_job, now, within, count):
    for age in ("00:01", "00:30", "72:00", "2000:00"):
        hours, minutes = map(int, age.split(":"))
        make_job(enqueued_at=now - timedelta(hours=hours, minutes=minutes))
    assert len(rows_of(root.get(LIST, {"within": within}))) == count


def test_another_database_is_chosen(root, make_job):
    make_job()
    elsewhere = make_job(using="other")
    assert rows_of(root.get(LIST, {"db": "other"})) == [elsewhere]


def test_the_first_database_is_read_unless_another_is_chosen(root, make_job):
    here = make_job()
    make_job(using="other")
    assert rows_of(root.get(LIST)) == [here]


def test_a_database_that_holds_no_jobs_is_not_read(root, make_job):
    here = make_job()
    assert rows_of(root.get(LIST, {"db": "secret"})) == [here]


def test_one_database_is_no_choice(root, make_job, monkeypatch):
    monkeypatch.setattr(choices, "known_databases", lambda: ["default"])
    assert 'name="db"' not in text_of(root.get(LIST))


def test_the_only_database_may_be_another_than_the_default(root, make_job, monkeypatch):
    monkeypatch.setattr(choices, "known_databases", lambda: ["other"])
    elsewhere = make_job(using="other")
    assert rows_of(root.get(LIST)) == [elsewhere]


def test_the_toolbar_keeps_the_chosen_state(root, make_job):
    make_job(state="FAILED")
    assert '<input type="hidden" name="state" value="FAILED">' in text_of(root.get(LIST, {"state": "FAILED"}))


def test_the_toolbar_keeps_no_page_and_no_window(root, make_job):
    make_job()
    page = text_of(root.get(LIST, {"p": "1", "queue": "default"}))
    assert 'name="p"' not in page
    assert 'name="before"' not in page


def test_filters_can_be_cleared(root, make_job):
    make_job()
    changes = root.get(LIST, {"queue": "mail", "q": "add", "within": "1h", "db": "other"}).context["cl"]
    assert changes.clear_url == "?db=other"


def test_there_is_nothing_to_clear_without_filters(root, make_job):
    make_job()
    assert root.get(LIST).context["cl"].clear_url == ""


@pytest.mark.parametrize("name", ["queue", "task", "state", "within", "db"])
@pytest.mark.parametrize("value", ["\x00", "%", "x" * 5000, "\ud7ff"])
def test_a_filter_with_an_odd_value_breaks_nothing(root, make_job, name, value):
    make_job()
    assert root.get(LIST, {name: value}).status_code == 200


def test_an_unknown_state_has_no_jobs(root, make_job):
    make_job()
    assert rows_of(root.get(LIST, {"state": "NONSENSE"})) == []


LOOKUPS = ["body__startswith", "arguments__a", "error_message__contains", "attempts__traceback__contains"]


@pytest.mark.parametrize("lookup", [*LOOKUPS, "task__icontains", "id", "queue__in", "wrong"])
def test_no_address_can_ask_for_another_lookup(root, make_job, lookup):
    make_job()
    assert root.get(LIST, {lookup: "1"}).status_code == 400


def test_a_subclass_may_filter_by_a_field_as_usual(root, make_job, monkeypatch):
    monkeypatch.setattr(JobAdmin, "list_filter", [*JobAdmin.list_filter, "backend"])
    here = make_job(backend="first")
    make_job(backend="second")
    response = root.get(LIST, {"backend__exact": "first"})
    assert rows_of(response) == [here]
    assert 'id="changelist-filter"' in text_of(response)
