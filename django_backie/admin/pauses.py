"""Paused queues and tasks in Django's admin: who may, adds one to the list, and resumes it by an action."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import compat, queues, task_pauses
from ..base_backend import LONGEST_QUEUE_NAME, queue_problem
from ..exceptions import BrokerError
from ..models import Pause
from . import audit, choices, display

PERMISSION = "pause_queue"


def current() -> QuerySet[Pause]:
    """Return the pauses that last; of several job tables, the first holds them."""
    lasting = Pause.objects.filter(Q(until=None) | Q(until__gt=timezone.now()))
    return lasting.using(choices.known_databases()[0]) if choices.known_databases() else lasting.none()


def notices() -> list[dict[str, Any]]:
    """Return what the list of jobs says of the pauses that last."""
    return [
        {
            "queue": pause.queue,
            "task": pause.task,
            "since": display.time_tag(pause.since),
            "until": pause.until and display.time_tag(pause.until),
            "by": pause.by,
            "reason": pause.reason,
        }
        for pause in current()
    ]


class PauseForm(forms.ModelForm):  # type: ignore[type-arg]
    """A queue or a task, why, and until when."""

    class Meta:
        model = Pause
        fields = ("backend", "queue", "task", "reason", "until")

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        if "backend" in self.fields:
            aliases = _aliases()
            self.fields["backend"] = forms.ChoiceField(
                choices=[(alias, alias) for alias in aliases], initial=aliases[0], label=_("backend").capitalize()
            )

    def clean_queue(self) -> str:
        """Refuse what is no queue's name."""
        queue = str(self.cleaned_data["queue"])
        if queue and queue_problem(queue):
            message = _("The name of a queue has 1 to %(most)s printable characters.")
            raise forms.ValidationError(message % {"most": LONGEST_QUEUE_NAME})
        return queue

    def clean_task(self) -> str:
        """Refuse what is no task's name."""
        task = str(self.cleaned_data["task"])
        if task and task_pauses.problem(task):
            raise forms.ValidationError(_("No task can have this name."))
        return task

    def clean_until(self) -> Any:
        """Refuse an end that has come."""
        until = self.cleaned_data["until"]
        if until is not None and until <= timezone.now():
            raise forms.ValidationError(_("The end of a pause must be in the future."))
        return until

    def clean(self) -> dict[str, Any]:
        """Let one be paused that is paused already: that changes its end and its reason."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        if {"backend", "queue", "task"} <= found.keys():
            if bool(found["queue"]) == bool(found["task"]):
                raise forms.ValidationError(_("Name a queue or a task, and not both."))
            named = {name: found[name] for name in ("backend", "queue", "task")}
            self.instance = current().filter(**named).first() or self.instance
        return found


@admin.register(Pause)
class PauseAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What is changed here is changed through ``control``, which tells Redis too."""

    form = PauseForm
    list_display = ("__str__", "queue", "task", "reason", "until", "by", "since")
    actions = ("resume_queues",)
    sortable_by = ()
    show_full_result_count = False

    def has_pause_queue_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may pause and resume queues and tasks."""
        return request.user.has_perm(f"{self.opts.app_label}.{PERMISSION}")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let those pause queues who may."""
        return self.has_pause_queue_permission(request) and bool(_aliases())

    def has_change_permission(self, request: HttpRequest, obj: Pause | None = None) -> bool:
        """Let those change a pause who may make one."""
        return self.has_pause_queue_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Pause | None = None) -> bool:
        """Refuse: a queue is resumed by its action."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pause]:
        """Return the pauses that last."""
        return current()

    def get_readonly_fields(self, request: HttpRequest, obj: Pause | None = None) -> tuple[str, ...]:
        """Return what is not to be changed: another one has a pause of its own."""
        return () if obj is None else ("backend", "queue", "task")

    def save_model(self, request: HttpRequest, obj: Pause, form: Any, change: bool) -> None:
        """Pause the queue, or the task."""
        named: dict[str, Any] = {"until": obj.until, "reason": obj.reason, "by": _name(request), "backend": obj.backend}
        try:
            (queues.pause if obj.queue else task_pauses.pause)(str(obj), **named)
        except BrokerError:
            messages.warning(request, _late())
        audit.record_pause(request, _kind(obj), str(obj), "pause")
        # For the log entry, which Django writes next.
        obj.pk = current().get(backend=obj.backend, queue=obj.queue, task=obj.task).pk

    @admin.action(permissions=[PERMISSION], description=gettext_lazy("Resume selected queues and tasks"))
    def resume_queues(self, request: HttpRequest, queryset: QuerySet[Pause]) -> None:
        """Let queues and tasks go on."""
        rows = list(queryset)
        # While they are there.
        self.log_deletions(request, queryset)
        for row in rows:
            try:
                (queues if row.queue else task_pauses).resume(str(row), backend=row.backend)
            except BrokerError:
                messages.warning(request, _late())
            audit.record_pause(request, _kind(row), str(row), "resume")
        text = ngettext("%(count)s pause has ended.", "%(count)s pauses have ended.", len(rows))
        messages.success(request, text % {"count": len(rows)})


def _kind(pause: Pause) -> str:
    return "queue" if pause.queue else "task"


def _late() -> str:
    return _("Redis is not available; it follows when Redis is back.")


def _name(request: HttpRequest) -> str:
    user: Any = request.user
    return str(user.get_username())


def _aliases() -> list[str]:
    """Return the aliases whose pauses are in the table that this page reads."""
    found = {alias: compat.get_backend(alias).config.databases for alias in compat.own_aliases()}
    return [alias for alias, databases in found.items() if databases and databases[0] == choices.known_databases()[0]]
