"""A unique key has one live job, and is never stuck."""

from __future__ import annotations

from typing import Any

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Arrival, Duplicate, Ending
from django_backie.broker.sent import Restored
from django_backie.core.states import State

from .support import (
    HOUR,
    NOTE,
    WORKER,
    claim,
    end,
    far_future,
    far_version,
    ids_of,
    job,
    lapse,
    make_due,
    marked,
    now_ms,
    order,
    record,
    without_mirror,
)

KEY, START_KEY = "e1", "s1"
ADDED = [Arrival.ADDED]


def enqueue(broker: RedisBroker, *ids: str, unique: str = KEY, **values: Any) -> list[Any]:
    return broker.enqueue([job(job_id, unique=unique, **values) for job_id in ids])


def finish(broker: RedisBroker, job_id: str, state: State = State.SUCCESSFUL, unique: str = KEY, **values: Any) -> None:
    """Let a worker that tells of its jobs' keys run a job."""
    (lease,) = claim(broker)
    assert lease.id == job_id
    assert broker.turn(WORKER, [Ending(lease.id, lease.token, state, unique=unique, **values)]).answers == ["OK"]


def keys_of(broker: RedisBroker) -> dict[str, str]:
    return dict(broker.client.hgetall(broker.keys["u"]))


def tick(broker: RedisBroker) -> None:
    broker.client.delete(broker.keys["clk"])
    broker.tick()


def test_a_second_job_with_the_key_is_told_of_the_first_and_never_runs(broker: RedisBroker) -> None:
    assert enqueue(broker, "a") == ADDED
    assert enqueue(broker, "b") == [Duplicate("a")]

    assert order(broker) == ["a"]
    assert broker.holders([KEY, "e2"]) == ["a", ""]


def test_of_two_in_one_call_the_first_is_added(broker: RedisBroker) -> None:
    assert enqueue(broker, "a", "b") == [Arrival.ADDED, Duplicate("a")]


def test_a_duplicate_that_comes_twice_in_one_call_is_one(broker: RedisBroker) -> None:
    assert enqueue(broker, "a", "b", "b") == [Arrival.ADDED, Duplicate("a"), Arrival.PRESENT]


def test_a_job_is_no_duplicate_of_what_half_of_its_own_push_has_left(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique="e1|60000")
    broker.client.hdel(broker.keys["b"], "a")

    assert enqueue(broker, "a", unique="e1|60000") == ADDED


def test_a_job_in_the_same_call_without_a_key_goes_its_way(broker: RedisBroker) -> None:
    enqueue(broker, "a")

    assert broker.enqueue([job("x"), job("b", unique=KEY), job("y")]) == [Arrival.ADDED, Duplicate("a"), Arrival.ADDED]
    assert order(broker) == ["a", "x", "y"]


def test_a_duplicate_ends_as_cancelled_and_is_mirrored(broker: RedisBroker) -> None:
    enqueue(broker, "a")
    enqueue(broker, "b", run_after=far_future())
    found = record(broker, "b")

    assert (found.state, found.reason) == (State.CANCELLED, "duplicate of a")
    assert found.finished is not None
    assert marked(broker)["b"] == found.version > 1_000_000_000_000
    assert broker.inspect(["b"])["b"].body == job("b", unique=KEY).body


def test_without_a_mirror_a_duplicate_goes_after_a_time(broker: RedisBroker) -> None:
    enqueue(without_mirror(broker), "a", "b")

    assert set(broker.client.zrange(broker.keys["x"], 0, -1)) == {"b"}


def test_a_push_that_comes_again_changes_nothing(broker: RedisBroker) -> None:
    enqueue(broker, "a", "b")

    assert enqueue(broker, "a", "b") == [Arrival.PRESENT, Arrival.PRESENT]
    assert order(broker) == ["a"]


def test_a_duplicate_that_has_left_redis_is_not_brought_back_by_its_late_push(broker: RedisBroker) -> None:
    enqueue(broker, "a", "b")
    broker.done(marked(broker))
    broker.cancel(["a"])

    assert enqueue(broker, "b") == [Arrival.PRESENT]


def test_a_full_queue_refuses_no_duplicate_and_what_it_refuses_has_no_key(broker: RedisBroker) -> None:
    broker._bounds = '{"*": 1}'
    enqueue(broker, "a")

    assert enqueue(broker, "b") == [Duplicate("a")]
    assert enqueue(broker, "c", unique="e2") == [Arrival.FULL]
    assert broker.holders(["e2"]) == [""]


@pytest.mark.parametrize("state", [State.RETRYABLE, State.SCHEDULED, State.READY, State.BLOCKED])
def test_a_job_that_goes_on_keeps_its_key(broker: RedisBroker, state: State) -> None:
    enqueue(broker, "a")
    finish(broker, "a", state, delay=HOUR)

    assert enqueue(broker, "b") == [Duplicate("a")]


def test_a_running_job_keeps_its_key(broker: RedisBroker) -> None:
    enqueue(broker, "a")
    claim(broker)

    assert enqueue(broker, "b") == [Duplicate("a")]


@pytest.mark.parametrize("state", [State.SUCCESSFUL, State.FAILED, State.CANCELLED])
def test_the_end_frees_the_key(broker: RedisBroker, state: State) -> None:
    enqueue(broker, "a")
    finish(broker, "a", state)

    assert keys_of(broker) == {}
    assert enqueue(broker, "b") == ADDED


def test_a_late_end_takes_the_key_from_nobody(broker: RedisBroker) -> None:
    enqueue(broker, "a")
    (lease,) = claim(broker)
    broker.bury(WORKER)
    broker.cancel(["a"])
    enqueue(broker, "b")
    broker.turn(WORKER, [Ending(lease.id, lease.token, State.SUCCESSFUL, unique=KEY)])

    assert broker.holders([KEY]) == ["b"]


def test_an_end_that_tells_of_no_key_leaves_a_void_one(broker: RedisBroker) -> None:
    """A worker of an earlier release knows of no keys."""
    enqueue(broker, "a")
    finish(broker, "a", unique="")

    assert keys_of(broker) == {KEY: "a"}
    assert broker.holders([KEY]) == [""]
    assert enqueue(broker, "b") == ADDED


def test_a_cancelled_job_gives_its_key_up(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique="e1|60000")
    broker.cancel(["a"])

    assert keys_of(broker) == {}


def test_an_erased_job_gives_its_key_up(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique="e1|60000")
    broker.erase(["a"])

    assert keys_of(broker) == {}


def test_to_stop_a_duplicate_does_not_free_the_key(broker: RedisBroker) -> None:
    enqueue(broker, "a", "b")
    broker.erase(["b"])

    assert broker.holders([KEY]) == ["a"]


def test_a_job_that_has_killed_its_workers_has_no_key(broker: RedisBroker) -> None:
    enqueue(broker, "a")
    for _ in range(3):
        for waiting in broker.client.zrange(broker.keys["s"], 0, -1):
            make_due(broker, waiting)
        claim(broker)
        broker.bury(WORKER, ["a"])

    assert record(broker, "a").state is State.FAILED
    assert enqueue(broker, "b") == ADDED


def test_a_job_that_redis_has_lost_has_no_key(broker: RedisBroker) -> None:
    enqueue(broker, "a")
    broker.drop({"a": far_version(broker)})

    assert enqueue(broker, "b") == ADDED


def test_what_half_of_an_earlier_push_has_left_does_not_stop_a_job(broker: RedisBroker) -> None:
    """Another job had the key then, and only the record of the duplicate was written."""
    enqueue(broker, "a", "b")
    broker.client.hdel(broker.keys["b"], "b")
    finish(broker, "a")

    assert enqueue(broker, "b") == ADDED
    assert order(broker) == ["b"]


def test_whoever_keeps_time_sweeps_void_keys(broker: RedisBroker) -> None:
    enqueue(broker, "a")
    enqueue(broker, "c", unique="e2")
    finish(broker, "a", unique="")
    tick(broker)

    assert keys_of(broker) == {"e2": "c"}


def test_many_void_keys_are_swept_a_part_at_a_time(broker: RedisBroker) -> None:
    client, name = broker.client, broker.keys["u"]
    client.hset(name, mapping={f"e{number:x}": f"gone-{number}" for number in range(1000)})
    enqueue(broker, "a", unique="eabcdef")
    tick(broker)
    assert client.hlen(name) > 500
    assert client.exists(broker.keys["uc"])
    for _ in range(20):
        tick(broker)

    assert keys_of(broker) == {"eabcdef": "a"}


def test_void_keys_are_swept_from_behind_many_that_are_not(broker: RedisBroker) -> None:
    broker.enqueue([job(f"live-{number}", unique=f"e1{number:x}") for number in range(1000)])
    client, name = broker.client, broker.keys["u"]
    client.hset(name, mapping={f"e2{number:x}": f"gone-{number}" for number in range(100)})
    for _ in range(20):
        tick(broker)

    assert client.hlen(name) == 1000


def test_the_place_in_the_sweep_is_forgotten_at_its_end(broker: RedisBroker) -> None:
    enqueue(broker, "a")
    tick(broker)

    assert not broker.client.exists(broker.keys["uc"])


# Until the start.


def test_a_key_until_the_start_is_free_from_the_claim_on(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=START_KEY)
    assert enqueue(broker, "b", unique=START_KEY) == [Duplicate("a")]
    claim(broker)

    assert enqueue(broker, "c", unique=START_KEY) == ADDED
    assert enqueue(broker, "d", unique=START_KEY) == [Duplicate("c")]


def test_the_end_of_the_started_job_leaves_the_key_to_the_next(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=START_KEY)
    (lease,) = claim(broker)
    enqueue(broker, "b", unique=START_KEY)
    broker.turn(WORKER, [Ending("a", lease.token, State.RETRYABLE, delay=HOUR)])
    broker.cancel(["a"])

    assert broker.holders([START_KEY]) == ["b"]


def test_a_started_job_that_waits_again_has_no_key(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=START_KEY)
    finish(broker, "a", State.READY, unique="", refund=True)

    assert enqueue(broker, "b", unique=START_KEY) == ADDED


# A window.


def test_a_key_stands_for_its_window_though_the_job_ends(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique="e1|60000")
    finish(broker, "a")
    broker.done(marked(broker))
    tick(broker)

    assert enqueue(broker, "b", unique="e1|60000") == [Duplicate("a")]


def test_a_window_ends_when_its_time_has_passed(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique="e1|60000")
    finish(broker, "a")
    held, until = keys_of(broker)[KEY].split("|")
    assert (held, abs(int(until) - now_ms(broker) - 60_000) < 10_000) == ("a", True)
    broker.client.hset(broker.keys["u"], KEY, f"a|{now_ms(broker) - 1}")

    assert enqueue(broker, "b", unique="e1|60000") == ADDED


def test_a_job_that_outlives_its_window_keeps_its_key(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique="e1|1")
    broker.client.hset(broker.keys["u"], KEY, "a|1")

    assert enqueue(broker, "b") == [Duplicate("a")]


# After a loss.


def restored(*ids: str, unique: str = KEY, **values: Any) -> list[Restored]:
    return [Restored(job_id, job(job_id, unique=unique).body, **values) for job_id in ids]


def test_a_job_that_is_brought_back_has_its_key_again(broker: RedisBroker) -> None:
    broker.restore(restored("a"))

    assert enqueue(broker, "b") == [Duplicate("a")]


def test_of_two_that_are_brought_back_the_first_has_the_key(broker: RedisBroker) -> None:
    versions = broker.restore([*restored("a"), *restored("b", due=far_future())])

    assert all(version > 0 for version in versions)
    assert record(broker, "b").reason == "duplicate of a"
    assert (record(broker, "b").state, record(broker, "b").due) == (State.CANCELLED, None)
    assert marked(broker)["b"] == versions[1]
    assert broker.holders([KEY]) == ["a"]
    assert order(broker) == ["a"]


def test_without_a_mirror_what_is_brought_back_as_a_duplicate_goes_after_a_time(broker: RedisBroker) -> None:
    without_mirror(broker).restore(restored("a", "b"))

    assert set(broker.client.zrange(broker.keys["x"], 0, -1)) == {"b"}


def test_a_job_that_is_brought_back_into_its_own_window_runs(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique="e1|60000")
    broker.drop({"a": far_version(broker)})
    broker.restore(restored("a", unique="e1|60000"))

    assert order(broker) == ["a"]
    assert keys_of(broker) == {KEY: "a"}


def test_a_person_cannot_revive_a_job_while_another_has_its_key(broker: RedisBroker) -> None:
    enqueue(broker, "a", "b")
    before = record(broker, "b")

    assert broker.restore(restored("b", version=far_version(broker)), revive=True) == [-1]
    assert record(broker, "b") == before


def test_a_person_revives_a_job_whose_key_is_free_and_it_has_it_again(broker: RedisBroker) -> None:
    enqueue(broker, "a")
    finish(broker, "a", State.FAILED, note=NOTE)
    (version,) = broker.restore(restored("a", version=far_version(broker)), revive=True)

    assert version > 0
    assert enqueue(broker, "b") == [Duplicate("a")]


def test_what_was_started_before_the_loss_is_in_nobodys_way(broker: RedisBroker) -> None:
    broker.restore(restored("a", unique=START_KEY, attempt=1))
    assert keys_of(broker) == {}
    assert enqueue(broker, "b", unique=START_KEY) == ADDED
    broker.restore(restored("c", unique=START_KEY, attempt=1))

    assert sorted(order(broker)) == ["a", "b", "c"]


def test_a_worker_that_dies_leaves_its_jobs_their_keys(broker: RedisBroker) -> None:
    enqueue(broker, "a")
    claim(broker)
    lapse(broker)
    tick(broker)
    broker.bury(WORKER)

    assert enqueue(broker, "b") == [Duplicate("a")]
    assert ids_of(claim(broker, worker="another")) == ["a"]


@pytest.mark.parametrize(
    "envelope",
    ['{"t":"a","u":"e1"}', '{"u":"x1"}', '{"u":"e"}', '{"u":"e1?"}', '{"k":{"u":"e1"}}', '[{"u":"e1"}]', "{}"],
)
def test_only_what_opens_the_envelope_is_a_key(broker: RedisBroker, envelope: str) -> None:
    broker.enqueue([job("a", envelope=envelope)._replace(unique="1")])

    assert keys_of(broker) == {}
    assert end(broker, *claim(broker)) == "OK"


# A later call in the place of an earlier one.

REPLACE = "e1|r"


def test_a_later_job_takes_the_place_of_one_that_waits(broker: RedisBroker) -> None:
    assert enqueue(broker, "a", unique=REPLACE) == ADDED
    assert enqueue(broker, "b", unique=REPLACE) == ADDED
    found = record(broker, "a")

    assert (found.state, found.reason) == (State.CANCELLED, "replaced by b")
    assert found.finished is not None
    assert marked(broker)["a"] == found.version > 1_000_000_000_000
    assert keys_of(broker) == {KEY: "b"}
    assert order(broker) == ["b"]


def test_the_last_of_one_push_is_the_one_that_runs(broker: RedisBroker) -> None:
    assert enqueue(broker, "a", "b", "c", unique=REPLACE) == [Arrival.ADDED] * 3

    assert [record(broker, name).reason for name in "ab"] == ["replaced by b", "replaced by c"]
    assert marked(broker)["a"] == record(broker, "a").version
    assert broker.client.zrange(broker.keys.queue("default"), 0, -1) == ["c"]
    assert order(broker) == ["c"]


def test_a_scheduled_job_is_replaced_and_never_becomes_due(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=REPLACE, run_after=far_future())
    enqueue(broker, "b", unique=REPLACE)

    assert not broker.client.exists(broker.keys["s"])
    assert order(broker) == ["b"]


def test_a_scheduled_job_of_the_same_push_is_replaced(broker: RedisBroker) -> None:
    enqueue(broker, "a", "b", unique=REPLACE, run_after=far_future())

    assert broker.client.zrange(broker.keys["s"], 0, -1) == ["b"]


def test_a_running_job_turns_the_later_one_away(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=REPLACE)
    claim(broker)

    assert enqueue(broker, "b", unique=REPLACE) == [Duplicate("a")]
    assert record(broker, "a").state is State.RUNNING


def test_a_job_that_waits_for_its_next_attempt_turns_the_later_one_away(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=REPLACE)
    finish(broker, "a", State.RETRYABLE, unique="", delay=HOUR)

    assert enqueue(broker, "b", unique=REPLACE) == [Duplicate("a")]


def test_a_job_that_was_handed_back_turns_the_later_one_away(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=REPLACE)
    finish(broker, "a", State.READY, unique="", refund=True)

    assert enqueue(broker, "b", unique=REPLACE) == [Duplicate("a")]


def test_a_blocked_job_is_replaced(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=REPLACE)
    finish(broker, "a", State.BLOCKED, unique="", refund=True)

    assert enqueue(broker, "b", unique=REPLACE) == ADDED
    assert order(broker) == ["b"]


def test_what_has_ended_is_not_replaced_though_half_of_a_script_has_left_its_key(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique="e1|60000|r")
    kept = broker.client.hget(broker.keys["u"], "e1")
    broker.cancel(["a"], "enough")
    broker.client.hset(broker.keys["u"], "e1", kept)

    assert enqueue(broker, "b", unique="e1|60000|r") == [Duplicate("a")]
    assert record(broker, "a").reason == "enough"


def test_with_a_key_until_the_start_the_later_job_waits_behind_the_running_one(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique="s1|r")
    claim(broker)

    assert enqueue(broker, "b", unique="s1|r") == ADDED
    assert enqueue(broker, "c", unique="s1|r") == ADDED
    assert order(broker) == ["c"]


def test_what_is_pushed_late_does_not_replace_what_was_called_since(broker: RedisBroker) -> None:
    enqueue(broker, "b", unique=REPLACE)

    assert enqueue(broker, "a", unique=REPLACE) == [Duplicate("b")]
    assert order(broker) == ["b"]


def test_of_two_of_one_millisecond_the_one_that_is_pushed_later_counts(broker: RedisBroker) -> None:
    """Ids open with their time; what follows is random."""
    enqueue(broker, "0192f0c1-2d3e-7fff", unique=REPLACE)

    assert enqueue(broker, "0192f0c1-2d3e-7000", unique=REPLACE) == ADDED


def test_a_replacement_that_comes_again_changes_nothing(broker: RedisBroker) -> None:
    enqueue(broker, "a", "b", unique=REPLACE)

    assert enqueue(broker, "a", "b", unique=REPLACE) == [Arrival.PRESENT, Arrival.PRESENT]
    assert order(broker) == ["b"]


def test_a_full_queue_has_room_for_what_replaces_one_of_its_jobs(broker: RedisBroker) -> None:
    broker._bounds = '{"default": 1}'

    assert enqueue(broker, "a", unique=REPLACE) == ADDED
    assert enqueue(broker, "b", "c", unique=REPLACE) == [Arrival.ADDED] * 2
    assert order(broker) == ["c"]


@pytest.mark.parametrize("first", [{"queue": "mail"}, {"run_after": far_future()}])
def test_a_replacement_that_finds_its_queue_full_leaves_the_former_job(broker: RedisBroker, first: Any) -> None:
    broker._bounds = '{"default": 1}'
    broker.enqueue([job("x")])
    enqueue(broker, "a", unique=REPLACE, **first)

    assert enqueue(broker, "b", unique=REPLACE) == [Arrival.FULL]
    assert broker.holders([KEY]) == ["a"]


def test_without_a_mirror_a_replaced_job_goes_after_a_time(broker: RedisBroker) -> None:
    enqueue(without_mirror(broker), "a", "b", unique=REPLACE)

    assert set(broker.client.zrange(broker.keys["x"], 0, -1)) == {"a"}


def test_a_job_in_another_queue_is_replaced(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=REPLACE, queue="mail")
    enqueue(broker, "b", unique=REPLACE)

    assert order(broker) == ["b"]


def test_a_job_of_another_queue_in_the_same_push_is_replaced(broker: RedisBroker) -> None:
    broker.enqueue([job("a", queue="mail", unique=REPLACE), job("b", unique=REPLACE), job("c", queue="mail")])

    assert sorted(order(broker)) == ["b", "c"]


# A later call moves the earlier one's job.

EXTEND = "e1|x"


def later(milliseconds: int, broker: RedisBroker) -> float:
    return (now_ms(broker) + milliseconds) / 1000


def test_a_later_call_moves_a_job_that_waits_for_its_time(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=EXTEND, run_after=later(60_000, broker))
    due = later(90_000, broker)
    assert enqueue(broker, "b", unique=EXTEND, run_after=due) == [Duplicate("a")]
    found = record(broker, "a")

    assert broker.client.zrange(broker.keys["s"], 0, -1, withscores=True) == [("a", round(due * 1000))]
    assert (found.state, found.due, found.reason) == (State.SCHEDULED, pytest.approx(due), "moved by b")
    assert marked(broker)["a"] == found.version
    assert record(broker, "b").reason == "duplicate of a"


def test_a_job_that_is_moved_forward_is_told_to_those_who_wait(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=EXTEND, run_after=far_future())
    broker.client.delete(broker.keys["k"], broker.keys["k:default"])
    enqueue(broker, "b", unique=EXTEND, run_after=1)

    assert broker.client.exists(broker.keys["k"], broker.keys["k:default"]) == 2
    tick(broker)
    assert (order(broker), record(broker, "a").reason) == (["a"], "")


def test_within_one_push_the_last_time_counts(broker: RedisBroker) -> None:
    due = [later(milliseconds, broker) for milliseconds in (60_000, 90_000, 80_000)]
    broker.enqueue([job(name, unique=EXTEND, run_after=at) for name, at in zip("abc", due, strict=True)])

    assert broker.client.zscore(broker.keys["s"], "a") == round(due[2] * 1000)
    assert marked(broker)["a"] == record(broker, "a").version


def test_a_call_without_a_time_moves_nothing(broker: RedisBroker) -> None:
    due = later(60_000, broker)
    enqueue(broker, "a", unique=EXTEND, run_after=due)

    assert enqueue(broker, "b", unique=EXTEND) == [Duplicate("a")]
    assert broker.client.zscore(broker.keys["s"], "a") == round(due * 1000)


@pytest.mark.parametrize("other", [KEY, REPLACE])
def test_a_call_by_other_rules_moves_nothing(broker: RedisBroker, other: str) -> None:
    due = later(60_000, broker)
    enqueue(broker, "b", unique=EXTEND, run_after=due)

    assert enqueue(broker, "a", unique=other, run_after=far_future()) == [Duplicate("b")]
    assert broker.client.zscore(broker.keys["s"], "b") == round(due * 1000)


def test_a_job_that_is_ready_stays_ready(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=EXTEND)

    assert enqueue(broker, "b", unique=EXTEND, run_after=far_future()) == [Duplicate("a")]
    assert order(broker) == ["a"]


def test_the_pause_before_a_next_attempt_is_not_the_callers(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=EXTEND)
    finish(broker, "a", State.RETRYABLE, unique="", delay=HOUR)
    before = record(broker, "a")

    assert enqueue(broker, "b", unique=EXTEND, run_after=far_future()) == [Duplicate("a")]
    assert record(broker, "a") == before


def test_a_job_that_stands_aside_keeps_its_place(broker: RedisBroker) -> None:
    """Its worker has a dangerous job already; that it waits for a second is nobody's wish."""
    enqueue(broker, "a", unique=EXTEND, run_after=later(60_000, broker))
    broker.client.hset(broker.keys["f"], "a", "5|default")
    before = broker.client.zscore(broker.keys["s"], "a")

    assert enqueue(broker, "b", unique=EXTEND, run_after=far_future()) == [Duplicate("a")]
    assert broker.client.zscore(broker.keys["s"], "a") == before


def test_what_is_pushed_late_does_not_move_what_was_moved_since(broker: RedisBroker) -> None:
    due = later(60_000, broker)
    enqueue(broker, "b", unique=EXTEND, run_after=due)
    enqueue(broker, "a", unique=EXTEND, run_after=far_future())
    assert broker.client.zscore(broker.keys["s"], "b") == round(due * 1000)

    enqueue(broker, "d", unique=EXTEND, run_after=due + 1)
    enqueue(broker, "c", unique=EXTEND, run_after=far_future())
    assert broker.client.zscore(broker.keys["s"], "b") == round((due + 1) * 1000)


def test_a_moved_job_runs_once(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique=EXTEND, run_after=far_future())
    enqueue(broker, "b", unique=EXTEND, run_after=far_future())
    make_due(broker, "a")
    tick(broker)
    finish(broker, "a")

    assert keys_of(broker) == {}
    assert order(broker) == []


def test_a_released_job_that_was_unique_until_its_start_does_not_have_its_key_again(broker: RedisBroker) -> None:
    enqueue(broker, "a", unique="s1")
    finish(broker, "a", State.BLOCKED, unique="", refund=True)
    assert enqueue(broker, "b", unique="s1") == ADDED
    broker.hasten(["a"])

    assert record(broker, "a").first_started is not None
    assert record(broker, "b").first_started is None
    assert enqueue(broker, "c", unique="s1") == [Duplicate("b")]
    assert order(broker) == ["b", "a"]
