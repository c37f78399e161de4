"""Retry, cancel and run now: asked for on the list or on a job's page, carried out by ``control``."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import control
from ..core.states import State
from ..exceptions import BrokerError
from ..models import Job
from . import audit, databases, display
from .verbs import CANCEL, RETRY, RUN_NOW, Verb

INLINE_LIMIT = 1000
SHOWN = 10
REASON_LENGTH = 200


class JobActions:
    """The three verbs as Django admin actions."""

    opts: Any
    admin_site: admin.AdminSite
    media: Any

    def has_verb_permission(self, request: HttpRequest, verb: Verb) -> bool:
        """Tell whether the user may do this to jobs."""
        return request.user.has_perm(f"{self.opts.app_label}.{verb.permission}")

    def has_retry_job_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may retry jobs."""
        return self.has_verb_permission(request, RETRY)

    def has_cancel_job_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may cancel jobs."""
        return self.has_verb_permission(request, CANCEL)

    def has_run_job_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may run waiting jobs now."""
        return self.has_verb_permission(request, RUN_NOW)

    @admin.action(permissions=[RETRY.permission], description=gettext_lazy("Retry selected jobs"))
    def retry_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Make failed and cancelled jobs ready again."""
        perform(request, chosen_jobs(request, queryset), queryset.db, RETRY)

    @admin.action(permissions=[RUN_NOW.permission], description=gettext_lazy("Run selected jobs now"))
    def run_jobs_now(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Make scheduled and retrying jobs due at once."""
        perform(request, chosen_jobs(request, queryset), queryset.db, RUN_NOW)

    @admin.action(permissions=[CANCEL.permission], description=gettext_lazy("Cancel selected jobs…"))
    def cancel_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> TemplateResponse | None:
        """Cancel waiting jobs, ask running ones to end; more than one only after a second look."""
        jobs = chosen_jobs(request, queryset)
        if len(jobs) > 1 and "confirmed" not in request.POST:
            return self._confirmation(request, jobs)
        perform(request, jobs, queryset.db, CANCEL, reason_in(request))
        return None

    def _confirmation(self, request: HttpRequest, jobs: list[Job]) -> TemplateResponse:
        eligible = [job for job in jobs if CANCEL.applies_to(job.state)]
        running_count = sum(job.state == State.RUNNING for job in eligible)
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("Cancel jobs"),
            "original": _("Cancel jobs"),
            "has_view_permission": True,
            "opts": self.opts,
            "media": self.media,
            "action": CANCEL.action,
            "checkbox_name": helpers.ACTION_CHECKBOX_NAME,
            "select_across": request.POST.get("select_across", "0"),
            # With "all that match" the address holds the choice: Django refuses a thousand fields.
            "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
            "eligible_count": len(eligible),
            "waiting_count": len(eligible) - running_count,
            "running_count": running_count,
            "other_count": len(jobs) - len(eligible),
            "shown": eligible[:SHOWN],
            "more_count": max(len(eligible) - SHOWN, 0),
            "reason_length": REASON_LENGTH,
        }
        return TemplateResponse(request, "admin/django_backie/job/cancel_confirmation.html", context)


def chosen_jobs(request: HttpRequest, queryset: QuerySet[Job]) -> list[Job]:
    """Return the jobs of a bulk action, at most ``INLINE_LIMIT``; say so where there are more."""
    jobs = list(queryset.only("id", "task", "state")[: INLINE_LIMIT + 1])
    if len(jobs) > INLINE_LIMIT:
        limit = display.number(INLINE_LIMIT)
        text = _("More than %(limit)s jobs match; the newest %(limit)s were taken. Repeat the action for the rest.")
        messages.info(request, text % {"limit": limit})
    return jobs[:INLINE_LIMIT]


def reason_in(request: HttpRequest) -> str:
    """Return the reason that the user typed."""
    return request.POST.get("reason", "").strip()[:REASON_LENGTH]


def perform(request: HttpRequest, jobs: list[Job], alias: str, verb: Verb, reason: str = "") -> None:
    """Carry a verb out on these jobs, write down what was done, and tell the user."""
    if not jobs:
        messages.warning(request, _("None of the selected jobs matches the filters any more."))
        return
    try:
        report = verb.carry_out([str(job.pk) for job in jobs], using=databases.writing(alias), reason=reason)
    except BrokerError as error:
        text = _("Redis cannot be reached, so nothing was changed: %(error)s")
        messages.error(request, text % {"error": error})
        return
    for ids, is_asked in ((set(report.done), False), (set(report.asked), True)):
        changed = [job for job in jobs if str(job.pk) in ids]
        audit.record(request, changed, verb.name, verb.log_message(reason, is_asked=is_asked))
    tell(request, verb, report)


def tell(request: HttpRequest, verb: Verb, report: control.Report) -> None:
    """Show how many jobs were done and why the others were not."""
    if report.done:
        messages.success(request, verb.done % {"count": len(report.done)})
    if report.asked:
        messages.success(request, verb.asked % {"count": len(report.asked)})
    for reason, count in Counter(str(reason) for _id, reason in report.refused).most_common(5):
        text = ngettext(
            "%(count)s job was left as it is: %(reason)s",
            "%(count)s jobs were left as they are: %(reason)s",
            count,
        )
        messages.warning(request, text % {"count": count, "reason": reason})
