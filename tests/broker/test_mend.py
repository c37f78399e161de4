"""Put right what half of a script has left; what each half can be is tried in ``test_half_scripts.py``."""

from __future__ import annotations

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State

from .support import (
    HOUR,
    NOTE,
    WORKER,
    claim,
    end,
    far_future,
    ids_of,
    job,
    jobs,
    lose,
    make_due,
    marked,
    now_ms,
    order,
    record,
    run,
    vanish,
    without_mirror,
)


def test_what_is_in_its_place_is_left_alone(broker: RedisBroker) -> None:
    for state in (State.RETRYABLE, State.SCHEDULED, State.BLOCKED, State.SUCCESSFUL):
        run(broker, state, state, delay=HOUR, refund=state in {State.SCHEDULED, State.BLOCKED})
    broker.enqueue([*jobs("ab"), job("later", run_after=far_future())])
    claim(broker)
    before, marks = broker.inspect([*State, "a", "b", "later"]), marked(broker)

    assert broker.mend([*before]) == 0
    assert broker.inspect([*before]) == before
    assert marked(broker) == marks


def test_a_job_in_no_queue_is_ready_again(broker: RedisBroker) -> None:
    broker.enqueue([job("a", queue="mail")])
    before = marked(broker)["a"]
    broker.client.zrem(broker.keys.queue("mail"), "a")

    assert broker.mend(["a"]) == 1
    assert marked(broker)["a"] > before
    assert order(broker) == ["a"]


def test_a_job_that_forgot_its_time_waits_for_it(broker: RedisBroker) -> None:
    run(broker, "a", State.RETRYABLE, delay=HOUR)
    due = broker.client.zscore(broker.keys["s"], "a")
    broker.client.zrem(broker.keys["s"], "a")

    assert broker.mend(["a"]) == 1
    assert broker.client.zscore(broker.keys["s"], "a") == due


def test_a_job_that_nobody_holds_is_given_back_free_of_charge(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    broker.client.hdel(broker.keys.held(WORKER), "a")

    assert broker.mend(["a"]) == 1
    assert (record(broker, "a").state, record(broker, "a").attempt) == (State.READY, 0)
    assert order(broker) == ["a"]


def test_a_job_that_nobody_holds_is_charged_if_it_is_lost_once_more(broker: RedisBroker) -> None:
    """Nobody knows whether it had begun."""
    broker.enqueue([job("a")])
    claim(broker)
    broker.client.hdel(broker.keys.held(WORKER), "a")
    broker.mend(["a"])
    claim(broker)
    vanish(broker)

    assert record(broker, "a").crashes == 1


def test_a_job_that_is_ready_and_waits_too_is_ready(broker: RedisBroker) -> None:
    broker.enqueue(jobs("a"))
    broker.client.zadd(broker.keys["s"], {"a": 1})

    assert broker.mend(["a"]) == 1
    assert not broker.client.exists(broker.keys["s"])
    assert order(broker) == ["a"]


def test_a_job_whose_worker_is_struck_off_is_given_back(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    broker.client.zrem(broker.keys["w"], WORKER)

    assert broker.mend(["a"]) == 1
    assert not broker.client.exists(broker.keys.held(WORKER))
    assert ids_of(claim(broker)) == ["a"]
    assert end(broker, lease) == "STALE"


def test_a_job_that_waits_where_it_was_put_keeps_waiting_there(broker: RedisBroker) -> None:
    """The attempt had ended and was to be tried again later; only that the worker holds it no more is known of it."""
    broker.enqueue([job("a")])
    claim(broker)
    broker.client.hdel(broker.keys.held(WORKER), "a")
    due = far_future() * 1000
    broker.client.zadd(broker.keys["s"], {"a": due})

    assert broker.mend(["a"]) == 1
    assert broker.client.zscore(broker.keys["s"], "a") == due
    assert order(broker) == []


@pytest.mark.parametrize("key", ["s", "q:default"])
def test_a_job_that_runs_is_nowhere_else(broker: RedisBroker, key: str) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    broker.client.zadd(broker.keys[key], {"a": 1})

    assert broker.mend(["a"]) == 1
    assert not broker.client.exists(broker.keys[key])
    assert order(broker) == []
    assert end(broker, lease) == "OK"


@pytest.mark.parametrize("state", [State.BLOCKED, State.SUCCESSFUL, State.FAILED, State.CANCELLED])
@pytest.mark.parametrize("key", ["s", "q:default"])
def test_a_job_that_has_ended_or_is_parked_is_not_run(broker: RedisBroker, state: State, key: str) -> None:
    run(broker, "a", state, refund=state is State.BLOCKED, note=NOTE)
    broker.client.zadd(broker.keys[key], {"a": 1})

    assert broker.mend(["a"]) == 1
    assert not broker.client.exists(broker.keys[key])
    assert record(broker, "a").state is state


@pytest.mark.parametrize("waits", [True, False])
def test_a_job_that_was_promoted_is_ready_and_waits_no_more(broker: RedisBroker, waits: bool) -> None:
    run(broker, "a", State.RETRYABLE, delay=HOUR)
    broker.client.zadd(broker.keys.queue("default"), {"a": 1})
    if not waits:
        broker.client.zrem(broker.keys["s"], "a")

    assert broker.mend(["a"]) == 1
    assert (record(broker, "a").state, record(broker, "a").due) == (State.READY, None)
    assert not broker.client.exists(broker.keys["s"])
    assert order(broker) == ["a"]


def test_a_change_that_was_not_marked_is_mirrored(broker: RedisBroker) -> None:
    run(broker, "a")
    version = marked(broker)["a"]
    broker.client.delete(broker.keys["d"])

    assert broker.mend(["a"]) == 0
    assert marked(broker) == {"a": version}


def test_a_new_job_that_is_mirrored_is_not_mirrored_again(broker: RedisBroker) -> None:
    """Where a million wait, that would be a million rows."""
    broker.enqueue([job("a")])
    broker.done(marked(broker))

    assert broker.mend(["a"]) == 0
    assert marked(broker) == {}


def test_an_ended_job_of_a_namespace_without_a_mirror_expires(broker: RedisBroker) -> None:
    unmirrored = without_mirror(broker)
    run(unmirrored, "a")
    end_of_life = broker.client.zscore(broker.keys["x"], "a")

    unmirrored.mend(["a"])
    assert broker.client.zscore(broker.keys["x"], "a") == end_of_life

    broker.client.delete(broker.keys["x"])
    unmirrored.mend(["a"])
    assert broker.client.zscore(broker.keys["x"], "a") >= end_of_life


def test_a_job_that_is_not_here_is_nobodys_concern(broker: RedisBroker) -> None:
    broker.client.zadd(broker.keys.queue("default"), {"gone": 1})

    assert broker.mend(["gone"]) == 0
    assert broker.mend([]) == 0


@pytest.mark.parametrize("key", ["s", "q:default"])
def test_a_running_job_that_is_found_elsewhere_too_goes_on_where_it_runs(broker: RedisBroker, key: str) -> None:
    """Before anybody has mended it."""
    broker.enqueue([job("a")])
    (first,) = claim(broker, worker="first")
    broker.client.zadd(broker.keys[key], {"a": 1})

    assert claim(broker, worker="second") == []
    assert record(broker, "a").state is State.RUNNING
    assert end(broker, first, worker="first") == "OK"


@pytest.mark.parametrize("state", [State.BLOCKED, State.SUCCESSFUL, State.FAILED, State.CANCELLED])
@pytest.mark.parametrize("key", ["s", "q:default"])
def test_what_has_ended_or_is_parked_is_not_claimed(broker: RedisBroker, state: State, key: str) -> None:
    """Before anybody has mended it."""
    run(broker, "a", state, refund=state is State.BLOCKED, note=NOTE)
    broker.client.zadd(broker.keys[key], {"a": 1})

    assert claim(broker) == []
    assert record(broker, "a").state is state


@pytest.mark.parametrize("state", [State.SUCCESSFUL, State.RETRYABLE, State.READY])
def test_an_attempt_of_another_worker_is_not_ended_by_a_hold(broker: RedisBroker, state: State) -> None:
    broker.enqueue([job("a")])
    (first,) = claim(broker, worker="first")
    hold = broker.client.hgetall(broker.keys.held("first"))
    lose(broker, "first")
    (second,) = claim(broker, worker="second")
    broker.client.hset(broker.keys.held("first"), mapping=hold)

    assert end(broker, first, state, worker="first", delay=HOUR) == "STALE"
    assert broker.held("first") == []
    assert end(broker, second, worker="second") == "OK"


def test_a_hold_whose_job_runs_no_more_is_dropped(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    hold = broker.client.hgetall(broker.keys.held(WORKER))
    end(broker, lease, State.RETRYABLE, delay=HOUR)
    broker.client.hset(broker.keys.held(WORKER), mapping=hold)

    assert end(broker, lease, State.READY, refund=True) == "STALE"
    assert broker.held(WORKER) == []
    make_due(broker, "a")
    assert order(broker) == ["a"]


@pytest.mark.parametrize("is_placed", [True, False])
def test_what_was_asked_to_cancel_and_nobody_holds_ends(broker: RedisBroker, is_placed: bool) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    broker.cancel(["a"], "enough")
    before = now_ms(broker)
    broker.client.delete(broker.keys.held(WORKER))
    if is_placed:
        broker.client.zadd(broker.keys.queue("default"), {"a": 1})
        broker.client.zadd(broker.keys["s"], {"a": 1})
        broker.client.hset(broker.keys["f"], "a", "1|default")

    assert broker.mend(["a"]) == 1
    found = record(broker, "a")
    assert (found.state, found.reason, found.attempt, found.due) == (State.CANCELLED, "enough", 0, None)
    assert (found.finished or 0) * 1000 >= before
    assert broker.client.exists(broker.keys.queue("default"), broker.keys["s"], broker.keys["f"]) == 0
    assert marked(broker)["a"] == found.version


def test_what_was_asked_to_cancel_and_is_held_goes_on(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    broker.cancel(["a"], "enough")

    assert broker.mend(["a"]) == 0
    assert record(broker, "a").is_asked_to_cancel
