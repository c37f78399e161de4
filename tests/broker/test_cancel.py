"""Cancel waiting jobs."""

from __future__ import annotations

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State

from .support import (
    HOUR,
    claim,
    end,
    far_future,
    job,
    jobs,
    make_due,
    marked,
    now_ms,
    order,
    record,
    run,
    without_mirror,
)


def test_a_ready_job_is_cancelled_with_the_reason(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    before = now_ms(broker)

    assert broker.cancel(["a"], "not wanted") == ["OK"]

    found = record(broker, "a")
    assert (found.state, found.reason) == (State.CANCELLED, "not wanted")
    assert (found.finished or 0) * 1000 >= before
    assert order(broker) == ["b"]


def test_a_scheduled_job_never_becomes_due(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])

    assert broker.cancel(["a"]) == ["OK"]
    assert broker.client.zcard(broker.keys["s"]) == 0
    assert record(broker, "a").due is None


@pytest.mark.parametrize(
    ("state", "refund"),
    [(State.RETRYABLE, False), (State.SCHEDULED, True), (State.READY, True), (State.BLOCKED, True)],
)
def test_a_job_that_came_back_is_cancelled(broker: RedisBroker, state: State, refund: bool) -> None:
    run(broker, "a", state, refund=refund, delay=HOUR)

    assert broker.cancel(["a"]) == ["OK"]
    assert record(broker, "a").state is State.CANCELLED
    assert broker.client.exists(broker.keys["s"], broker.keys["f"]) == 0
    assert order(broker) == []


def test_a_running_job_is_refused(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)

    assert broker.cancel(["a"]) == ["RUNNING"]
    assert end(broker, lease) == "OK"


@pytest.mark.parametrize("state", [State.SUCCESSFUL, State.FAILED, State.CANCELLED])
def test_an_ended_job_is_refused(broker: RedisBroker, state: State) -> None:
    run(broker, "a", state)

    assert broker.cancel(["a"], "too late") == ["ENDED"]
    assert record(broker, "a").reason == ""


def test_a_job_that_is_not_here_is_gone(broker: RedisBroker) -> None:
    assert broker.cancel(["a"]) == ["GONE"]
    assert broker.inspect(["a"]) == {}


def test_cancelling_twice_is_told_and_changes_nothing(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.cancel(["a"], "first")
    before = record(broker, "a")

    assert broker.cancel(["a"], "second") == ["ENDED"]
    assert record(broker, "a") == before


def test_each_job_gets_its_own_answer_in_order(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    claim(broker)

    assert broker.cancel(["gone", "c", "a", "b"]) == ["GONE", "OK", "RUNNING", "OK"]


def test_a_reason_with_separators_does_not_break_the_record(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.cancel(["a"], "a|b\nc" + "x" * 500)

    assert record(broker, "a").reason == ("a/b c" + "x" * 500)[:200]


def test_cancelling_marks_the_job_with_a_later_version(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    before = marked(broker)["a"]
    broker.cancel(["a"])

    assert marked(broker)["a"] > before


def test_without_a_mirror_a_cancelled_job_expires(broker: RedisBroker) -> None:
    broker = without_mirror(broker)
    broker.enqueue([job("a")])
    broker.cancel(["a"])

    assert broker.client.zscore(broker.keys["x"], "a") - now_ms(broker) == pytest.approx(30 * 86_400_000, abs=5000)


def test_a_cancelled_job_is_not_promoted(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab", run_after=far_future()))
    broker.cancel(["a"])
    make_due(broker, "b")

    assert order(broker) == ["b"]
