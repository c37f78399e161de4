"""Ageing from the settings to the worker: which jobs bear it, and what becomes of it when they move."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from django_backie import queues
from django_backie.core import head
from django_backie.core.job import Job
from django_backie.middleware import Make, Middleware
from tests.app.tasks import echo
from tests.helpers import lease, outlast_millisecond

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def with_options(settings: Any, **options: Any) -> None:
    """Add options to those of the default backend."""
    params = settings.TASKS["default"]
    settings.TASKS = {**settings.TASKS, "default": {**params, "OPTIONS": {**params["OPTIONS"], **options}}}


def order(backend: Any) -> list[list[Any]]:
    """Take all ready jobs, and return their arguments."""
    return [list(backend.unpack(one.id, one.body).args) for one in lease(backend)]


def ageing_of(backend: Any, made: Any) -> int:
    """Return what a priority is worth to a job that is in Redis."""
    body = backend.broker.inspect([made.id])[made.id].body
    found: int = backend.unpack(made.id, body).ageing
    return found


def test_in_a_queue_that_ages_a_priority_is_worth_so_many_places(backend: Any, settings: Any) -> None:
    with_options(settings, AGEING=2)
    made = [echo.delay(number) for number in range(4)]
    # Of two at one place the older goes first.
    outlast_millisecond(made[2].id)
    echo.using(priority=1).delay("urgent")

    assert order(backend) == [[0], [1], [2], ["urgent"], [3]]


def test_other_queues_and_other_priorities_bear_nothing(backend: Any, settings: Any) -> None:
    with_options(settings, AGEING={"mail": 5, "*": 7})
    made = [echo.using(queue_name=name, priority=1).delay() for name in ("mail", "reports")]

    assert [ageing_of(backend, result) for result in made] == [5, 7]
    with_options(settings, AGEING={"mail": 5})
    assert ageing_of(backend, echo.using(queue_name="reports", priority=1).delay()) == 0
    plain = echo.using(queue_name="mail").delay()
    assert not head.has_flags(backend.broker.inspect([plain.id])[plain.id].body)


def test_a_job_of_a_transaction_and_a_scheduled_one_bear_it_too(backend: Any, settings: Any) -> None:
    with_options(settings, AGEING=5)
    later = echo.using(priority=-3, run_after=timedelta(hours=1)).delay()

    assert ageing_of(backend, later) == 5


def test_a_queue_that_middleware_chooses_counts(backend: Any, settings: Any) -> None:
    with_options(settings, AGEING={"slow": 9}, MIDDLEWARE=["tests.test_ageing.ToSlow"])

    assert ageing_of(backend, echo.using(priority=1).delay()) == 9


class ToSlow(Middleware):
    """Sends all jobs to one queue."""

    def enqueue(self, job: Job, call_next: Make) -> Job:
        return call_next(job._replace(queue="slow"))


@pytest.mark.parametrize(("source", "target", "wanted"), [("plain", "ages", 6), ("ages", "plain", 0), ("ages", "b", 8)])
def test_a_job_that_is_moved_takes_what_the_other_queue_has(
    backend: Any, settings: Any, source: str, target: str, wanted: int
) -> None:
    with_options(settings, AGEING={"ages": 6, "b": 8})
    made = echo.using(queue_name=source, priority=1).delay(1)

    assert queues.move(source, target).moved == 1
    assert ageing_of(backend, made) == wanted
    assert order(backend) == [[1]]
