"""Remove every trace of jobs."""

from __future__ import annotations

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.broker.sent import Restored
from django_backie.core.states import State

from .support import (
    HOUR,
    WORKER,
    claim,
    end,
    far_future,
    far_version,
    job,
    jobs,
    marked,
    now_ms,
    order,
    run,
    without_mirror,
)


def traces(broker: RedisBroker, job_id: str) -> list[str]:
    """Return the keys that still speak of a job, its tombstone apart."""
    found = []
    for key in broker.client.scan_iter(f"{broker.config.namespace}:*", count=1000):
        name = key.removeprefix(broker.keys.prefix)
        kind = broker.client.type(key)
        members = (
            broker.client.hkeys(key) if kind == "hash" else broker.client.zrange(key, 0, -1) if kind == "zset" else []
        )
        if name != "e" and job_id in members:
            found.append(name)
    return found


def test_a_ready_job_leaves_no_trace(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))

    assert broker.erase(["a"]) == 1
    assert traces(broker, "a") == []
    assert order(broker) == ["b"]


def test_a_scheduled_job_leaves_no_trace(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])

    assert broker.erase(["a"]) == 1
    assert traces(broker, "a") == []


@pytest.mark.parametrize("state", list(State)[:3] + list(State)[4:])
def test_a_job_that_was_tried_leaves_no_trace(broker: RedisBroker, state: State) -> None:
    run(broker, "a", state, refund=True, delay=HOUR, note='{"n":1}')

    assert broker.erase(["a"]) == 1
    assert traces(broker, "a") == []


def test_a_running_jobs_result_is_refused(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)

    assert broker.erase(["a"]) == 1
    assert traces(broker, "a") == []
    assert broker.held(WORKER) == []
    assert end(broker, lease) == "STALE"
    assert traces(broker, "a") == []


def test_a_crash_does_not_bring_an_erased_job_back(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    broker.erase(["a"])
    broker.bury(WORKER, ["a"])

    assert traces(broker, "a") == []
    assert order(broker) == []


def test_only_jobs_that_were_here_are_counted(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))

    assert broker.erase(["a", "gone", "b"]) == 2
    assert broker.erase(["a", "b"]) == 0
    assert order(broker) == ["c"]


def test_nothing_to_erase_is_no_error(broker: RedisBroker) -> None:
    assert broker.erase([]) == 0


def test_a_tombstone_stands_for_an_hour(broker: RedisBroker) -> None:
    broker.erase(["a"])

    assert broker.client.zscore(broker.keys["e"], "a") - now_ms(broker) == pytest.approx(HOUR * 1000, abs=1000)


@pytest.mark.parametrize("revive", [False, True])
def test_a_push_that_comes_late_does_not_bring_an_erased_job_back(broker: RedisBroker, revive: bool) -> None:
    broker.enqueue(jobs("ab"))
    broker.erase(["a"])

    assert broker.enqueue(jobs("ca")) == [True, False]
    assert broker.restore([Restored("a", job("a").body, version=far_version(broker))], revive=revive) == [0]
    assert traces(broker, "a") == []
    assert order(broker) == ["b", "c"]


def test_nothing_is_marked_for_the_mirror(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    broker.erase(["a"])

    assert marked(broker).keys() == {"b"}


def test_without_a_mirror_nothing_is_left_to_expire(broker: RedisBroker) -> None:
    broker = without_mirror(broker)
    run(broker, "a")
    broker.erase(["a"])

    assert traces(broker, "a") == []
