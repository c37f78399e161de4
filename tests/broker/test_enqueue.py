"""Add jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from django_backie import conf
from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Arrival
from django_backie.conf import Config
from django_backie.core.states import State

from .support import claim, far_future, job, jobs, marked, order, record, run, without_mirror, woken


def test_each_new_job_is_answered_with_true(broker: RedisBroker) -> None:
    assert broker.enqueue(jobs("abc")) == [True, True, True]


def test_a_job_that_is_here_already_is_left_alone(broker: RedisBroker) -> None:
    broker.enqueue([job("a", envelope="first")])

    assert broker.enqueue([job("a", envelope="second"), job("b")]) == [False, True]
    assert broker.inspect(["a"])["a"].body.endswith("first")
    assert order(broker) == ["a", "b"]


def test_an_id_that_comes_twice_in_one_call_is_added_once(broker: RedisBroker) -> None:
    assert broker.enqueue([job("a"), job("a")]) == [True, False]
    assert order(broker) == ["a"]


def test_a_running_job_is_not_enqueued_again(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)

    assert broker.enqueue([job("a")]) == [False]
    assert order(broker) == []


def test_a_job_that_has_ended_but_is_not_mirrored_yet_does_not_run_again(broker: RedisBroker) -> None:
    run(broker, "a")

    assert broker.enqueue([job("a")]) == [False]
    assert order(broker) == []


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_a_push_that_comes_late_does_not_run_what_has_failed(broker: RedisBroker, state: State) -> None:
    run(broker, "b", state)
    broker.done(marked(broker))

    assert broker.enqueue(jobs("abc")) == [True, False, True]
    assert broker.missing(["b"]) == ["b"]
    assert order(broker) == ["a", "c"]


def test_a_cancelled_job_that_never_ran_is_not_brought_back_by_its_late_push(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.cancel(["a"])
    broker.done(marked(broker))

    assert broker.enqueue([job("a")]) == [False]
    assert order(broker) == []


def test_no_jobs_are_no_error(broker: RedisBroker) -> None:
    assert broker.enqueue([]) == []


def test_ready_jobs_come_in_the_order_of_enqueueing(broker: RedisBroker) -> None:
    broker.enqueue(jobs("dba"))
    broker.enqueue([job("c")])

    assert order(broker) == ["d", "b", "a", "c"]


@pytest.mark.parametrize("priority", [1, 100])
def test_a_higher_priority_comes_first_at_any_age(broker: RedisBroker, priority: int) -> None:
    broker.enqueue([job("low", priority=-priority), job("normal"), job("high", priority=priority)])

    assert order(broker) == ["high", "normal", "low"]


@pytest.mark.parametrize("priority", [-100, 0, 100])
def test_equal_priorities_keep_their_order_over_many_jobs(broker: RedisBroker, priority: int) -> None:
    ids = [f"{number:04}" for number in range(1200, 0, -1)]
    broker.enqueue(jobs(ids, priority=priority))

    assert order(broker, limit=2000) == ids


def test_a_job_of_the_future_waits(broker: RedisBroker) -> None:
    when = far_future()
    broker.enqueue([job("a", run_after=when)])

    assert order(broker) == []
    assert record(broker, "a").state is State.SCHEDULED
    assert record(broker, "a").due == pytest.approx(when, abs=0.001)


def test_a_job_whose_time_has_passed_is_ready_at_once(broker: RedisBroker) -> None:
    broker.enqueue([job("past", run_after=1.0), job("b")])

    assert record(broker, "past").state is State.READY
    assert order(broker) == ["past", "b"]


def test_a_body_comes_back_as_it_was(broker: RedisBroker) -> None:
    envelope = '{"a":["\\u0000", [], {}, 12345678901234567890, "ä\n𝄞"]}\n\x00'
    broker.enqueue([job("a", envelope=envelope)])

    (lease,) = claim(broker)

    assert lease.body == job("a", envelope=envelope).body


def test_a_new_job_is_marked_for_the_mirror(broker: RedisBroker) -> None:
    broker.enqueue([job("now"), job("later", run_after=far_future())])

    assert marked(broker).keys() == {"now", "later"}


def test_without_a_mirror_nothing_is_marked(broker: RedisBroker) -> None:
    broker = without_mirror(broker)
    broker.enqueue([job("now"), job("later", run_after=far_future())])

    assert broker.take(10) == []


@pytest.mark.parametrize(
    ("queues", "mode", "wakes"),
    [(["mail"], "only", True), (["other"], "only", False), ([], "all", True)],
)
def test_a_worker_that_serves_the_queue_is_woken(
    broker: RedisBroker, queues: list[str], mode: str, wakes: bool
) -> None:
    listener = Listener(broker, queues, mode, longest=1.0)  # type: ignore[arg-type]
    broker.enqueue([job("a", queue="mail")])

    assert woken(listener) is wakes
    assert woken(listener) is False
    listener.close()


def test_a_scheduled_job_wakes_a_worker_that_may_have_to_wait_shorter(broker: RedisBroker) -> None:
    listener = Listener(broker, [], "all", longest=1.0)
    broker.enqueue([job("a", run_after=far_future())])

    assert woken(listener) is True
    listener.close()


def bounded(broker: RedisBroker, length: Any) -> RedisBroker:
    """Return a broker of the same namespace whose queues hold so many ready jobs."""
    return RedisBroker(conf_with(broker.config, length), broker.client)


def conf_with(config: Config, length: Any) -> Config:
    return replace(config, max_queue_length=conf.RULES["MAX_QUEUE_LENGTH"].convert(length))


def test_a_full_queue_takes_no_more_and_says_so_for_each_job(broker: RedisBroker) -> None:
    answers = bounded(broker, 2).enqueue(jobs("abc"))

    assert answers == [Arrival.ADDED, Arrival.ADDED, Arrival.FULL]
    assert broker.missing(["c"]) == ["c"]
    assert set(marked(broker)) == {"a", "b"}
    assert order(broker) == ["a", "b"]


def test_a_job_that_is_here_already_is_not_refused_by_a_full_queue(broker: RedisBroker) -> None:
    small = bounded(broker, 1)
    small.enqueue([job("a")])

    assert small.enqueue([job("a")]) == [Arrival.PRESENT]


def test_a_queue_has_room_again_when_a_worker_has_taken_a_job(broker: RedisBroker) -> None:
    small = bounded(broker, 1)
    small.enqueue([job("a")])
    claim(broker)

    assert small.enqueue([job("b")]) == [Arrival.ADDED]


def test_each_queue_may_have_a_bound_of_its_own(broker: RedisBroker) -> None:
    small = bounded(broker, {"mail": 1, "*": 2})

    assert small.enqueue(jobs("ab", queue="mail")) == [Arrival.ADDED, Arrival.FULL]
    assert small.enqueue(jobs("cde", queue="other")) == [Arrival.ADDED, Arrival.ADDED, Arrival.FULL]


def test_a_queue_without_a_bound_takes_all(broker: RedisBroker) -> None:
    assert Arrival.FULL not in bounded(broker, {"mail": 1}).enqueue(jobs("abcdef"))


def test_a_job_for_later_is_not_refused_by_a_full_queue(broker: RedisBroker) -> None:
    small = bounded(broker, 1)
    small.enqueue([job("a")])

    assert small.enqueue([job("b", run_after=far_future())]) == [Arrival.ADDED]
