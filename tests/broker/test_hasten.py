"""Make scheduled and retrying jobs ready now."""

from __future__ import annotations

import pytest

from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State

from .support import HOUR, claim, far_future, ids_of, job, jobs, make_due, marked, order, record, run, woken


def test_a_scheduled_job_is_ready_at_the_end_of_its_priority(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future(), priority=1), job("b", priority=1), job("c")])

    assert broker.hasten(["a"]) == ["OK"]
    assert (record(broker, "a").state, record(broker, "a").due) == (State.READY, None)
    assert order(broker) == ["b", "a", "c"]


def test_a_retry_keeps_its_attempts_and_its_history(broker: RedisBroker) -> None:
    run(broker, "a", State.RETRYABLE, delay=HOUR, note='{"n":1}')

    assert broker.hasten(["a"]) == ["OK"]
    (lease,) = claim(broker)
    assert (lease.attempt, lease.attempts()) == (2, ({"n": 1},))


def test_a_parked_job_is_ready_again(broker: RedisBroker) -> None:
    run(broker, "a", State.BLOCKED, refund=True, reason="unknown task")

    assert broker.hasten(["a"]) == ["OK"]
    assert record(broker, "a").reason == ""
    assert order(broker) == ["a"]


def test_a_hastened_job_runs_once(broker: RedisBroker) -> None:
    run(broker, "a", State.SCHEDULED, refund=True, delay=HOUR)
    broker.hasten(["a"])

    assert order(broker) == ["a"]
    assert broker.tick(0).promoted == 0
    assert broker.client.exists(broker.keys["s"], broker.keys["f"]) == 0


def test_a_ready_job_stays_where_it_is(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))

    assert broker.hasten(["a"]) == ["READY"]
    assert order(broker) == ["a", "b"]


def test_hastening_twice_tells_that_it_is_ready(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])

    assert [broker.hasten(["a"]), broker.hasten(["a"])] == [["OK"], ["READY"]]


def test_a_running_job_is_refused(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)

    assert broker.hasten(["a"]) == ["RUNNING"]


@pytest.mark.parametrize("state", [State.SUCCESSFUL, State.FAILED, State.CANCELLED])
def test_an_ended_job_is_refused(broker: RedisBroker, state: State) -> None:
    run(broker, "a", state)

    assert broker.hasten(["a"]) == ["ENDED"]
    assert order(broker) == []


def test_a_job_that_is_not_here_is_gone(broker: RedisBroker) -> None:
    assert broker.hasten(["a"]) == ["GONE"]


def test_each_job_gets_its_own_answer_in_order(broker: RedisBroker) -> None:
    broker.enqueue([job("a"), job("b", run_after=far_future())])

    assert broker.hasten(["gone", "b", "a"]) == ["GONE", "OK", "READY"]


def test_hastening_marks_the_job_and_wakes_a_worker(broker: RedisBroker) -> None:
    listener = Listener(broker, [], "all", longest=1.0)
    broker.enqueue([job("a", run_after=far_future())])
    woken(listener)
    before = marked(broker)["a"]

    broker.hasten(["a"])

    assert marked(broker)["a"] > before
    assert woken(listener)
    assert ids_of(claim(broker)) == ["a"]
    listener.close()


def test_a_due_job_is_not_promoted_a_second_time(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])
    make_due(broker, "a")
    broker.hasten(["a"])

    assert broker.tick(0).promoted == 0
    assert order(broker) == ["a"]


def test_a_parked_job_is_new_to_whoever_takes_it_next(broker: RedisBroker) -> None:
    run(broker, "a", State.BLOCKED, refund=True, reason="unknown task")
    assert record(broker, "a").first_started is not None
    broker.hasten(["a"])

    assert record(broker, "a").first_started is None
    (lease,) = claim(broker)
    assert lease.first_started == record(broker, "a").started
