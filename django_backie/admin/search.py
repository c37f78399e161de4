"""What may be typed into the search box: an id, a task, a queue."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from ..models import Job
from . import choices, reach


def as_id(term: str) -> UUID | None:
    """Return a search term as a job's id, None if it is not one."""
    text = term.strip()
    if len(text) not in {32, 36}:
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def condition(term: str) -> reach.Condition | None:
    """Return what a term asks for: ``queue:name``, ``task:name`` or a bare task name; None for an id or nothing.

    A part of a name finds the tasks that this process knows; any other task must be named in full.
    """
    text = term.strip()
    if not text or as_id(text):
        return None
    field, colon, value = text.partition(":")
    if colon and field == "queue":
        return "queue", (value.strip(),)
    return "task", _tasks(value.strip() if colon and field == "task" else text)


def search(queryset: QuerySet[Job], term: str, *, hide: bool) -> QuerySet[Job]:
    """Return the jobs that a term asks for; ``hide`` leaves it to the caller to see to an index."""
    if job_id := as_id(term):
        return queryset.filter(pk=job_id)
    wanted = condition(term)
    conditions = [wanted] if wanted else []
    return reach.hidden(queryset, conditions) if hide else reach.plain(queryset, conditions)


def _tasks(text: str) -> tuple[str, ...]:
    names = tuple(name for name in choices.known_tasks() if text.casefold() in name.casefold())
    # Not LIKE: few collations let an index serve it, and reading two million rows takes seconds.
    return names or (text,)
