"""A job's life as spans of time."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from django_backie.admin import timeline
from django_backie.models import Attempt, Job

from .support import SECOND

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NOW = START + 100 * SECOND


def at(second: float) -> datetime:
    return START + second * SECOND


def attempt(number: int, start: float, end: float, outcome: str = "failed", retry: float | None = None) -> Attempt:
    retry_at = None if retry is None else at(retry)
    return Attempt(number=number, started_at=at(start), finished_at=at(end), outcome=outcome, retry_at=retry_at)


def life(job: Job, attempts: list[Attempt] = (), **options) -> list[tuple[str, float]]:
    job.enqueued_at = START
    spans = timeline.spans(job, attempts, NOW, **options)
    return [(span.kind, span.length.total_seconds()) for span in spans]


def test_a_job_that_waits_has_been_waiting_until_now():
    assert life(Job(state="READY")) == [("wait", 100)]


def test_a_job_that_is_not_due_is_planned_until_now():
    assert life(Job(state="SCHEDULED", run_after=at(500))) == [("planned", 100)]


def test_a_success_waits_and_runs():
    job = Job(state="SUCCESSFUL", started_at=at(2), last_attempted_at=at(2), finished_at=at(9))
    assert life(job, [attempt(1, 2, 9, "succeeded")]) == [("wait", 2), ("ok", 7)]


def test_a_retry_shows_its_back_off_and_the_wait_after_it():
    job = Job(state="FAILED", started_at=at(1), last_attempted_at=at(30), finished_at=at(35))
    attempts = [attempt(1, 1, 5, retry=20), attempt(2, 30, 35)]
    assert life(job, attempts) == [("wait", 1), ("bad", 4), ("backoff", 15), ("wait", 10), ("bad", 5)]


def test_the_back_off_of_a_retrying_job_lasts_until_now():
    job = Job(state="RETRYABLE", started_at=at(1), last_attempted_at=at(1), run_after=at(400))
    assert life(job, [attempt(1, 1, 5, retry=400)]) == [("wait", 1), ("bad", 4), ("backoff", 95)]


def test_a_running_job_runs_until_now():
    job = Job(state="RUNNING", started_at=at(40), last_attempted_at=at(40))
    assert life(job) == [("wait", 40), ("run", 60)]


def test_an_attempt_that_is_not_written_yet_is_told_from_the_row():
    job = Job(state="SUCCESSFUL", started_at=at(40), last_attempted_at=at(40), finished_at=at(50))
    assert life(job) == [("wait", 40), ("ok", 10)]


def test_a_cancelled_job_ends_when_it_was_cancelled():
    assert life(Job(state="CANCELLED", finished_at=at(12))) == [("wait", 12)]


def test_a_job_retried_by_hand_counts_its_attempts_anew():
    job = Job(state="SUCCESSFUL", started_at=at(1), last_attempted_at=at(60), finished_at=at(61))
    attempts = [attempt(5, 1, 5), attempt(1, 60, 61, "succeeded")]
    assert life(job, attempts) == [("wait", 1), ("bad", 4), ("wait", 55), ("ok", 1)]


def test_an_attempt_of_no_measurable_length_is_shown_once():
    job = Job(state="FAILED", started_at=at(2), last_attempted_at=at(2), finished_at=at(2))
    assert life(job, [attempt(1, 2, 2)]) == [("wait", 2), ("bad", 0)]


def test_a_cut_list_begins_with_its_first_attempt():
    job = Job(state="RETRYABLE", started_at=at(1), last_attempted_at=at(90), run_after=at(400))
    assert life(job, [attempt(77, 90, 92, retry=400)], are_cut=True) == [("bad", 2), ("backoff", 8)]


def test_clocks_that_differ_make_no_span_of_negative_length():
    job = Job(state="SUCCESSFUL", started_at=at(-3), last_attempted_at=at(-3), finished_at=at(9))
    assert all(length > 0 for _kind, length in life(job, [attempt(1, -3, 9, "succeeded")]))


def spans(*seconds: float) -> list[timeline.Span]:
    found, position = [], 0.0
    for length in seconds:
        found.append(timeline.Span("wait", at(position), at(position + length)))
        position += length
    return found


def test_bars_fill_the_drawing_without_gaps():
    bars = timeline.bars(spans(1, 10, 5, 84))
    assert bars[0].x == 0
    assert all(left.x + left.width == right.x for left, right in pairwise(bars))
    assert bars[-1].x + bars[-1].width == timeline.WIDTH


def test_bars_are_to_scale():
    half, quarter, _other = timeline.bars(spans(50, 25, 25))
    assert abs(half.width - 2 * quarter.width) <= 2 * timeline.NARROWEST


def test_the_shortest_span_can_be_seen():
    assert min(bar.width for bar in timeline.bars(spans(0.001, 86_400, 0.001))) >= timeline.NARROWEST


def test_no_life_has_no_bars():
    assert timeline.bars([]) == []


def test_the_summary_names_every_span():
    text = timeline.summary([timeline.Span("wait", START, NOW), timeline.Span("run", NOW, NOW + SECOND)])
    assert text == "Timeline: waiting: 1 min 40 s, running: 1.0 s"
