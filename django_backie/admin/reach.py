"""How far back a page looks where no index serves all that was chosen.

An index serves one of state, queue and task, or (on PostgreSQL) a troubled state with one of the others. Any other
combination could read the whole table to find a handful of jobs. So the page looks at the newest ``LIMIT`` jobs of the
rarest of the chosen values, says so, and leads on to what is older.

The database is not left to guess which index that is: an estimate that takes queue and task for independent is wrong by
orders of magnitude. Filters and search write what they ask for in a form that no index serves (``hidden``); one
condition is written plainly beside them (``Reach``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections
from django.db.models import BooleanField, Case, QuerySet, Subquery, Value, When

from ..models import TROUBLED, Job
from . import paginator

# A field and the values of which a job has one.
Condition = tuple[str, tuple[str, ...]]
Conditions = frozenset[Condition]


@dataclass(frozen=True, slots=True)
class Reach:
    """The conditions by which an index finds jobs, and the time before which the page does not look for others.

    Without an edge it looks at all jobs of these conditions.
    """

    by: Conditions = frozenset()
    edge: datetime | None = None

    def of(self, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Return what a query finds within this reach."""
        queryset = plain(queryset, self.by)
        return queryset if self.edge is None else queryset.filter(enqueued_at__gte=self.edge)


def plain(queryset: QuerySet[Job], conditions: Iterable[Condition]) -> QuerySet[Job]:
    """Return what a query finds under conditions, for which an index may be used."""
    return queryset.filter(**_lookups(conditions))


def hidden(queryset: QuerySet[Job], conditions: Iterable[Condition]) -> QuerySet[Job]:
    """Return what a query finds under conditions, for which no index can be used."""
    for condition in conditions:
        met = When(**_lookups([condition]), then=Value(True))
        queryset = queryset.filter(Case(met, default=Value(False), output_field=BooleanField()))
    return queryset


def merged(conditions: Iterable[Condition | None]) -> Conditions | None:
    """Return conditions, one a field; None if no job can meet them all."""
    values: dict[str, tuple[str, ...]] = {}
    for field, allowed in filter(None, conditions):
        values[field] = tuple(value for value in values.get(field, allowed) if value in allowed)
    return frozenset(values.items()) if all(values.values()) else None


def reaches(rows: QuerySet[Job], wanted: Mapping[str, Conditions]) -> dict[str, Reach]:
    """Return how far to look for each of the wanted conditions, with one query, or none.

    ``rows`` are those that the list could show without any condition.
    """
    parts = {name: _parts(conditions, rows.db) for name, conditions in wanted.items()}
    edges = _edges(rows, {part for found in parts.values() for part in found})
    return {name: _farthest(conditions, parts[name], edges) for name, conditions in wanted.items()}


def _parts(conditions: Conditions, alias: str) -> list[Condition]:
    """Return the conditions each of which an index serves; none if one serves them all."""
    return [] if _is_served(conditions, alias) else [part for part in conditions if len(part[1]) == 1]


def _is_served(conditions: Conditions, alias: str) -> bool:
    """Tell whether an index serves conditions as they are."""
    if len(conditions) < 2:
        return True
    found = dict(conditions)
    state = found.pop("state", ("",))[0]
    others = list(found.values())
    # MariaDB and MySQL have no partial index; SQLite does not see that this one fits.
    return connections[alias].vendor == "postgresql" and state in TROUBLED and [len(each) for each in others] == [1]


def _farthest(conditions: Conditions, parts: list[Condition], edges: Mapping[Condition, datetime | None]) -> Reach:
    if not parts:
        return Reach(conditions)
    # Of what has no edge there are few; of a state, mostly fewer than of a queue or a task.
    part = min(parts, key=lambda part: (edges[part] is not None, edges[part], part[0] != "state", part[0]))
    return Reach(frozenset({part}), edges[part])


def _edges(rows: QuerySet[Job], parts: Iterable[Condition]) -> dict[Condition, datetime | None]:
    """Return the time of the first job of each part that a page leaves out, None where it leaves out none."""
    names = {f"edge_{number}": part for number, part in enumerate(parts)}
    if not names:
        return {}
    first_left_out = {name: Subquery(_first_left_out(plain(rows, [part]))) for name, part in names.items()}
    found: Any = Job.objects.using(rows.db).order_by().values(**first_left_out)[:1]
    row: dict[str, Any] = next(iter(found), {})
    return {part: row.get(name) for name, part in names.items()}


def _first_left_out(rows: QuerySet[Job]) -> QuerySet[Job, Any]:
    limit = paginator.LIMIT
    return rows.order_by("-enqueued_at", "-pk").values("enqueued_at")[limit : limit + 1]


def _lookups(conditions: Iterable[Condition]) -> dict[str, Any]:
    # A list of one is not written as such: MariaDB and MySQL do not keep the order of an index for it.
    return dict((field, values[0]) if len(values) == 1 else (f"{field}__in", values) for field, values in conditions)
