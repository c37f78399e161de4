"""Versions above those of the rows, though the clock has gone back."""

from __future__ import annotations

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State

from .support import claim, end, far_future, job, make_due, marked, now_ms, order, record, run

HOUR_MS = 3_600_000


def test_a_job_that_is_behind_is_marked_with_a_version_above_the_rows(broker: RedisBroker) -> None:
    run(broker, "a", State.FAILED)
    ahead = now_ms(broker) + HOUR_MS

    assert broker.lift({"a": ahead}) == 1
    assert marked(broker)["a"] == record(broker, "a").version == ahead + 1
    assert record(broker, "a").state is State.FAILED


def test_a_job_that_was_never_tried_stays_ready(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.lift({"a": now_ms(broker) + HOUR_MS})

    assert record(broker, "a").state is State.READY
    assert order(broker) == ["a"]


def test_a_job_that_was_never_tried_stays_scheduled(broker: RedisBroker) -> None:
    due = far_future()
    broker.enqueue([job("a", run_after=due)])
    broker.lift({"a": now_ms(broker) + HOUR_MS})

    found = record(broker, "a")
    assert (found.state, found.due) == (State.SCHEDULED, pytest.approx(due, abs=0.001))
    assert order(broker) == []
    make_due(broker, "a")
    assert order(broker) == ["a"]


def test_an_attempt_that_runs_may_end(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    broker.lift({"a": now_ms(broker) + HOUR_MS})

    assert end(broker, lease) == "OK"
    assert record(broker, "a").version > now_ms(broker) + HOUR_MS - 60_000


def test_a_job_that_is_newer_than_its_row_is_left_alone(broker: RedisBroker) -> None:
    run(broker, "a", State.FAILED)
    before = record(broker, "a").version

    assert broker.lift({"a": before - 1}) == 0
    assert record(broker, "a").version == before


def test_a_job_that_is_not_here_is_not_made(broker: RedisBroker) -> None:
    assert broker.lift({"a": 5}) == 0
    assert broker.client.exists(broker.keys["h"], broker.keys["d"]) == 0


def test_nothing_to_lift_asks_nobody(broker: RedisBroker) -> None:
    assert broker.lift({}) == 0
