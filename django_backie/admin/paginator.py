"""Pages over a table too large to be counted: a bounded count, then windows that follow each other by key."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.functional import cached_property

from ..models import Job

LIMIT = 10_000

# Years that every database can turn into its own zone.
FIRST_YEAR, LAST_YEAR = 1970, 9000


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


def key_of(job: Job) -> str:
    """Return the key of a job in the order newest first."""
    return f"{job.enqueued_at.isoformat()}~{job.pk.hex}"


def key_before(moment: datetime) -> str:
    """Return the key that stands before all jobs of a moment, so that those follow it which are older."""
    return f"{moment.isoformat()}~{UUID(int=0).hex}"


def after(queryset: QuerySet[Job], key: str) -> QuerySet[Job]:
    """Return the rows that follow a key in the order newest first.

    Raises:
        ValueError: this is not a key.
    """
    moment, _tilde, pk = key.partition("~")
    enqueued_at, job_id = datetime.fromisoformat(moment), UUID(pk)
    if timezone.is_naive(enqueued_at) is settings.USE_TZ or not FIRST_YEAR <= enqueued_at.year <= LAST_YEAR:
        raise ValueError(key)
    # Not "earlier OR (same time AND smaller id)": only a plain range lets every database walk the index.
    return queryset.filter(enqueued_at__lte=enqueued_at).exclude(enqueued_at=enqueued_at, pk__gte=job_id)
