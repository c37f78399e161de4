"""Numbers, durations, moments and names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone, translation

from django_backie.admin import display

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.0124, "12 ms"),
        (0.9994, "999 ms"),
        (1.44, "1.4 s"),
        (12.6, "13 s"),
        (59.7, "1 min"),
        (185, "3 min 5 s"),
        (3600, "1 h"),
        (11_520, "3 h 12 min"),
        (187_200, "2 d 4 h"),
        (-3, "0 ms"),
    ],
)
def test_a_duration_is_told_in_at_most_two_units(seconds, words):
    assert display.duration(timedelta(seconds=seconds)) == words


def test_no_duration_is_a_dash():
    assert display.duration(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-0.4, "now"),
        (-12, "12 s ago"),
        (31, "in 31 s"),
        (-200, "3 min ago"),
        (7200, "in 2 h"),
        (-90_000, "25 h ago"),
        (-864_000, "10 d ago"),
    ],
)
def test_a_moment_is_told_as_seen_from_now(seconds, words):
    assert display.relative(NOW + timedelta(seconds=seconds), NOW) == words


def test_a_bounded_count_says_that_there_are_more():
    assert display.bounded(10_001, 10_000) == "10,000+"


def test_a_count_within_the_bound_is_exact():
    assert display.bounded(10_000, 10_000) == "10,000"


def test_numbers_follow_the_active_language():
    with translation.override("de"):
        assert display.bounded(10_001, 10_000) == "10.000+"
        assert display.duration(timedelta(seconds=1.44)) == "1,4 s"


def test_a_time_is_readable_by_machines():
    assert 'datetime="2026-11-22T12:00:00+00:00"' in display.time_tag(NOW)


def test_a_time_is_shown_in_the_zone_of_the_reader():
    with timezone.override("Asia/Tokyo"):
        assert "21:00:00" in display.time_tag(NOW)


def test_a_naive_time_is_shown_as_it_is():
    assert "12:00:00" in display.exact(NOW.replace(tzinfo=None))


def test_no_time_is_a_dash():
    assert display.time_tag(None) == "–"


def test_the_words_of_a_time_are_escaped():
    assert "<b>" not in display.time_tag(NOW, "<b>")


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("shop.tasks.charge_card", "shop.charge_card"),
        ("shop.billing.tasks.charge", "billing.charge"),
        ("reports.build", "reports.build"),
        ("ping", "ping"),
        ("", ""),
    ],
)
def test_a_task_is_named_by_its_app_and_function(name, short):
    assert display.short_task(name) == short
