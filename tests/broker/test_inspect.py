"""Show jobs as they are now, and read-only questions about a namespace."""

from __future__ import annotations

import time

import pytest

from django_backie.broker import inspect
from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State

from .support import HOUR, NOTE, WORKER, claim, far_future, job, jobs, run


def test_only_the_jobs_that_are_here_are_shown(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))

    found = broker.inspect(["gone", "b"])

    assert found.keys() == {"b"}
    assert found["b"].body == job("b").body


def test_an_untried_job_is_ready_or_scheduled(broker: RedisBroker) -> None:
    when = far_future()
    broker.enqueue([job("a"), job("b", run_after=when)])

    found = broker.inspect(["a", "b"])

    assert (found["a"].record.state, found["a"].record.due) == (State.READY, None)
    assert (found["b"].record.state, found["b"].record.due) == (
        State.SCHEDULED,
        pytest.approx(when, abs=0.001),
    )


def test_a_tried_job_is_shown_with_its_attempts(broker: RedisBroker) -> None:
    run(broker, "a", State.RETRYABLE, delay=HOUR, note=NOTE)

    found = broker.inspect(["a"])["a"].record

    assert (found.state, found.attempt, found.worker, len(found.attempts)) == (State.RETRYABLE, 1, WORKER, 1)
    assert found.due is not None


def test_nothing_to_ask_for_is_no_error(broker: RedisBroker) -> None:
    assert broker.inspect([]) == {}


def test_looking_changes_nothing(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    before = broker.take(10)
    broker.inspect(["a", "b", "gone"])

    assert broker.take(10) == before


def test_what_waits_for_room_is_counted_and_tells_for_what(broker: RedisBroker) -> None:
    slow = "r2|3600000.000000|1"
    limits = {"a": "c1|1", "b": "c1|1", "c": slow, "d": slow, "e": "c3|1"}
    broker.enqueue([job(job_id, limits=text) for job_id, text in limits.items()])
    broker.hold(["3"], HOUR)
    assert inspect.parked(broker) == 0
    claim(broker, 5)

    assert inspect.parked(broker) == 3
    found = {job_id: inspect.waits_for(broker, job_id) for job_id in "abcde"}
    assert (found["a"], found["c"]) == (None, None)
    assert (found["b"], found["d"]) == (inspect.Waiting("slot"), inspect.Waiting("token"))
    assert found["e"] is not None
    assert found["e"].held_until == pytest.approx(time.time() + HOUR, abs=60)
    broker.client.zadd(broker.keys["lh"], {"3": 1})
    assert inspect.waits_for(broker, "e") == inspect.Waiting("slot")


def test_ready_jobs_are_counted_by_queue(broker: RedisBroker) -> None:
    broker.enqueue([*jobs("ab", queue="mail"), job("c"), job("d", run_after=far_future())])

    assert inspect.ready_counts(broker) == {"default": 1, "mail": 2}


def test_an_emptied_queue_counts_nothing(broker: RedisBroker) -> None:
    assert inspect.ready_counts(broker) == {}

    run(broker, "a")
    assert inspect.ready_counts(broker) == {"default": 0}


def test_unfinished_are_the_ready_and_the_held(broker: RedisBroker) -> None:
    broker.enqueue([*jobs("abc"), job("d", queue="mail"), job("e", run_after=far_future())])
    claim(broker, 2)

    assert inspect.unfinished(broker) == 4
    assert inspect.unfinished(broker, ["mail"]) == 3


def test_changed_jobs_are_counted(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))

    assert inspect.marked(broker) == 2


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_pages_show_each_ready_job_once_and_in_order(broker: RedisBroker, count: int) -> None:
    ids = [f"{number:03}" for number in range(count)]
    broker.enqueue([job(job_id, priority=100 - number % 3 * 100) for number, job_id in enumerate(ids)])
    wanted = [*ids[0::3], *ids[1::3], *ids[2::3]]

    pages = list(inspect.ready_pages(broker, "default"))

    assert [job_id for page in pages for job_id in page] == wanted
    assert all(len(page) <= 100 for page in pages)


def test_pages_go_on_where_the_last_one_ended_whatever_has_left_the_queue(broker: RedisBroker) -> None:
    ids = [f"{number:03}" for number in range(250)]
    broker.enqueue(jobs(ids))
    seen = []
    for page in inspect.ready_pages(broker, "default"):
        broker.cancel(page[::2])
        seen += page

    assert seen == ids


def test_pages_end_though_more_jobs_come_all_the_time(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    seen = []
    for page in inspect.ready_pages(broker, "default"):
        broker.enqueue([job(f"{job_id}'") for job_id in page])
        seen += page

    assert seen == ["a", "b", "c"]
