"""Un-mark mirrored jobs."""

from __future__ import annotations

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.broker.sent import Restored
from django_backie.core.states import State

from .support import HOUR, claim, end, job, jobs, make_due, marked, order, record, run


def mirror(broker: RedisBroker) -> list[str]:
    """Un-mark everything that changed."""
    return broker.done(marked(broker))


@pytest.mark.parametrize("state", [State.SUCCESSFUL, State.FAILED, State.CANCELLED])
def test_what_has_ended_leaves_redis(broker: RedisBroker, state: State) -> None:
    run(broker, "a", state)

    assert mirror(broker) == []
    assert broker.inspect(["a"]) == {}
    assert marked(broker) == {}


def test_the_last_hundred_thousand_that_failed_are_remembered(broker: RedisBroker) -> None:
    # fakeredis takes a minute to read so long a command.
    for start in range(0, 99_999, 1000):
        part = range(start, min(start + 1000, 99_999))
        broker.client.zadd(broker.keys["g"], {f"old-{number:06}": number for number in part})
    for job_id in "ab":
        run(broker, job_id, State.FAILED)
    mirror(broker)

    assert broker.client.zcard(broker.keys["g"]) == 100_000
    assert broker.client.zrange(broker.keys["g"], 0, 0) == ["old-000001"]
    assert broker.enqueue(jobs("ab")) == [False, False]


@pytest.mark.parametrize("state", [State.READY, State.SCHEDULED, State.RETRYABLE, State.BLOCKED])
def test_what_has_not_ended_stays(broker: RedisBroker, state: State) -> None:
    run(broker, "a", state, delay=HOUR)
    before = record(broker, "a")
    mirror(broker)

    assert marked(broker) == {}
    assert record(broker, "a") == before


def test_a_job_that_was_never_tried_stays(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    mirror(broker)

    assert marked(broker) == {}
    assert order(broker) == ["a"]


def test_a_running_job_stays(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    mirror(broker)

    assert end(broker, lease) == "OK"


def test_a_job_that_changed_meanwhile_stays_marked(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    seen = marked(broker)
    end(broker, lease)
    newest = marked(broker)

    broker.done(seen)

    assert marked(broker) == newest != seen
    assert record(broker, "a").state is State.SUCCESSFUL


def test_a_version_that_never_was_un_marks_nothing(broker: RedisBroker) -> None:
    run(broker, "a")
    versions = marked(broker)

    broker.done({job_id: version + 1 for job_id, version in versions.items()})

    assert marked(broker) == versions


def test_only_the_named_jobs_are_un_marked(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    versions = marked(broker)
    broker.done({"a": versions["a"]})

    assert marked(broker).keys() == {"b"}


def test_un_marking_twice_is_no_error(broker: RedisBroker) -> None:
    run(broker, "a")
    versions = marked(broker)
    broker.done(versions)

    assert broker.done(versions) == []


def test_a_retry_that_was_mirrored_still_comes_back(broker: RedisBroker) -> None:
    run(broker, "a", State.RETRYABLE, delay=HOUR)
    mirror(broker)
    make_due(broker, "a")

    assert order(broker) == ["a"]


def test_jobs_erased_since_they_were_taken_are_named(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    versions = marked(broker)
    broker.erase(["a"])

    assert broker.done(versions) == ["a"]


def test_a_row_brings_back_what_half_of_a_script_has_left_without_its_body(broker: RedisBroker) -> None:
    """A duplicate's record is written before its body; the mirror writes no row of what has none."""
    broker.enqueue([job("a", unique="e1"), job("b", unique="e1")])
    broker.client.hdel(broker.keys["b"], "b")
    row = Restored("b", job("b", unique="e1").body, version=1)
    assert mirror(broker) == []

    assert broker.restore([row]) != [0]
    assert record(broker, "b").state is State.CANCELLED


def test_nothing_to_un_mark_is_no_error(broker: RedisBroker) -> None:
    assert broker.done({}) == []


def test_a_large_batch_is_un_marked_in_one_call(broker: RedisBroker) -> None:
    broker.enqueue(jobs(map(str, range(1000))))
    mirror(broker)

    assert marked(broker) == {}
