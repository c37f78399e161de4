"""Pages over a table too large to be counted."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.paginator import InvalidPage

from django_backie.admin import paginator
from django_backie.admin.jobs import JobAdmin
from django_backie.models import Job

from .support import LIST, SECOND, rows_of, text_of, uses_databases

pytestmark = uses_databases


@pytest.fixture
def small_windows(monkeypatch):
    """Make a window six jobs, a page two."""
    monkeypatch.setattr(paginator, "LIMIT", 6)
    monkeypatch.setattr(JobAdmin, "list_per_page", 2)


@pytest.fixture
def jobs(make_job, now):
    """Return fifteen jobs, newest first; some share their time."""
    return [make_job(enqueued_at=now - (number // 3) * SECOND) for number in range(15)]


def newest_first() -> list[Job]:
    return list(Job.objects.order_by("-enqueued_at", "-pk"))


def test_a_small_table_is_counted_exactly(jobs):
    assert paginator.BoundedPaginator(Job.objects.all(), 5).count == 15


def test_a_large_table_is_counted_up_to_the_limit(jobs, small_windows):
    pages = paginator.BoundedPaginator(Job.objects.all(), 2)
    assert (pages.count, pages.num_pages, pages.overflows) == (6, 3, True)


def test_pages_behind_the_limit_do_not_exist(jobs, small_windows):
    with pytest.raises(InvalidPage):
        paginator.BoundedPaginator(Job.objects.order_by("pk"), 2).page(4)


def test_the_windows_show_every_job_once(root, jobs, small_windows):
    seen, windows = [], [LIST + "?"]
    for window in windows:
        pages = root.get(window).context["cl"].paginator.num_pages
        responses = [root.get(f"{window}&p={page}") for page in range(1, pages + 1)]
        seen += [job for response in responses for job in rows_of(response)]
        older = responses[-1].context["cl"].older_url
        windows += [LIST + older] if older else []
    assert len(windows) == 3
    assert seen == newest_first()


def older_than_first(client, **parameters) -> str:
    """Return the address of the second window."""
    return client.get(LIST, {"p": 3, **parameters}).context["cl"].older_url


def test_the_next_window_is_offered_on_the_last_page_of_one(root, jobs, small_windows):
    assert "older ›" in text_of(root.get(LIST, {"p": 3}))


def test_the_next_window_is_not_offered_before_the_last_page(root, jobs, small_windows):
    assert "older ›" not in text_of(root.get(LIST, {"p": 2}))


def test_no_next_window_is_offered_at_the_end(root, make_job, small_windows):
    make_job()
    assert "older ›" not in text_of(root.get(LIST))


def test_a_later_window_leads_back_to_the_newest(root, jobs, small_windows):
    older = older_than_first(root)
    assert "‹ newest" in text_of(root.get(LIST + older))


def test_paging_inside_a_window_keeps_the_window(root, jobs, small_windows):
    older = older_than_first(root)
    second = root.get(f"{LIST}{older}&p=2")
    assert rows_of(second) == newest_first()[8:10]


def test_page_links_of_a_window_carry_its_key(root, jobs, small_windows):
    changes = root.get(LIST + older_than_first(root)).context["cl"]
    assert "before" in parse_qs(urlsplit(changes.get_query_string({"p": 2})).query)


def test_a_window_keeps_its_filters(root, jobs, make_job, small_windows):
    make_job(queue="mail")
    assert "queue=default" in older_than_first(root, queue="default")


def test_choosing_a_state_leaves_the_window(root, jobs, small_windows):
    changes = root.get(LIST + older_than_first(root)).context["cl"]
    assert all("before" not in chip.url for chip in changes.chips)


def test_a_full_count_is_told_as_more(root, jobs, small_windows):
    assert "6+ jobs" in text_of(root.get(LIST))


BAD_TIMES = [f"{moment}~{'0' * 32}" for moment in ("2026-11-22T12:00:00", "0001-01-01T00:00:00+14:00", "now")]


@pytest.mark.parametrize(
    "key", ["nonsense", "2026-11-22T12:00:00+00:00", "~", "2026-11-22T12:00:00+00:00~xyz", *BAD_TIMES]
)
def test_a_key_that_is_none_shows_the_list_from_its_beginning(root, key):
    response = root.get(LIST, {"before": key})
    assert (response.status_code, response.url) == (302, f"{LIST}?e=1")


def test_a_page_that_does_not_exist_shows_the_list_from_its_beginning(root, jobs, small_windows):
    assert root.get(LIST, {"p": 99}).url == f"{LIST}?e=1"
