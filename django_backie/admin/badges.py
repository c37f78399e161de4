"""States and outcomes as a word and a shape, so that colour is never the only sign."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import pgettext

from ..core.cancellation import wish_of
from ..core.states import State
from ..models import Job, JobState, Outcome

# Outlines in a box of 12 by 12; stroked, unless the class says otherwise.
_SHAPES = {
    "clock": "M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9M6 3.5V6l1.8 1.3",
    "bars": "M4 2.5v7M8 2.5v7",
    "ring": "M6 2.5a3.5 3.5 0 1 0 0 7a3.5 3.5 0 1 0 0-7",
    "play": "M3.5 2l6 4l-6 4z",
    "again": "M9.8 4.2A4.3 4.3 0 1 0 10.3 6.6M10.2 1.6v2.8H7.4",
    "check": "M2 6.4l2.8 2.8L10 3.4",
    "cross": "M2.8 2.8l6.4 6.4M9.2 2.8l-6.4 6.4",
    "slash": "M6 1.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 1 0 0-9M2.9 9.1l6.2-6.2",
    "bolt": "M6.8 1.2L3 6.8h2.6L5 10.8L9 5.2H6.4z",
}

_STATES = {
    State.SCHEDULED: ("hold", "clock"),
    State.BLOCKED: ("hold", "bars"),
    State.READY: ("wait", "ring"),
    State.RUNNING: ("run", "play"),
    State.RETRYABLE: ("warn", "again"),
    State.SUCCESSFUL: ("ok", "check"),
    State.FAILED: ("bad", "cross"),
    State.CANCELLED: ("off", "slash"),
}

_OUTCOMES = {
    Outcome.SUCCEEDED: ("ok", "check"),
    Outcome.FAILED: ("bad", "cross"),
    Outcome.TIMED_OUT: ("bad", "clock"),
    Outcome.CANCELLED: ("off", "slash"),
    Outcome.LOST: ("bad", "bolt"),
}

UNKNOWN = ("wait", "ring")


def label(choices: type[TextChoices], value: str) -> str:
    """Return the word for a value; the value itself if a newer version wrote it."""
    known = dict(zip(choices.values, choices.labels, strict=True))
    return str(known.get(value, value))


def mark(shape: str) -> SafeString:
    """Return a shape as an inline drawing in the colour of the text around it."""
    return format_html(
        '<svg class="bk-mark bk-{}" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" '
        'focusable="false"><path d="{}"/></svg>',
        shape,
        _SHAPES[shape],
    )


def state_mark(state: str) -> SafeString:
    """Return the shape of a state in its colour."""
    tone, shape = _STATES.get(state, UNKNOWN)  # type: ignore[call-overload]
    return format_html('<span class="bk-tone-{}">{}</span>', tone, mark(shape))


def state_badge(state: str) -> SafeString:
    """Return a job's state: shape and word."""
    tone, shape = _STATES.get(state, UNKNOWN)  # type: ignore[call-overload]
    return _badge(tone, shape, label(JobState, state))


def job_badge(job: Job) -> SafeString:
    """Return a job's state; of one that runs, and was asked to cancel, that it is about to end."""
    if wish_of(job.state, job.reason) is not None:
        return _badge("warn", "slash", pgettext("job state", "cancelling"))
    return state_badge(job.state)


def outcome_badge(outcome: str) -> SafeString:
    """Return what an attempt ended in: shape and word."""
    tone, shape = _OUTCOMES.get(outcome, UNKNOWN)  # type: ignore[call-overload]
    return _badge(tone, shape, label(Outcome, outcome))


def _badge(tone: str, shape: str, word: str) -> SafeString:
    return format_html('<span class="bk-badge bk-tone-{}">{}{}</span>', tone, mark(shape), word)
