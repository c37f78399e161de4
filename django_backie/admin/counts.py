"""How many jobs there are in each state: one query whose cost does not grow with the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, IntegerField, Q, QuerySet, Subquery

from ..models import Job, JobState
from . import paginator
from .reach import Reach, hidden

# Each state by its index, as far back as there are jobs.
EVERYTHING = {state: Reach(frozenset({("state", (state,))})) for state in JobState.values}


class BoundedCount(Subquery):
    """The number of rows of a query that carries its own LIMIT."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) bounded)"
    output_field = IntegerField()
    empty_result_set_value = 0


def by_state(queryset: QuerySet[Job], reaches: Mapping[str, Reach] = EVERYTHING) -> dict[str, int]:
    """Return the number of jobs in each state within its reach, none counted beyond ``LIMIT + 1``."""
    bare = queryset.order_by()
    counts = {state: BoundedCount(_of_state(bare, state, reaches[state])) for state in JobState.values}
    rows: Any = Job.objects.using(queryset.db).order_by().values(**counts)[:1]
    return next(iter(rows), dict.fromkeys(JobState.values, 0))


def _of_state(queryset: QuerySet[Job], state: str, reach: Reach) -> QuerySet[Job, Any]:
    found = reach.of(hidden(queryset, [("state", (state,))]))
    return found.values("state")[: paginator.LIMIT + 1]


def in_one_reach(queryset: QuerySet[Job], reach: Reach) -> dict[str, int]:
    """Return the number of jobs in each state within one reach, which bounds them all."""
    counts = {state: Count("pk", filter=Q(state=state)) for state in JobState.values}
    found: dict[str, int] = reach.of(queryset).order_by().aggregate(**counts)
    return found
