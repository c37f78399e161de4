"""The columns of the job list."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from ..core.states import State
from ..models import Job
from . import badges, display, timing, values


class JobColumns:
    """What the list shows of a job. No id: it would take the room of three columns and tell nothing."""

    @admin.display(description=gettext_lazy("state"))
    def state_badge(self, job: Job) -> SafeString:
        """Return the state as shape and word."""
        return badges.job_badge(job)

    @admin.display(description=gettext_lazy("task"))
    def task_name(self, job: Job) -> SafeString:
        """Return the task's short name; the full one in its title."""
        return format_html('<span title="{}">{}</span>', job.task, display.short_task(job.task))

    @admin.display(description=gettext_lazy("arguments"))
    def arguments_preview(self, job: Job) -> SafeString:
        """Return the beginning of the arguments."""
        return format_html('<code class="bk-args" dir="ltr">{}</code>', values.preview(job.arguments))

    @admin.display(description=gettext_lazy("queue"))
    def queue_name(self, job: Job) -> str:
        """Return the queue."""
        return job.queue

    @admin.display(description=gettext_lazy("attempts"))
    def attempts(self, job: Job) -> str:
        """Return how many of the allowed attempts have been made."""
        return f"{display.number(job.attempt)}/{display.number(job.max_attempts)}"

    @admin.display(description=pgettext_lazy("column: time between due and started", "waited"))
    def waited(self, job: Job) -> SafeString | str:
        """Return how long the job waited, or when it is planned."""
        now = timezone.now()
        planned = timing.next_run(job, now)
        return planned_tag(planned, now) if planned else display.duration(timing.waited(job, now))

    @admin.display(description=pgettext_lazy("column: time between started and finished", "ran"))
    def ran(self, job: Job) -> SafeString | str:
        """Return how long the last attempt took, or has been taking."""
        length = timing.ran(job, timezone.now())
        if job.state == State.RUNNING and length is not None:
            return format_html('<span class="bk-tone-run">{}…</span>', display.duration(length))
        return display.duration(length)

    @admin.display(description=pgettext_lazy("column: moment of enqueueing", "enqueued"))
    def when(self, job: Job) -> SafeString | str:
        """Return when the job was enqueued, as seen from now."""
        return display.time_tag(job.enqueued_at, display.relative(job.enqueued_at, timezone.now()))


def planned_tag(moment: datetime, now: datetime) -> SafeString | str:
    """Return the moment for which a job is planned, as seen from now."""
    return display.time_tag(moment, _("due %(moment)s") % {"moment": display.relative(moment, now)})
