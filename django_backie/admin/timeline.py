"""A job's life as spans of time, drawn to scale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from ..core.states import FINAL, WAITING, State
from ..models import Attempt, Job, Outcome
from . import badges, display, timing

WIDTH = 1000
NARROWEST = 4
ATTEMPT_KINDS = {"ok", "bad"}


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of a job's life; ``kind`` is planned, wait, backoff, ok, bad or run."""

    kind: str
    start: datetime
    end: datetime
    label: str = ""

    @property
    def length(self) -> timedelta:
        """Return how long it lasted."""
        return self.end - self.start

    @property
    def words(self) -> str:
        """Return the span as people read it."""
        name = kinds()[self.kind]
        return f"{self.label or name}: {display.duration(self.length)}"


@dataclass(frozen=True, slots=True)
class Bar:
    """A span as a rectangle in a drawing ``WIDTH`` units wide."""

    kind: str
    words: str
    x: int
    width: int


def kinds() -> dict[str, str]:
    """Return the kinds of spans in the order of a legend, with their words."""
    return {
        "planned": pgettext("span of a job's life", "planned for later"),
        "wait": pgettext("span of a job's life", "waiting"),
        "run": pgettext("span of a job's life", "running"),
        "ok": pgettext("span of a job's life", "ran, succeeded"),
        "bad": pgettext("span of a job's life", "ran, failed"),
        "backoff": pgettext("span of a job's life", "back-off"),
    }


def spans(job: Job, attempts: Sequence[Attempt], now: datetime, *, are_cut: bool = False) -> list[Span]:
    """Return a job's life until its end or now; from its first known attempt if the list is cut."""
    return [
        span
        for span in _all_spans(job, attempts, now, are_cut=are_cut)
        # An attempt of less than a millisecond is one all the same.
        if span.end > span.start or (span.kind in ATTEMPT_KINDS and span.end == span.start)
    ]


def bars(life: Sequence[Span]) -> list[Bar]:
    """Return the spans to scale; the shortest are widened just enough to be seen."""
    total = sum((span.length for span in life), timedelta(0))
    if not total:
        return []
    room = WIDTH - NARROWEST * len(life)
    drawn, x = [], 0
    for position, span in enumerate(life):
        last = position == len(life) - 1
        width = WIDTH - x if last else NARROWEST + round(room * (span.length / total))
        drawn.append(Bar(span.kind, span.words, x, width))
        x += width
    return drawn


def summary(life: Iterable[Span]) -> str:
    """Return the whole life in one sentence, for those who cannot see the drawing."""
    return _("Timeline: %(spans)s") % {"spans": ", ".join(span.words for span in life)}


def _all_spans(job: Job, attempts: Sequence[Attempt], now: datetime, *, are_cut: bool) -> Iterator[Span]:
    cursor, retry_at = job.enqueued_at, None
    if are_cut:
        cursor = attempts[0].started_at
    else:
        due = min(timing.due_at(job), now)
        yield Span("planned", cursor, due)
        cursor = max(cursor, due)
    for attempt in attempts:
        yield from _pause(cursor, attempt.started_at, retry_at)
        yield _run_of(attempt)
        cursor, retry_at = attempt.finished_at, attempt.retry_at
    is_written = bool(attempts) and attempts[-1].started_at == job.last_attempted_at
    yield from _rest(job, cursor, retry_at, now, is_written=is_written)


def _pause(start: datetime, end: datetime, retry_at: datetime | None) -> Iterator[Span]:
    turn = min(retry_at, end) if retry_at else start
    yield Span("backoff", start, turn)
    yield Span("wait", turn, end)


def _run_of(attempt: Attempt) -> Span:
    kind = "ok" if attempt.outcome == Outcome.SUCCEEDED else "bad"
    label = _("attempt %(number)s, %(outcome)s") % {
        "number": attempt.number,
        "outcome": badges.label(Outcome, attempt.outcome),
    }
    return Span(kind, attempt.started_at, attempt.finished_at, label)


def _rest(job: Job, cursor: datetime, retry_at: datetime | None, now: datetime, *, is_written: bool) -> Iterator[Span]:
    end = (job.finished_at or cursor) if job.state in FINAL else now
    started = job.last_attempted_at
    # The row may be ahead of the attempts, which are written in a second step.
    if is_written or started is None or started < cursor or job.state in WAITING:
        yield from _pause(cursor, end, retry_at)
        return
    yield from _pause(cursor, started, retry_at)
    yield Span(_kind_of(job.state), started, end)


def _kind_of(state: str) -> str:
    if state == State.RUNNING:
        return "run"
    return "ok" if state == State.SUCCESSFUL else "bad"
