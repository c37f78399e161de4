"""What a job's page shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from .. import compat
from ..broker import inspect
from ..core.cancellation import wish_of
from ..core.states import State
from ..exceptions import BackieError
from ..models import Attempt, Job
from ..moments import moment
from . import badges, display, progress, timeline, timing, values
from .columns import planned_tag

ATTEMPTS_SHOWN = 50
NEVER_SHOWN = frozenset({"body"})


class Fact(NamedTuple):
    """One line of the page's head."""

    name: str
    value: Any
    url: str = ""


class Argument(NamedTuple):
    """One argument of the call."""

    name: str
    value: str


class Try(NamedTuple):
    """One attempt, as the table and the list of tracebacks show it."""

    number: int
    badge: Any
    worker: str
    started: Any
    length: str
    retry: Any
    error_class: str
    error_message: str
    traceback: str


def context(job: Job, list_url: str, *, payload: bool) -> dict[str, Any]:
    """Return what the template needs; ``payload`` adds what a task was given, returned or raised."""
    now = timezone.now()
    attempts, are_cut = shown_attempts(job, payload=payload)
    life = timeline.spans(job, attempts, now, are_cut=are_cut)
    return {
        "job": job,
        "badge": badges.job_badge(job),
        "notice": notice(job),
        **progress.context(job, attempts, now, payload=payload),
        "facts": facts(job, list_url, now),
        "life": timeline.bars(life),
        "life_summary": timeline.summary(life),
        "life_from": display.time_tag(life[0].start) if life else "",
        "life_to": display.time_tag(life[-1].end) if life else "",
        "legend": legend(life),
        "attempts": [*map(_try, attempts), *_running(job, now)],
        "attempts_are_cut": are_cut,
        "payload": payload,
        **(payload_context(job, attempts) if payload else {}),
    }


def payload_context(job: Job, attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Return what only holders of ``view_payload`` see."""
    told = [position for position, attempt in enumerate(attempts, 1) if attempt.traceback]
    return {
        "arguments": [Argument(name, values.pretty(value)) for name, value in values.named(job.arguments)],
        "result": values.pretty_result(job.result) if job.result else "",
        "has_result": job.state == State.SUCCESSFUL,
        "has_tracebacks": bool(told),
        "open_traceback": 0 if job.state == State.SUCCESSFUL else max(told, default=0),
        "error_message": values.visible(job.error_message),
        "raw": raw(job),
    }


def shown_attempts(job: Job, *, payload: bool) -> tuple[list[Attempt], bool]:
    """Return the newest attempts in the order they were made, and whether there were more before them."""
    # Not by number: a retry by hand begins to count again.
    attempts = Attempt.objects.using(job._state.db).filter(job_id=job.pk).order_by("-started_at", "-id")
    if not payload:
        attempts = attempts.defer("traceback", "error_message")
    newest = list(attempts[: ATTEMPTS_SHOWN + 1])
    return newest[:ATTEMPTS_SHOWN][::-1], len(newest) > ATTEMPTS_SHOWN


def facts(job: Job, list_url: str, now: datetime) -> list[Fact]:
    """Return the head of the page: what is so of every job."""
    planned = timing.next_run(job, now)
    found = [
        Fact(_("Queue"), job.queue, f"{list_url}?{urlencode({'queue': job.queue})}"),
        Fact(_("Attempts"), _("%(made)s of %(allowed)s") % {"made": job.attempt, "allowed": job.max_attempts}),
        Fact(_("Priority"), job.priority),
        Fact(_("Enqueued"), display.time_tag(job.enqueued_at)),
        Fact(_("Due"), planned_tag(planned, now)) if planned else None,
        Fact(pgettext("duration", "Waited"), display.duration(timing.waited(job, now))),
        Fact(pgettext("duration", "Ran"), display.duration(timing.ran(job, now))),
        Fact(_("Finished"), display.time_tag(job.finished_at)) if job.finished_at else None,
        Fact(_("Worker"), job.worker) if job.worker else None,
        Fact(_("Crashes"), job.crashes) if job.crashes else None,
    ]
    return [fact for fact in found if fact is not None]


def notice(job: Job) -> str:
    """Return why a job stands where it stands, where that is not plain from its state."""
    if job.state == State.BLOCKED:
        return _("This job is blocked: %(reason)s") % {"reason": job.reason or _("no reason given")}
    if (wish := wish_of(job.state, job.reason)) is not None:
        asked = _("This job was asked to end: %(reason)s") % {"reason": wish}
        return asked if wish else _("This job was asked to end.")
    if job.state == State.READY:
        return _waiting(job)
    if job.state == State.CANCELLED and job.reason:
        return _("This job was cancelled: %(reason)s") % {"reason": job.reason}
    return job.reason


def _waiting(job: Job) -> str:
    """Return why a job that is ready does not start; Redis is asked, for no row says it."""
    try:
        found = inspect.waits_for(compat.get_backend(job.backend).broker, str(job.pk))
    except (BackieError, compat.InvalidTaskBackend, AttributeError):
        return ""
    if found is None:
        return ""
    if found.held_until is not None:
        until = moment(found.held_until)
        return _("This job waits: its limit is held until %(time)s.") % {"time": display.exact(until)}
    if found.what == "task":
        return _("This job waits: its task is paused.")
    if found.what == "slot":
        return _("This job waits for a slot: as many jobs of its concurrency limit run as may.")
    return _("This job waits for its rate limit.")


def legend(life: Sequence[timeline.Span]) -> list[tuple[str, str]]:
    """Return the kinds of spans that the drawing has, with their words."""
    present = {span.kind for span in life}
    return [(kind, words) for kind, words in timeline.kinds().items() if kind in present]


def raw(job: Job) -> str:
    """Return the row as JSON, without what is never shown."""
    row = {
        field.attname: getattr(job, field.attname)
        for field in job._meta.concrete_fields
        if field.attname not in NEVER_SHOWN
    }
    return values.visible(json.dumps(row, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False))


def _running(job: Job, now: datetime) -> list[Try]:
    if job.state != State.RUNNING or job.last_attempted_at is None:
        return []
    started, length = display.time_tag(job.last_attempted_at), display.duration(timing.ran(job, now))
    return [Try(job.attempt, badges.state_badge(job.state), job.worker, started, f"{length}…", "", "", "", "")]


def _try(attempt: Attempt) -> Try:
    hidden = attempt.get_deferred_fields()
    return Try(
        attempt.number,
        badges.outcome_badge(attempt.outcome),
        attempt.worker,
        display.time_tag(attempt.started_at),
        display.duration(attempt.finished_at - attempt.started_at),
        display.time_tag(attempt.retry_at) if attempt.retry_at else "",
        attempt.error_class,
        "" if "error_message" in hidden else values.visible(attempt.error_message),
        "" if "traceback" in hidden else values.visible(attempt.traceback),
    )
