"""Limits: how many jobs of a key run at once, how many start in a time; what has to wait is let in, in its order."""

from __future__ import annotations

import pytest

from django_backie.broker.keys import pause_of_task
from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Ending, Lease, Pause, Record
from django_backie.broker.sent import Restored
from django_backie.core.states import State

from .support import (
    HOUR,
    WORKER,
    claim,
    end,
    far_version,
    ids_of,
    job,
    jobs,
    lapse,
    lose,
    make_due,
    marked,
    now_ms,
    order,
    record,
    woken,
)

ONE, TWO = "c1|1", "c1|2"
# One at once, then one in an hour; three at once.
SLOW, BURST = "r1|3600000.000000|1", "r1|3600000.000000|3"


def limited(ids: str, limits: str = ONE, **values: object) -> list:  # type: ignore[type-arg]
    return jobs(ids, limits=limits, **values)


def slots(broker: RedisBroker, key: str = "c1") -> set[str]:
    return set(broker.client.smembers(broker.keys[f"ls:{key}"]))


def parked(broker: RedisBroker) -> set[str]:
    return set(broker.client.hkeys(broker.keys["lw"]))


def place(broker: RedisBroker, job_id: str) -> int:
    """Return the score of the place at which a job is parked."""
    return int(str(broker.client.hget(broker.keys["lw"], job_id)).split("|")[1])


def look_now(broker: RedisBroker) -> None:
    """Let the time come at which somebody looks whether there is room."""
    for key in broker.client.zrange(broker.keys["la"], 0, -1):
        broker.client.zadd(broker.keys["la"], {key: 1})


def refill(broker: RedisBroker, key: str = "r1") -> None:
    """Let so much time go by that a bucket is full, and everybody looks."""
    broker.client.zrem(broker.keys["lr"], key)
    look_now(broker)


# Slots.


def test_no_more_jobs_of_a_key_run_than_it_has_slots(broker: RedisBroker) -> None:
    broker.enqueue(limited("abcde", TWO))

    assert ids_of(claim(broker, 5)) == ["a", "b"]
    assert ids_of(claim(broker, 5, "w2")) == []
    assert slots(broker) == {"a", "b"}
    assert parked(broker) == {"c", "d", "e"}


def test_one_claim_finds_jobs_behind_those_that_must_wait(broker: RedisBroker) -> None:
    broker.enqueue([*limited("abcdefg"), *jobs("xyz"), *limited("h", "c2|1")])

    assert ids_of(claim(broker, 4)) == ["a", "x", "y", "z"]
    assert ids_of(claim(broker, 4)) == ["h"]


@pytest.mark.parametrize("options", [{}, {"queues": ["default", "mail"], "mode": "only"}])
def test_a_key_holds_over_all_queues(broker: RedisBroker, options: dict[str, object]) -> None:
    broker.enqueue([*limited("ab", queue="mail"), *limited("c")])

    (lease,) = claim(broker, 3, **options)
    assert end(broker, lease) == "OK"
    assert len(claim(broker, 3, **options)) == 1


def test_what_waits_for_a_slot_is_ready_and_nothing_else_is_changed(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    before = marked(broker)["b"]
    claim(broker, 2)

    assert record(broker, "b") == Record(State.READY)
    assert marked(broker)["b"] == before


@pytest.mark.parametrize(
    ("state", "values"),
    [
        (State.SUCCESSFUL, {}),
        (State.FAILED, {}),
        (State.RETRYABLE, {"delay": HOUR}),
        (State.SCHEDULED, {"delay": HOUR, "refund": True}),
        (State.CANCELLED, {}),
        (State.BLOCKED, {"refund": True}),
    ],
)
def test_the_end_of_an_attempt_lets_the_next_one_in(
    broker: RedisBroker, state: State, values: dict[str, object]
) -> None:
    broker.enqueue(limited("abc"))
    (lease,) = claim(broker, 3)

    end(broker, lease, state, **values)

    assert slots(broker) == set()
    assert ids_of(claim(broker, 3)) == ["b"]
    assert parked(broker) == {"c"}


def test_a_slot_and_the_next_job_may_come_with_one_turn(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    (lease,) = claim(broker, 2)

    turn = broker.turn(WORKER, [Ending(lease.id, lease.token, State.SUCCESSFUL)], limit=1)

    assert ids_of(turn.leases) == ["b"]


def test_a_job_that_is_let_in_wakes_a_worker(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    (lease,) = claim(broker, 2)
    listener = Listener(broker, (), "all", longest=1.0)
    while woken(listener):
        pass

    end(broker, lease)

    assert woken(listener, 1.0)


def test_those_who_wait_are_let_in_by_priority_and_then_in_their_order(broker: RedisBroker) -> None:
    broker.enqueue([*limited("abc"), *limited("x", priority=5), *limited("d")])
    got: list[str] = []
    while leases := claim(broker, 5):
        got += ids_of(leases)
        end(broker, leases[0])

    assert got == ["x", "a", "b", "c", "d"]


def test_a_job_of_higher_priority_that_comes_later_passes_those_who_wait(broker: RedisBroker) -> None:
    broker.enqueue(limited("abc"))
    (first,) = claim(broker, 3)
    broker.enqueue(limited("x", priority=5))
    assert claim(broker, 3) == []

    end(broker, first)

    assert ids_of(claim(broker, 3)) == ["x"]


def test_what_is_let_in_comes_before_what_was_enqueued_later(broker: RedisBroker) -> None:
    broker.enqueue([*limited("ab"), *jobs("x")])
    (first, _) = claim(broker, 3)
    broker.enqueue(jobs("yz"))

    end(broker, first)

    assert order(broker) == ["b", "y", "z"]


@pytest.mark.parametrize("begun", [True, False])
def test_a_dead_workers_slots_are_free_at_once(broker: RedisBroker, begun: bool) -> None:
    broker.enqueue(limited("abc", TWO))
    claim(broker, 3)

    lose(broker, started=["a", "b"] if begun else [])

    assert slots(broker) == set()
    assert ids_of(claim(broker, 3, "w2")) == ["a", "b"]


def test_a_lapsed_lease_frees_its_slots(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    claim(broker, 2)
    lapse(broker)
    broker.tick(0.0)

    assert slots(broker) == set()
    assert ids_of(claim(broker, 1, "w2")) == ["a"]


def test_an_erased_jobs_slot_is_free_at_once(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    claim(broker, 2)

    broker.erase(["a"])

    assert ids_of(claim(broker, 2)) == ["b"]


def test_a_dropped_jobs_slot_is_free_at_once(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    claim(broker, 2)

    assert broker.drop({"a": far_version(broker)}) == 1

    assert ids_of(claim(broker, 2)) == ["b"]


def test_a_slot_without_a_running_job_is_void(broker: RedisBroker) -> None:
    """Half of a script may leave one."""
    broker.client.sadd(broker.keys["ls:c1"], "gone", "done")
    broker.client.hset(broker.keys["lj"], mapping={"gone": "c1", "done": "c1"})
    broker.client.hset(broker.keys["h"], "done", "D|5|1|0|w1|1|1|2||")
    broker.enqueue(limited("ab", TWO))

    assert ids_of(claim(broker, 3)) == ["a", "b"]
    assert slots(broker) == {"a", "b"}
    assert broker.client.hkeys(broker.keys["lj"]) == ["a", "b"]


def test_two_slots_that_get_free_at_once_let_two_in(broker: RedisBroker) -> None:
    broker.enqueue(limited("abcd", TWO))
    leases = claim(broker, 4)

    endings = [Ending(lease.id, lease.token, State.SUCCESSFUL) for lease in leases]
    assert ids_of(broker.turn(WORKER, endings, limit=4).leases) == ["c", "d"]


def test_who_is_parked_with_another_key_by_now_is_not_let_in(broker: RedisBroker) -> None:
    broker.token("r1", HOUR, 1)
    broker.enqueue([*limited("a"), *limited("b", f"{ONE} {SLOW}"), *limited("c", SLOW)])
    (lease,) = claim(broker, 3)
    broker.client.zadd(broker.keys["lp:c1"], {"c": -1})

    end(broker, lease)

    assert "c" in parked(broker)
    assert "b" not in parked(broker)


def test_no_more_are_let_in_than_slots_were_freed(broker: RedisBroker) -> None:
    broker.enqueue(limited("abcdef", TWO))
    for lease in claim(broker, 6):
        end(broker, lease)

    assert parked(broker) == {"e", "f"}


def test_who_waits_for_the_end_of_a_pause_takes_nobodys_slot(broker: RedisBroker) -> None:
    broker.enqueue([*limited("a"), *limited("bcd", queue="mail"), *limited("e")])
    (lease,) = claim(broker, 5)
    broker.pause("mail", Pause(1.0))
    end(broker, lease)

    assert ids_of(claim(broker, 5)) == ["e"]


def test_who_finds_no_token_leaves_his_slot_to_the_next(broker: RedisBroker) -> None:
    """Many may stand before the one that can start: none of them costs it a look in ten seconds."""
    broker.token("r1", 3600.0, 1)
    broker.enqueue([*limited("a"), *limited("bcde", f"{ONE} {SLOW}"), *limited("f")])
    (lease,) = claim(broker, 6)
    end(broker, lease)

    assert ids_of(claim(broker, 6)) == ["f"]


def test_who_finds_no_slot_leaves_his_token_to_the_next(broker: RedisBroker) -> None:
    broker.token("r1", 3600.0, 1)
    broker.enqueue([*limited("a"), *limited("bcde", f"{ONE} {SLOW}"), *limited("f", f"c2|1 {SLOW}")])
    assert ids_of(claim(broker, 6)) == ["a"]
    # All wait for a token; one comes, and the first of them has no slot.
    for name in "bcde":
        broker.client.hset(broker.keys["lw"], name, "|".join(["r1", str(place(broker, name)), "default"]))
    refill(broker)

    assert ids_of(claim(broker, 6)) == ["f"]


def test_room_for_more_than_one_script_lets_in_is_looked_at_again_at_once(broker: RedisBroker) -> None:
    broker.hold(["1"], HOUR)
    broker.enqueue([job(f"j{number:03}", limits="c1|5000") for number in range(600)])
    assert claim(broker, 600) == []
    broker.client.delete(broker.keys["lh"])
    look_now(broker)
    assert len(claim(broker, 600)) == 500

    assert len(claim(broker, 600)) == 100


def test_a_paused_task_may_have_any_name(broker: RedisBroker) -> None:
    name = "send|mail"
    broker.pause(pause_of_task(name), Pause(1.0))
    broker.enqueue(jobs("ab", task=name))
    assert claim(broker, 2) == []
    broker.resume(pause_of_task(name))

    assert ids_of(claim(broker, 2)) == ["a", "b"]


def test_more_slots_than_before_let_more_in(broker: RedisBroker) -> None:
    broker.enqueue([*limited("a"), *limited("bcd", "c1|3")])
    assert ids_of(claim(broker, 4)) == ["a", "b", "c"]


def test_fewer_slots_than_are_taken_let_nobody_in(broker: RedisBroker) -> None:
    broker.enqueue([*limited("abc", "c1|3"), *limited("d", TWO)])
    leases = claim(broker, 4)
    end(broker, leases[0])
    assert claim(broker, 1) == []
    end(broker, leases[1])

    assert ids_of(claim(broker, 1)) == ["d"]


def test_jobs_that_were_forgotten_are_let_in_when_somebody_looks(broker: RedisBroker) -> None:
    """Half of a script may have taken the slot away and let nobody in."""
    broker.enqueue(limited("ab"))
    claim(broker, 2)
    broker.client.delete(broker.keys["ls:c1"], broker.keys["lj"])
    assert claim(broker, 2) == []

    look_now(broker)

    assert ids_of(claim(broker, 2)) == ["b"]
    assert broker.client.zcard(broker.keys["la"]) == 0


def test_somebody_looks_again_ten_seconds_later(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    broker.join(WORKER)
    turn = broker.turn(WORKER, limit=2)

    assert turn.next_due is not None
    assert 9.0 < turn.next_due <= 10.0

    look_now(broker)
    turn = broker.turn(WORKER, limit=2)
    assert turn.next_due is not None
    assert 9.0 < turn.next_due <= 10.0
    assert parked(broker) == {"b"}


def test_the_tick_lets_in_as_well(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    claim(broker, 2)
    broker.client.delete(broker.keys["ls:c1"], broker.keys["lj"])
    look_now(broker)

    broker.tick(0.0)

    assert parked(broker) == set()


# What else may happen to a job that waits.


def test_a_parked_job_can_be_cancelled(broker: RedisBroker) -> None:
    broker.enqueue(limited("abc"))
    (lease,) = claim(broker, 3)

    assert broker.cancel(["b"]) == ["OK"]
    assert parked(broker) == {"c"}
    end(broker, lease)

    assert ids_of(claim(broker, 3)) == ["c"]


def test_a_parked_job_can_be_erased_and_dropped(broker: RedisBroker) -> None:
    broker.enqueue(limited("abcd"))
    (lease,) = claim(broker, 4)

    broker.erase(["b"])
    broker.drop({"c": far_version(broker)})
    assert parked(broker) == {"d"}
    end(broker, lease)

    assert ids_of(claim(broker, 4)) == ["d"]
    assert broker.client.exists(broker.keys["lp:c1"]) == 0


def test_to_hasten_a_parked_job_changes_nothing(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    claim(broker, 2)

    assert broker.hasten(["b"]) == ["READY"]
    assert parked(broker) == {"b"}


def test_a_parked_job_is_here_already(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    claim(broker, 2)

    assert list(broker.enqueue(limited("b"))) == [0]
    assert broker.restore([Restored("b", limited("b")[0].body)]) == [0]
    assert parked(broker) == {"b"}


def test_what_waits_is_in_its_place(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    claim(broker, 2)

    assert broker.mend(["a", "b"]) == 0
    assert parked(broker) == {"b"}


def test_what_half_of_a_script_has_parked_comes_back(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    claim(broker, 2)
    broker.client.delete(broker.keys["lp:c1"])

    assert broker.mend(["a", "b"]) == 1
    broker.tick(0.0)
    assert broker.client.zscore(broker.keys.queue("default"), "b") is not None


def test_mending_lets_somebody_look_for_room(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    claim(broker, 2)
    broker.client.delete(broker.keys["la"], broker.keys["ls:c1"], broker.keys["lj"])

    broker.mend(["a", "b"])

    assert ids_of(claim(broker, 2)) == ["b"]


def test_a_job_in_a_queue_and_parked_is_in_the_queue_only(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    claim(broker, 2)
    broker.client.zadd(broker.keys.queue("default"), {"b": 1})

    assert broker.mend(["a", "b"]) == 1
    assert parked(broker) == set()


def test_a_retried_job_waits_for_a_slot_like_any_other(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    (lease,) = claim(broker, 2)
    end(broker, lease, State.RETRYABLE, delay=HOUR)
    claim(broker, 1)
    make_due(broker, "a")

    assert claim(broker, 1) == []
    assert parked(broker) == {"a"}


# Rates.


def test_so_many_start_at_once_as_the_bucket_holds(broker: RedisBroker) -> None:
    broker.enqueue(limited("abcde", BURST))

    assert ids_of(claim(broker, 5)) == ["a", "b", "c"]
    assert parked(broker) == {"d", "e"}


def test_the_end_of_a_job_brings_no_token_back(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab", SLOW))
    (lease,) = claim(broker, 2)
    end(broker, lease)

    assert claim(broker, 2) == []


def test_a_worker_is_told_when_there_will_be_a_token(broker: RedisBroker) -> None:
    broker.enqueue(limited("abc", SLOW))
    broker.join(WORKER)

    turn = broker.turn(WORKER, limit=3)

    assert turn.next_due is not None
    assert HOUR - 10 < turn.next_due <= HOUR


def test_a_token_lets_one_in_and_the_next_is_waited_for(broker: RedisBroker) -> None:
    broker.enqueue(limited("abc", SLOW))
    claim(broker, 3)
    refill(broker)

    broker.join(WORKER)
    turn = broker.turn(WORKER, limit=3)

    assert ids_of(turn.leases) == ["b"]
    assert parked(broker) == {"c"}
    assert turn.next_due is not None
    assert HOUR - 10 < turn.next_due <= HOUR


def test_the_bucket_is_refilled_evenly(broker: RedisBroker) -> None:
    broker.enqueue(limited("abcdef", BURST))
    claim(broker, 6)
    # Two hours have gone by, and two tokens have come.
    broker.client.zadd(broker.keys["lr"], {"r1": now_ms(broker) + HOUR * 1000 - 500})
    look_now(broker)

    assert ids_of(claim(broker, 6)) == ["d", "e"]


def test_a_full_bucket_is_forgotten(broker: RedisBroker) -> None:
    broker.enqueue(limited("a", SLOW))
    claim(broker, 1)
    broker.client.zadd(broker.keys["lr"], {"r1": now_ms(broker) - 1, "r2": now_ms(broker) + 60_000})

    broker.tick(0.0)

    assert broker.client.zrange(broker.keys["lr"], 0, -1) == ["r2"]


def test_a_job_with_both_limits_needs_a_slot_and_a_token(broker: RedisBroker) -> None:
    both = f"{ONE} {BURST}"
    broker.enqueue(limited("abcde", both))
    started: list[Lease] = []
    while leases := claim(broker, 5):
        started += leases
        end(broker, leases[0])

    assert ids_of(started) == ["a", "b", "c"]
    assert slots(broker) == set()


def test_a_job_without_a_token_takes_no_slot(broker: RedisBroker) -> None:
    broker.enqueue([*limited("a", SLOW), *limited("b", f"{ONE} {SLOW}"), *limited("c")])

    assert ids_of(claim(broker, 3)) == ["a", "c"]


def test_a_limit_is_read_behind_a_unique_key(broker: RedisBroker) -> None:
    broker.enqueue([job("a", unique="e1", limits=ONE), job("b", unique="e2", limits=ONE)])

    assert ids_of(claim(broker, 2)) == ["a"]


def test_the_flags_of_a_later_release_are_no_limit(broker: RedisBroker) -> None:
    broker.enqueue([found._replace(body=found.body.replace("1l", "1x", 1)) for found in limited("ab")])

    assert ids_of(claim(broker, 2)) == ["a", "b"]


def test_what_looks_like_a_limit_without_the_flag_is_none(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab", envelope='{"l":"c1|1"}'))

    assert ids_of(claim(broker, 2)) == ["a", "b"]


# Holds.


def test_a_held_limit_lets_nothing_start(broker: RedisBroker) -> None:
    broker.hold(["1"], HOUR)
    broker.enqueue([*limited("a"), *limited("b", BURST), *limited("c", "c2|1")])
    broker.join(WORKER)

    turn = broker.turn(WORKER, limit=3)

    assert ids_of(turn.leases) == ["c"]
    assert turn.next_due is not None
    assert HOUR - 10 < turn.next_due <= HOUR


def test_after_the_hold_they_start(broker: RedisBroker) -> None:
    broker.hold(["1"], HOUR)
    broker.enqueue(limited("abc", TWO))
    assert claim(broker, 3) == []
    broker.client.zadd(broker.keys["lh"], {"1": now_ms(broker) - 1})
    look_now(broker)

    assert ids_of(claim(broker, 3)) == ["a", "b"]
    broker.tick(0.0)
    assert broker.client.exists(broker.keys["lh"]) == 0


def test_a_slot_that_gets_free_lets_nobody_in_while_its_key_is_held(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab"))
    (lease,) = claim(broker, 2)
    broker.hold(["1"], HOUR)

    end(broker, lease)

    assert claim(broker, 2) == []
    look_now(broker)
    assert claim(broker, 2) == []
    assert broker.client.zscore(broker.keys["la"], "c1") > now_ms(broker) + HOUR * 900


# What it costs.


def test_a_thousand_waiting_jobs_cost_one_claim_no_long_time(broker: RedisBroker) -> None:
    """A script looks at a part of them, and the marker that it leaves lets the next one go on."""
    broker.enqueue([job(f"j{number:03}", limits=ONE) for number in range(300)])
    broker.enqueue(jobs("x"))

    (first,) = claim(broker, 1)
    got = [claim(broker, 2) for _ in range(20)]

    assert first.id == "j000"
    assert [lease.id for leases in got for lease in leases] == ["x"]
    assert next(at for at, leases in enumerate(got) if leases) > 1


# A clock that is set back.

STEP = HOUR * 1000


def set_back(broker: RedisBroker) -> None:
    """Let what was written be of a time an hour later, as if the clock had been set back by that."""
    for name in ("lr", "lh", "la"):
        for key, at in broker.client.zrange(broker.keys[name], 0, -1, withscores=True):
            broker.client.zadd(broker.keys[name], {key: at + STEP})
    broker.client.set(broker.keys["clk"], now_ms(broker) + STEP)


def test_a_clock_that_is_set_back_does_not_freeze_a_rate(broker: RedisBroker) -> None:
    broker.enqueue(limited("ab", "r1|1.000000|1"))
    broker.token("r1", 60.0, 1)
    set_back(broker)

    assert 0 < broker.token("r1", 0.05, 1) <= 0.05


def test_a_clock_that_is_set_back_does_not_prolong_a_hold(broker: RedisBroker) -> None:
    broker.hold(["1"], 60)
    set_back(broker)
    broker.tick()

    assert 0 < broker.client.zscore(broker.keys["lh"], "1") - now_ms(broker) <= 60_000


def test_after_a_clock_is_set_back_somebody_looks_for_room_at_once(broker: RedisBroker) -> None:
    broker.hold(["1"], HOUR)
    broker.enqueue(limited("ab"))
    assert claim(broker, 2) == []
    broker.client.delete(broker.keys["lh"])
    set_back(broker)
    broker.tick()

    assert ids_of(claim(broker, 2)) == ["a"]


def test_a_turn_that_has_set_aside_as_many_as_it_looks_at_says_so(broker: RedisBroker) -> None:
    broker.enqueue([*limited(map(str, range(30))), job("behind")])
    broker.join(WORKER)
    assert ids_of(broker.turn(WORKER, limit=1).leases) == ["0"]

    turn = broker.turn(WORKER, limit=1)
    assert (turn.leases, turn.next_due) == ([], 0.0)
    turn = broker.turn(WORKER, limit=1)
    assert (ids_of(turn.leases), turn.next_due) == (["behind"], pytest.approx(10, abs=1))
