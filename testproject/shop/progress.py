"""How far the jobs of orders are, as the pages show it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from django_backie.models import Job, JobState

from .models import Order, OrderJob, Step

FINAL = frozenset({JobState.SUCCESSFUL, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True)
class Progress:
    """One job of an order. Its row may be gone: old jobs are pruned."""

    link: OrderJob
    job: Job | None
    now: datetime

    @property
    def label(self) -> str:
        """Return what the job does."""
        return str(Step(self.link.step).label)

    @property
    def state(self) -> str:
        """Return the state in lower case, for style sheets."""
        return self.job.state.lower() if self.job else "gone"

    @property
    def state_label(self) -> str | Promise:
        """Return the state for people."""
        return JobState(self.job.state).label if self.job else _("no longer kept")

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing is going to happen any more."""
        return self.job is None or self.job.state in FINAL

    @property
    def waited(self) -> timedelta | None:
        """Return how long the job waited for a worker, from the moment it could have run."""
        if self.job is None or self.job.state == JobState.SCHEDULED:
            return None
        end = self.job.started_at or self.job.finished_at or self.now
        due = self.job.run_after
        if due is None or due > end:  # between two attempts, run_after is the moment of the next
            due = self.job.enqueued_at
        return max(end - due, timedelta())

    @property
    def ran(self) -> timedelta | None:
        """Return how long the latest attempt took, or has taken so far."""
        if self.job is None or self.job.last_attempted_at is None or self.job.state == JobState.RETRYABLE:
            return None
        end = self.job.finished_at or self.now
        return max(end - self.job.last_attempted_at, timedelta())


@dataclass(frozen=True)
class OrderProgress:
    """An order and its jobs."""

    order: Order
    jobs: list[Progress]

    @cached_property
    def settled(self) -> int:
        """Return how many jobs are done, well or badly."""
        return sum(job.is_settled for job in self.jobs)

    @property
    def refresh_after(self) -> int | None:
        """Return in how many milliseconds the page is worth another look; None if it will not change."""
        busy = [job for job in self.jobs if not job.is_settled]
        if not busy:
            return None
        return 5000 if all(job.state == "scheduled" for job in busy) else 1000


def progress_of(orders: Iterable[Order]) -> list[OrderProgress]:
    """Return the orders with their jobs, in three queries however many there are."""
    orders = list(orders)
    links: dict[str, list[OrderJob]] = {order.pk: [] for order in orders}
    for link in OrderJob.objects.filter(order__in=links):
        links[link.order_id].append(link)
    jobs = Job.objects.defer("body").in_bulk([link.job_id for group in links.values() for link in group])
    now = timezone.now()
    return [
        OrderProgress(order, [Progress(link, jobs.get(link.job_id), now) for link in links[order.pk]])
        for order in orders
    ]
