"""Take back what a dead worker holds, and charge the crash to the right jobs."""

from __future__ import annotations

import pytest

from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.broker.sent import Restored
from django_backie.core.states import State

from .support import (
    WORKER,
    claim,
    end,
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
    vanish,
    without_mirror,
    woken,
)


def crash(broker: RedisBroker, job_id: str = "a") -> None:
    """Claim a job and let its worker die while it runs."""
    (lease,) = claim(broker)
    assert lease.id == job_id
    assert lose(broker, started=[job_id]) == 1


def test_unstarted_jobs_return_to_their_own_places_free_of_charge(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    claim(broker, 2)
    broker.enqueue([job("d")])

    assert lose(broker) == 2
    assert (record(broker, "a").crashes, record(broker, "a").attempt) == (0, 0)
    assert record(broker, "a").attempts == ()
    assert order(broker) == ["a", "b", "c", "d"]


def test_a_started_job_is_charged_and_comes_back_at_once_to_its_own_place(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    crash(broker)

    found = record(broker, "a")

    assert (found.state, found.crashes, found.attempt) == (State.READY, 1, 0)
    assert order(broker) == ["a", "b"]


def test_only_the_started_jobs_are_charged(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    claim(broker, 3)
    lose(broker, started=["b"])

    assert [record(broker, job_id).crashes for job_id in "abc"] == [0, 1, 0]


def test_a_job_that_was_renewed_as_started_is_charged(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    claim(broker, 2)
    broker.renew({WORKER: ["b"]})
    vanish(broker)

    assert [record(broker, job_id).crashes for job_id in "ab"] == [0, 1]


def test_a_lost_attempt_is_noted_with_its_worker_and_times(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker, worker='we"ird-1')
    lose(broker, 'we"ird-1', ["a"])

    (note,) = record(broker, "a").attempts

    assert (note["n"], note["w"], note["o"]) == (1, 'we"ird-1', "lost")
    assert note["s"] == pytest.approx(lease.first_started, abs=0.001)
    assert note["s"] <= note["e"] <= now_ms(broker) / 1000


def test_the_second_crash_waits_half_a_minute_and_keeps_the_place(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    crash(broker)
    crash(broker)

    found = record(broker, "a")
    assert (found.state, found.crashes) == (State.RETRYABLE, 2)
    assert (found.due or 0) * 1000 - now_ms(broker) == pytest.approx(30_000, abs=1000)

    make_due(broker, "a")
    assert order(broker) == ["a", "b"]


def test_the_third_crash_fails_the_job_for_good(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    crash(broker)
    crash(broker)
    make_due(broker, "a")
    crash(broker)

    found = record(broker, "a")

    assert (found.state, found.crashes, found.reason) == (State.FAILED, 3, "killed its worker 3 times")
    assert found.finished is not None
    assert len(found.attempts) == 3
    assert order(broker) == []


def test_crashes_do_not_use_up_attempts(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    crash(broker)

    (lease,) = claim(broker)

    assert (lease.attempt, lease.crashes) == (1, 1)


def test_a_job_that_was_taken_back_once_is_a_suspect_from_then_on(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    vanish(broker)
    assert record(broker, "a").crashes == 0

    claim(broker)
    vanish(broker)
    assert record(broker, "a").crashes == 1


def test_a_job_that_crashed_once_is_charged_even_if_nobody_saw_it_start(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    crash(broker)
    claim(broker)
    vanish(broker)

    assert record(broker, "a").crashes == 2


def test_a_job_that_ran_to_an_end_is_no_suspect_any_more(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    lose(broker)
    end(broker, claim(broker)[0], State.READY, refund=True)
    claim(broker)
    lose(broker)

    assert record(broker, "a").crashes == 0


def test_burying_twice_takes_nothing_back_twice(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)

    assert [lose(broker, started=["a"]), lose(broker, started=["a"])] == [1, 0]
    assert record(broker, "a").crashes == 1
    assert order(broker) == ["a"]


def test_burying_after_the_lease_has_lapsed_charges_nothing_twice(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    lapse(broker)
    broker.tick()
    (again,) = claim(broker, worker="w2")

    assert lose(broker, started=["a"]) == 0
    assert end(broker, again, worker="w2") == "OK"
    assert record(broker, "a").crashes == 0


def test_what_has_ended_is_not_taken_back(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    first, _ = claim(broker, 2)
    end(broker, first)

    assert lose(broker) == 1
    assert order(broker) == ["b"]


def test_a_buried_worker_is_fenced_and_forgotten(broker: RedisBroker) -> None:
    broker.join(WORKER, info='{"host":"x"}')
    lose(broker)

    assert broker.turn(WORKER).fenced
    assert broker.renew({WORKER: []}) == {WORKER: False}
    assert broker.client.hgetall(broker.keys["wi"]) == {}


def test_a_worker_that_is_not_here_is_no_error(broker: RedisBroker) -> None:
    assert lose(broker, "nobody", ["a"]) == 0


def test_a_retrying_job_keeps_its_queue_when_it_is_taken_back(broker: RedisBroker) -> None:
    broker.enqueue([job("a", queue="mail|1")])
    claim(broker)
    lose(broker)

    assert order(broker, queues=["mail|1"], mode="only") == ["a"]


def test_taking_back_marks_the_job_with_a_later_version(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    before = marked(broker)["a"]
    lose(broker)

    assert marked(broker)["a"] > before


def test_taking_back_wakes_another_worker(broker: RedisBroker) -> None:
    listener = Listener(broker, [], "all", longest=1.0)
    broker.enqueue([job("a")])
    woken(listener)
    claim(broker)
    woken(listener)

    lose(broker)

    assert woken(listener)
    assert ids_of(claim(broker)) == ["a"]
    listener.close()


def test_without_a_mirror_a_job_buried_for_good_expires(broker: RedisBroker) -> None:
    broker = without_mirror(broker)
    broker.enqueue([job("a")])
    crash(broker)
    crash(broker)
    make_due(broker, "a")
    crash(broker)

    assert broker.client.zscore(broker.keys["x"], "a") > now_ms(broker)


def test_a_job_that_runs_elsewhere_by_now_is_not_taken_back(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker, worker="w1")
    hold = broker.client.hgetall(broker.keys.held("w1"))
    lose(broker, "w1")
    (lease,) = claim(broker, worker="w2")
    broker.client.hset(broker.keys.held("w1"), mapping=hold)
    lose(broker, "w1", ["a"])

    assert record(broker, "a").crashes == 0
    assert end(broker, lease, worker="w2") == "OK"


def test_who_sees_a_worker_die_knows_what_had_started_better_than_any_mark(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    claim(broker, 2)
    broker.renew({WORKER: ["a"]})
    broker.bury(WORKER, ["b"])

    assert [record(broker, job_id).crashes for job_id in "ab"] == [0, 1]


def test_no_worker_holds_two_jobs_that_killed_two_workers_each(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    for _ in range(2):
        claim(broker, 3)
        broker.bury(WORKER, ["a", "b"])
    make_due(broker, "a", "b")
    broker.tick()

    first = ids_of(claim(broker, 3))
    assert len({"a", "b"} & set(first)) == 1
    assert "c" in first
    (other,) = {"a", "b"} - set(first)
    make_due(broker, other)
    assert ids_of(claim(broker, 3)) == []
    make_due(broker, other)
    assert ids_of(claim(broker, 3, worker="w2")) == [other]


def test_jobs_behind_one_that_has_to_wait_aside_do_not_wait(broker: RedisBroker) -> None:
    broker.restore([Restored(job_id, job(job_id).body, crashes=2) for job_id in "abc"])
    broker.enqueue(jobs("xyz"))

    assert [ids_of(claim(broker, 2)) for _ in range(3)] == [["a"], ["x"], ["y", "z"]]


def test_whoever_gets_less_for_such_a_job_s_sake_is_woken_for_the_rest(broker: RedisBroker) -> None:
    broker.restore([Restored(job_id, job(job_id).body, crashes=2) for job_id in "ab"])
    broker.enqueue(jobs("x"))
    broker.client.delete(broker.keys["k"])

    assert ids_of(claim(broker, 2)) == ["a"]
    assert broker.client.exists(broker.keys["k"])


def test_a_job_that_has_to_wait_aside_comes_back_to_its_own_place_and_wakes_somebody(broker: RedisBroker) -> None:
    broker.restore([Restored(job_id, job(job_id).body, crashes=2) for job_id in "ab"])
    claim(broker, 2)
    broker.enqueue(jobs("x"))
    broker.client.delete(broker.keys["k"])
    make_due(broker, "b")
    broker.client.delete(broker.keys["clk"])
    broker.tick()

    assert broker.client.exists(broker.keys["k"])
    assert ids_of(claim(broker, 2, worker="w2")) == ["b", "x"]
