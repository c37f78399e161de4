"""The filters of the job list: bounded, indexed, and asked of the registry rather than of the table."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from ..models import Job, JobState
from . import choices, databases, reach


class ValueFilter(admin.SimpleListFilter):
    """One value of a field of the same name, which an index serves."""

    def condition(self) -> reach.Condition | None:
        """Return what the chosen value asks for; None where nothing is chosen, or what no job can have."""
        value = self.value()
        return (str(self.parameter_name), (value,)) if value and self.is_possible(value) else None

    def is_possible(self, value: str) -> bool:
        """Tell whether a job can have a value."""
        # PostgreSQL refuses a NUL where it should find nothing.
        return "\x00" not in value

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Keep the jobs with the chosen value; the change list sees to an index."""
        if not self.value():
            return queryset
        condition = self.condition()
        return queryset.none() if condition is None else reach.hidden(queryset, [condition])


class StateFilter(ValueFilter):
    """One state, chosen from the chips above the list."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Offer the eight states."""
        return JobState.choices

    def is_possible(self, value: str) -> bool:
        """Tell whether there is such a state."""
        return value in JobState.values


class NameFilter(ValueFilter):
    """One name of a known set; a chosen name stays on offer even if nothing knows it any more."""

    parameter_name = ""
    everything = _("any")

    def known(self) -> list[str]:
        """Return the names on offer."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Offer the known names and the chosen one."""
        names = dict.fromkeys(self.known())
        if chosen := request.GET.get(str(self.parameter_name)):
            names.setdefault(chosen)
        return [(name, name) for name in names]


class QueueFilter(NameFilter):
    """One queue."""

    title = _("queue")
    parameter_name = "queue"

    def known(self) -> list[str]:
        """Return the queues of the known tasks."""
        return choices.known_queues()


class TaskFilter(NameFilter):
    """One task."""

    title = _("task")
    parameter_name = "task"

    def known(self) -> list[str]:
        """Return the known tasks."""
        return choices.known_tasks()


WINDOWS = {
    "15m": (timedelta(minutes=15), ngettext_lazy("last %d minute", "last %d minutes", 15) % 15),
    "1h": (timedelta(hours=1), ngettext_lazy("last %d hour", "last %d hours", 1) % 1),
    "6h": (timedelta(hours=6), ngettext_lazy("last %d hour", "last %d hours", 6) % 6),
    "24h": (timedelta(hours=24), ngettext_lazy("last %d hour", "last %d hours", 24) % 24),
    "7d": (timedelta(days=7), ngettext_lazy("last %d day", "last %d days", 7) % 7),
    "30d": (timedelta(days=30), ngettext_lazy("last %d day", "last %d days", 30) % 30),
}


class WindowFilter(admin.SimpleListFilter):
    """The time since which a job was enqueued, in place of a date hierarchy and its DISTINCT."""

    title = _("enqueued")
    parameter_name = "within"
    everything = _("any time")

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Offer windows that end now."""
        return [(key, words) for key, (_length, words) in WINDOWS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Keep the jobs that were enqueued inside the window."""
        window = WINDOWS.get(self.value() or "")
        return queryset.filter(enqueued_at__gte=timezone.now() - window[0]) if window else queryset


class DatabaseFilter(admin.SimpleListFilter):
    """The database to read, offered only where jobs are kept in more than one."""

    title = _("database")
    parameter_name = databases.PARAMETER

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        """Offer the aliases that hold job tables."""
        aliases = choices.known_databases()
        return [(alias, alias) for alias in aliases] if len(aliases) > 1 else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Change nothing: ``databases.reading`` has already chosen the database."""
        return queryset
