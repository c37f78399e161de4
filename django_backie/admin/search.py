"""What may be typed into the search box: an id, a task, a queue."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from ..models import Job
from . import choices


def as_id(term: str) -> UUID | None:
    """Return a search term as a job's id, None if it is not one."""
    text = term.strip()
    if len(text) not in {32, 36}:
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def search(queryset: QuerySet[Job], term: str) -> QuerySet[Job]:
    """Return the jobs that a term asks for: an id, ``queue:name``, ``task:name`` or a bare task name.

    A part of a name finds the tasks that this process knows; any other task must be named in full.
    """
    text = term.strip()
    if not text:
        return queryset
    if job_id := as_id(text):
        return queryset.filter(pk=job_id)
    field, colon, value = text.partition(":")
    if colon and field == "queue":
        return queryset.filter(queue=value.strip())
    return _by_task(queryset, value.strip() if colon and field == "task" else text)


def _by_task(queryset: QuerySet[Job], text: str) -> QuerySet[Job]:
    names = [name for name in choices.known_tasks() if text.casefold() in name.casefold()]
    if names:
        return queryset.filter(task__in=names)
    # Not LIKE: few collations let an index serve it, and reading two million rows takes seconds.
    return queryset.filter(task=text)
