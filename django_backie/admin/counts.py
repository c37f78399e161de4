"""How many jobs there are in each state: one query whose cost does not grow with the table."""

from __future__ import annotations

from typing import Any

from django.db.models import IntegerField, QuerySet, Subquery

from ..models import Job, JobState
from .paginator import LIMIT


class BoundedCount(Subquery):
    """The number of rows of a query that carries its own LIMIT."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) bounded)"
    output_field = IntegerField()
    empty_result_set_value = 0


def by_state(queryset: QuerySet[Job], limit: int = LIMIT) -> dict[str, int]:
    """Return the number of jobs in each state, none counted beyond ``limit + 1``."""
    bare = queryset.order_by()
    counts = {state: BoundedCount(bare.filter(state=state).values("state")[: limit + 1]) for state in JobState.values}
    rows: Any = Job.objects.using(queryset.db).order_by().values(**counts)[:1]
    return next(iter(rows), dict.fromkeys(JobState.values, 0))
