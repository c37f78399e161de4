"""Schedules in the admin: those of the code and the settings to look at, those that people write for exposed tasks."""

from __future__ import annotations

import itertools
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import compat, registry, schedule_rows, schedule_settings, timetables
from ..backend import RedisBackend
from ..clock import SYSTEM
from ..core.timetable import MISSED, OVERLAPS, Schedule
from ..exceptions import BackieError, InvalidArguments, UnknownTask
from ..models import Schedule as Row
from ..moments import epoch, moment
from . import audit, choices, display

PERMISSION = "run_schedule"
NEXT = 3


def backend_of(row: Row) -> RedisBackend:
    """Return the backend of a row."""
    found: RedisBackend = compat.get_backend(row.backend)
    return found


def plan_of(row: Row) -> schedule_settings.Plan:
    """Return what a schedule makes, and when.

    Raises:
        BackieError: it is broken; says why.
    """
    choices.known_tasks()
    if row.is_written:
        return schedule_rows.plan_of(row, backend_of(row))
    if row.in_settings:
        return _plan_of_settings(row)
    for task, schedule in timetables.scheduled(backend_of(row)):
        if (task.job_name, str(schedule)) == (row.task, row.rule):
            return timetables.of_code(task, schedule)
    raise UnknownTask(_("The code has no such schedule any more."))


def _plan_of_settings(row: Row) -> schedule_settings.Plan:
    backend = backend_of(row)
    if row.name in backend.config.schedules:
        plan = schedule_settings.plan_of(row.name, backend)
        # One of a former rule is not it any more.
        if (plan.task.job_name, str(plan.schedule)) == (row.task, row.rule):
            return plan
    raise UnknownTask(_("The settings have no such schedule any more."))


def next_times(schedule: Schedule) -> Any:
    """Return the next times of a schedule, for people."""
    slots = itertools.islice(schedule.timetable.slots(SYSTEM.now(), settings.TIME_ZONE), NEXT)
    return format_html_join(", ", "{}", ((display.time_tag(moment(slot)),) for slot in slots))


def is_slot(schedule: Schedule, at: float) -> bool:
    """Tell whether a schedule is due at a time, in seconds since 1970."""
    return next(schedule.timetable.slots(at - 0.001, settings.TIME_ZONE)) == at


def _exposed() -> list[str]:
    return [name for name in choices.known_tasks() if getattr(registry.get(name), "expose", False)]


def _aliases() -> list[str]:
    """Return the aliases whose schedules are in the table that this page reads."""
    found = {alias: compat.get_backend(alias).config.databases for alias in compat.own_aliases()}
    return [alias for alias, databases in found.items() if databases and databases[0] == choices.known_databases()[0]]


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A name, an exposed task, a rule, and what the jobs get."""

    class Meta:
        model = Row
        fields = (
            *("backend", "name", "task", "rule", "zone", "missed", "overlap", "jitter"),
            *("args", "kwargs", "queue", "priority"),
        )
        widgets = {name: forms.Textarea(attrs={"rows": 2}) for name in ("args", "kwargs")}
        help_texts = {
            "task": gettext_lazy("Only tasks that their authors have exposed, with expose=True."),
            "rule": gettext_lazy("A cron expression of five fields, or an interval such as “every 5 minutes”."),
            "zone": gettext_lazy("On whose clock a cron expression is; empty: the project's."),
            "overlap": gettext_lazy(
                "While the job of a former time is not over: “allow” another beside it, “skip” the time, or let one "
                "job “queue” behind it."
            ),
            "jitter": gettext_lazy("Seconds over which to spread the jobs."),
            "args": gettext_lazy('A list as JSON, such as [1, "eu"]; empty: none.'),
            "kwargs": gettext_lazy('An object as JSON, such as {"region": "eu"}; empty: none.'),
            "queue": gettext_lazy("Empty: the task's own."),
            "priority": gettext_lazy("Empty: the task's own."),
        }

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        offered: dict[str, list[tuple[str, str]]] = {
            "backend": [(alias, alias) for alias in _aliases()],
            "task": [(name, name) for name in _exposed()],
            "missed": [(str(missed), str(missed)) for missed in MISSED],
            "overlap": [(str(overlap), str(overlap)) for overlap in OVERLAPS],
        }
        for name in offered.keys() & self.fields.keys():
            field = self.fields[name]
            self.fields[name] = forms.ChoiceField(
                choices=offered[name], initial=field.initial, label=field.label, help_text=field.help_text
            )
        if "name" in self.fields:
            self.fields["name"].required = True

    def clean_rule(self) -> str:
        """Return the rule with single spaces, as it is compared."""
        return " ".join(str(self.cleaned_data["rule"]).split())

    def clean(self) -> dict[str, Any]:
        """Refuse what could not run, where it is written."""
        found: dict[str, Any] = super().clean() or self.cleaned_data
        # What was left empty is None.
        found["args"], found["kwargs"] = found.get("args") or [], found.get("kwargs") or {}
        if self.errors:
            return found
        row = Row(**{**found, "backend": found.get("backend", self.instance.backend)})
        try:
            schedule_rows.plan_of(row, backend_of(row))
        except InvalidArguments as error:
            self.add_error("args", str(error))
        except UnknownTask as error:
            self.add_error("task", str(error))
        except (BackieError, compat.InvalidTask) as error:
            self.add_error("rule", str(error))
        if schedule_rows.rows(backend_of(row)).filter(name=row.name).exclude(pk=self.instance.pk).exists():
            self.add_error("name", _("There is a schedule with this name already."))
        if row.name != self.instance.name and (problem := schedule_rows.name_problem(row.name, backend_of(row))):
            self.add_error("name", problem)
        return found


@admin.register(Row)
class ScheduleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Schedules of code and settings are shown, may be paused and run; those that people wrote may be changed, too."""

    form = ScheduleForm
    list_display = ("title", "task", "unbroken_rule", "source", "state", "coming", "last")
    list_display_links = ("title",)
    actions = ("pause_schedules", "resume_schedules", "run_schedules")
    sortable_by = ()
    show_full_result_count = False

    @admin.display(description=gettext_lazy("schedule"))
    def title(self, row: Row) -> str:
        """Return the name, or for one of the code its task."""
        return row.name or row.task.rpartition(".")[2]

    @admin.display(description=gettext_lazy("rule"))
    def unbroken_rule(self, row: Row) -> str:
        """Return the rule with spaces at which no line ends."""
        # That of the code and of the settings bears its zone itself.
        return f"{row.rule} {row.zone}".rstrip().replace(" ", "\N{NO-BREAK SPACE}")

    @admin.display(description=gettext_lazy("stands in"))
    def source(self, row: Row) -> str:
        """Return where it stands, and so where it can be changed."""
        return _("this table") if row.is_written else _("the settings") if row.in_settings else _("the code")

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Row) -> str:
        """Return whether it makes jobs, and if not, why."""
        try:
            plan_of(row)
        except (BackieError, compat.InvalidTask) as error:
            return _("broken: %(reason)s") % {"reason": error}
        return _("paused") if row.is_paused else _("active")

    @admin.display(description=gettext_lazy("next times"))
    def coming(self, row: Row) -> Any:
        """Return the next times, unless it is paused or broken."""
        try:
            return display.NOTHING if row.is_paused else next_times(plan_of(row).schedule)
        except (BackieError, compat.InvalidTask):
            return display.NOTHING

    @admin.display(description=gettext_lazy("last time"))
    def last(self, row: Row) -> Any:
        """Return the last time that was taken up; a schedule that is new has none, but knows when it began."""
        try:
            is_new = not is_slot(plan_of(row).schedule, epoch(row.last_slot))
        except (BackieError, compat.InvalidTask):
            is_new = False
        return display.NOTHING if is_new else display.time_tag(row.last_slot)

    def has_run_schedule_permission(self, request: HttpRequest) -> bool:
        """Tell whether the user may pause, resume and run schedules."""
        return request.user.has_perm(f"{self.opts.app_label}.{PERMISSION}")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let those add one who may, where there is a table for it."""
        return super().has_add_permission(request) and bool(_aliases())

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Refuse to change what stands in the code or in the settings."""
        return super().has_change_permission(request, obj) and (obj is None or obj.is_written)

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Refuse to delete what stands in the code or in the settings: it would come back, and begin anew."""
        return super().has_delete_permission(request, obj) and obj is not None and obj.is_written

    def get_queryset(self, request: HttpRequest) -> QuerySet[Row]:
        """Return the schedules of the first job table."""
        rows = Row.objects.filter(backend__in=_aliases())
        return rows.using(choices.known_databases()[0]) if choices.known_databases() else rows.none()

    def get_fields(self, request: HttpRequest, obj: Row | None = None) -> Any:
        """Return what the row knows: of those in the code and in the settings the rest does not stand in it."""
        if obj is None or obj.is_written:
            return super().get_fields(request, obj)
        known = [name for name in ("backend", "name", "task", "rule") if name != "name" or obj.name]
        return [*known, *self.get_readonly_fields(request, obj)]

    def get_readonly_fields(self, request: HttpRequest, obj: Row | None = None) -> Any:
        """Return what is said of a schedule that there is."""
        return () if obj is None else ("state", "coming", "last")

    def get_form(self, request: HttpRequest, obj: Row | None = None, change: bool = False, **options: Any) -> Any:
        """Return the form; what cannot be changed here needs no help."""
        if obj is not None and not obj.is_written:
            options["help_texts"] = {}
        return super().get_form(request, obj, change, **options)

    def save_model(self, request: HttpRequest, obj: Row, form: Any, change: bool) -> None:
        """Write the row; one whose times have changed begins anew."""
        fields = [*form.cleaned_data]
        if not change or {"task", "rule", "zone", "missed"} & set(form.changed_data):
            obj.last_slot = moment(SYSTEM.now())
            fields.append("last_slot")
        # All of the form, and nothing that a worker or who pauses it has written since it was read.
        obj.save(using=schedule_rows.database_of(backend_of(obj)), update_fields=fields if change else None)
        audit.record_pause(request, "schedule", obj.name, "change" if change else "add")

    def delete_model(self, request: HttpRequest, obj: Row) -> None:
        """Delete the row; jobs that it has made stay."""
        audit.record_pause(request, "schedule", obj.name, "delete")
        super().delete_model(request, obj)

    @admin.action(permissions=[PERMISSION], description=gettext_lazy("Pause selected schedules"))
    def pause_schedules(self, request: HttpRequest, queryset: QuerySet[Row]) -> None:
        """Make no more jobs until they are resumed."""
        self._set_paused(request, queryset, is_paused=True)

    @admin.action(permissions=[PERMISSION], description=gettext_lazy("Resume selected schedules"))
    def resume_schedules(self, request: HttpRequest, queryset: QuerySet[Row]) -> None:
        """Go on; of the times since, each schedule's rule for missed times decides."""
        self._set_paused(request, queryset, is_paused=False)

    def _set_paused(self, request: HttpRequest, queryset: QuerySet[Row], *, is_paused: bool) -> None:
        rows = [*queryset]
        count = queryset.update(is_paused=is_paused)
        for row in rows:
            self.log_change(request, row, _("paused") if is_paused else _("resumed"))
            audit.record_pause(request, "schedule", row.name or row.task, "pause" if is_paused else "resume")
        if is_paused:
            text = ngettext("%(count)s schedule is paused.", "%(count)s schedules are paused.", count)
        else:
            text = ngettext("%(count)s schedule goes on.", "%(count)s schedules go on.", count)
        messages.success(request, text % {"count": count})

    @admin.action(permissions=[PERMISSION], description=gettext_lazy("Run selected schedules now"))
    def run_schedules(self, request: HttpRequest, queryset: QuerySet[Row]) -> None:
        """Make a job of each now, beside its times."""
        count = 0
        for row in queryset:
            try:
                plan = plan_of(row)
                backend_of(row).submit(plan.task, [plan.call])
            except (BackieError, compat.InvalidTask) as error:
                messages.error(request, f"{self.title(row)}: {error}")
                continue
            count += 1
            self.log_change(request, row, _("run"))
            audit.record_pause(request, "schedule", row.name or row.task, "run")
        if count:
            text = ngettext("%(count)s job is made.", "%(count)s jobs are made.", count)
            messages.success(request, text % {"count": count})
