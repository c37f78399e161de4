"""Which database a page reads, and which one an action writes."""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, router
from django.db.models import QuerySet
from django.http import HttpRequest

from ..models import Job
from . import choices

PARAMETER = "db"


def chosen(request: HttpRequest) -> str | None:
    """Return the alias to read; None leaves it to the routers, which may know replicas."""
    known = choices.known_databases()
    alias = request.GET.get(PARAMETER)
    if alias in known:
        return alias
    return known[0] if known and known[0] != DEFAULT_DB_ALIAS else None


def reading(queryset: QuerySet[Job], request: HttpRequest) -> QuerySet[Job]:
    """Return the query bound to the database of the request."""
    alias = chosen(request)
    return queryset if alias is None else queryset.using(alias)


def others(queryset: QuerySet[Job]) -> list[str]:
    """Return the aliases that hold job tables besides the one of a query."""
    return [alias for alias in choices.known_databases() if alias != queryset.db]


def writing(alias: str) -> str:
    """Return the alias that holds the rows read from ``alias``, which may be a replica."""
    return alias if alias in choices.known_databases() else router.db_for_write(Job)
