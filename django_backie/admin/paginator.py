"""Pages over a table too large to be counted: a bounded count, then windows that follow each other by key."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

from ..models import Job

LIMIT = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """A paginator that stops counting after ``LIMIT`` rows."""

    @cached_property
    def found(self) -> int:
        """Return the number of rows; ``LIMIT + 1`` stands for "more than LIMIT"."""
        rows: Any = self.object_list
        return int(rows.order_by()[: LIMIT + 1].count())

    @cached_property
    def count(self) -> int:
        """Return the number of rows that can be reached by page number."""
        return min(self.found, LIMIT)

    @property
    def overflows(self) -> bool:
        """Tell whether there are rows behind the last page."""
        return self.found > LIMIT


def key_after(queryset: QuerySet[Job], position: int = LIMIT) -> str:
    """Return the key of the last row of a window; the next window begins after it."""
    enqueued_at, pk = queryset.values_list("enqueued_at", "pk")[position - 1]
    return f"{enqueued_at.isoformat()}~{pk.hex}"


def after(queryset: QuerySet[Job], key: str) -> QuerySet[Job]:
    """Return the rows that follow a key in the order newest first.

    Raises:
        ValueError: this is not a key.
    """
    moment, _tilde, pk = key.partition("~")
    enqueued_at, job_id = datetime.fromisoformat(moment), UUID(pk)
    # Not "earlier OR (same time AND smaller id)": only a plain range lets every database walk the index.
    return queryset.filter(enqueued_at__lte=enqueued_at).exclude(enqueued_at=enqueued_at, pk__gte=job_id)
