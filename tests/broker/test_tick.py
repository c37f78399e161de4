"""Keep time for all."""

from __future__ import annotations

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Ticked
from django_backie.core.job import Packed
from django_backie.core.states import State

from .support import (
    HOUR,
    WORKER,
    claim,
    end,
    far_future,
    job,
    jobs,
    lapse,
    make_due,
    marked,
    now_ms,
    order,
    record,
    without_mirror,
)

NOTHING = Ticked(buried=0, recovered=0, promoted=0)


def last_tick(broker: RedisBroker, seconds_ago: float) -> None:
    """Pretend that the last tick was so long ago (or, below 0, is still to come)."""
    broker.client.set(broker.keys["clk"], now_ms(broker) - round(seconds_ago * 1000))


def test_due_jobs_are_promoted_in_the_order_of_their_times(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc", run_after=far_future()))
    make_due(broker, "b", "a")

    assert broker.tick() == Ticked(buried=0, recovered=0, promoted=2)
    assert record(broker, "b").state is State.READY
    assert record(broker, "c").state is State.SCHEDULED
    assert order(broker) == ["b", "a"]


def test_tombstones_are_cleared_away_in_time(broker: RedisBroker) -> None:
    now = now_ms(broker)
    broker.client.zadd(broker.keys["e"], {"past": now - 1, "future": now + 60_000})
    tombs = {"past": now - 600_001, "recent": now - 590_000, "ahead": now + 590_000, "far ahead": now + 660_000}
    broker.client.zadd(broker.keys["g"], tombs)
    broker.tick()

    assert broker.client.zrange(broker.keys["e"], 0, -1) == ["future"]
    assert broker.client.zrange(broker.keys["g"], 0, -1) == ["recent", "ahead"]


def test_a_million_tombstones_do_not_stop_the_server(broker: RedisBroker) -> None:
    broker.client.zadd(broker.keys["e"], {str(number): 1 for number in range(20_500)})
    broker.tick(0)
    assert broker.client.zcard(broker.keys["e"]) == 500
    broker.tick(0)
    assert broker.client.zcard(broker.keys["e"]) == 0


def test_a_promoted_job_takes_its_place_by_priority(broker: RedisBroker) -> None:
    broker.enqueue([job("high", priority=7, run_after=far_future()), job("normal")])
    make_due(broker, "high")
    broker.tick()

    assert order(broker) == ["high", "normal"]


def test_promotion_marks_the_job_with_a_later_version(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])
    before = marked(broker)["a"]
    make_due(broker, "a")
    broker.tick()

    assert marked(broker)["a"] > before


def test_a_job_without_a_body_is_forgotten_when_due(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab", run_after=far_future()))
    broker.client.hdel(broker.keys["b"], "a")
    make_due(broker, "a", "b")
    broker.tick()

    assert order(broker) == ["b"]
    assert broker.client.zcard(broker.keys["s"]) == 0


def test_a_second_tick_within_the_interval_does_nothing(broker: RedisBroker) -> None:
    broker.tick()
    broker.enqueue([job("a", run_after=far_future())])
    make_due(broker, "a")

    assert broker.tick(interval=60) == NOTHING
    assert record(broker, "a").state is State.SCHEDULED


def test_the_first_tick_after_the_interval_works(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])
    make_due(broker, "a")
    last_tick(broker, seconds_ago=1)

    assert broker.tick(interval=0.9).promoted == 1
    assert broker.tick(interval=0.9) == NOTHING


def test_jobs_of_a_worker_whose_lease_has_lapsed_are_taken_back(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    claim(broker, 2, worker="dead")
    claim(broker, 1, worker="alive")
    lapse(broker, "dead")

    assert broker.tick() == Ticked(buried=1, recovered=2, promoted=0)
    assert order(broker) == ["a", "b"]
    assert record(broker, "c").state is State.RUNNING
    assert broker.turn("dead").fenced
    assert not broker.turn("alive").fenced


def test_a_worker_whose_lease_still_stands_is_left_alone(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)

    assert broker.tick() == NOTHING
    assert record(broker, "a").state is State.RUNNING


@pytest.mark.parametrize("seconds_ago", [10.5, 60, 86_400, -6])
def test_after_a_hole_in_time_nobody_is_reaped(broker: RedisBroker, seconds_ago: float) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    lapse(broker)
    last_tick(broker, seconds_ago)

    assert broker.tick() == NOTHING
    left = broker.client.zscore(broker.keys["w"], WORKER) - now_ms(broker)
    assert left == pytest.approx(broker.config.lease * 1000, abs=1000)
    assert end(broker, lease) == "OK"


def test_whoever_stays_silent_after_a_hole_is_reaped_in_the_next_round(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    last_tick(broker, seconds_ago=60)
    broker.tick()
    lapse(broker)
    last_tick(broker, seconds_ago=1)

    assert broker.tick().buried == 1


@pytest.mark.parametrize("seconds_ago", [9, -4])
def test_a_small_hole_does_not_keep_a_dead_worker_alive(broker: RedisBroker, seconds_ago: float) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    lapse(broker)
    last_tick(broker, seconds_ago)

    assert broker.tick().buried == 1


def test_promotion_goes_on_through_a_hole_in_time(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])
    make_due(broker, "a")
    last_tick(broker, seconds_ago=3600)

    assert broker.tick().promoted == 1


def test_a_clock_that_was_set_back_does_not_stop_the_ticking(broker: RedisBroker) -> None:
    last_tick(broker, seconds_ago=-86_400)
    broker.tick()

    assert int(broker.client.get(broker.keys["clk"])) <= now_ms(broker)  # type: ignore[arg-type]


def test_many_dead_workers_are_reaped_in_rounds(broker: RedisBroker) -> None:
    names = [f"w{number:02}" for number in range(30)]
    for name in names:
        broker.join(name)
        lapse(broker, name)

    assert [broker.tick(0).buried for _ in range(3)] == [20, 10, 0]


def test_more_due_jobs_than_one_round_takes_are_all_promoted(broker: RedisBroker) -> None:
    ids = [f"{number:04}" for number in range(1100)]
    broker.enqueue(jobs(ids, run_after=far_future()))
    make_due(broker, *ids)

    assert [broker.tick(0).promoted for _ in range(3)] == [1000, 100, 0]
    assert order(broker, limit=2000) == ids


def test_without_a_mirror_an_expired_job_leaves_nothing_behind(broker: RedisBroker) -> None:
    broker = without_mirror(broker)
    broker.enqueue(jobs("ab"))
    for lease in claim(broker, 2):
        end(broker, lease)
    broker.client.zadd(broker.keys["x"], {"a": 1})

    broker.tick()

    assert broker.inspect(["a", "b"]).keys() == {"b"}
    assert broker.client.zrange(broker.keys["x"], 0, -1) == ["b"]
    assert not broker.client.hexists(broker.keys["h"], "a")


def test_a_retry_is_promoted_with_its_attempts(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0], State.RETRYABLE, delay=HOUR, reason="why", note='{"n":1}')
    make_due(broker, "a")
    broker.tick()

    found = record(broker, "a")

    assert (found.state, found.attempt, found.due, found.reason) == (State.READY, 1, None, "")
    assert found.attempts == ({"n": 1},)


def test_one_damaged_body_does_not_stop_the_promotion_of_the_others(broker: RedisBroker) -> None:
    broker.enqueue([Packed("damaged", "default", 0, "not a body", far_future()), job("a", run_after=far_future())])
    make_due(broker, "damaged", "a")

    broker.tick()

    assert "a" in order(broker)


def test_a_worker_that_is_gone_is_not_told_of_for_ever(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    for worker in ("w1", "w2"):
        claim(broker, worker=worker)
    broker.cancel(["a", "b"])
    broker.bury("w1")
    assert broker.tick().asked.keys() == {"w1", "w2"}
    assert broker.tick(0).asked.keys() == {"w2"}


def test_who_asks_too_often_is_told_of_the_askings_all_the_same(broker: RedisBroker) -> None:
    broker.enqueue(jobs("a"))
    claim(broker)
    broker.tick()
    broker.cancel(["a"])
    assert broker.tick().asked.keys() == {"w1"}


def test_more_ended_jobs_expire_in_a_tick_than_one_page(broker: RedisBroker) -> None:
    """Without a mirror nobody else removes them: a busy namespace would fill up the server."""
    other = without_mirror(broker)
    broker.client.zadd(broker.keys["x"], {str(number): 1 for number in range(1200)})
    other.tick(0)

    assert broker.client.zcard(broker.keys["x"]) == 0
