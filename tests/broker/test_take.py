"""Show jobs that changed since they were last mirrored."""

from __future__ import annotations

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State

from .support import NOTE, WORKER, claim, end, far_future, job, jobs, record, run


def test_what_has_not_changed_is_not_shown(broker: RedisBroker) -> None:
    assert broker.take(10) == []


def test_a_new_job_is_shown_with_its_body(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])

    (snapshot,) = broker.take(10)

    assert (snapshot.id, snapshot.body, snapshot.record.state) == ("a", job("a").body, State.READY)


def test_a_scheduled_job_is_shown_with_its_time(broker: RedisBroker) -> None:
    when = far_future()
    broker.enqueue([job("a", run_after=when)])

    (snapshot,) = broker.take(10)

    assert (snapshot.record.state, snapshot.record.due) == (State.SCHEDULED, pytest.approx(when, abs=0.001))


def test_an_ended_job_is_shown_with_everything_that_happened(broker: RedisBroker) -> None:
    run(broker, "a", State.FAILED, reason="why", note=NOTE)

    (snapshot,) = broker.take(10)

    assert snapshot.record == record(broker, "a")
    assert (snapshot.version, snapshot.record.worker) == (snapshot.record.version, WORKER)
    assert snapshot.record.attempts[0]["o"] == "failed"


def test_many_changes_of_one_job_are_one_snapshot(broker: RedisBroker) -> None:
    run(broker, "a")

    assert [(snapshot.id, snapshot.record.state) for snapshot in broker.take(10)] == [("a", State.SUCCESSFUL)]


def test_the_longest_waiting_come_first(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    for at, job_id in enumerate("cab"):
        broker.client.zadd(broker.keys["d"], {job_id: at + 1})

    assert [snapshot.id for snapshot in broker.take(2)] == ["c", "a"]


def test_taking_un_marks_nothing(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))

    assert broker.take(10) == broker.take(10) != []


def test_a_job_whose_body_is_gone_is_shown_without(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0])
    broker.client.hdel(broker.keys["b"], "a")

    (snapshot,) = broker.take(10)

    assert (snapshot.body, snapshot.record.state) == ("", State.SUCCESSFUL)
