"""Take new jobs."""

from __future__ import annotations

import pytest

from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Ending
from django_backie.core.states import State

from .support import (
    HOUR,
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
    woken,
)


def test_a_worker_without_a_lease_gets_nothing(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])

    turn = broker.turn("nobody", limit=1)

    assert turn.fenced
    assert turn.leases == []
    assert order(broker) == ["a"]


def test_a_worker_gets_at_most_its_limit(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abcd"))

    assert ids_of(claim(broker, 3)) == ["a", "b", "c"]
    assert ids_of(claim(broker, 3)) == ["d"]


def test_no_job_goes_to_two_workers(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))

    assert ids_of(claim(broker, 2, worker="w1")) == ["a", "b"]
    assert ids_of(claim(broker, 2, worker="w2")) == ["c"]


def test_a_limit_of_nothing_takes_nothing(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])

    assert claim(broker, 0) == []
    assert order(broker) == ["a"]


def test_a_batch_is_as_large_as_asked_for(broker: RedisBroker) -> None:
    ids = [f"{number:05}" for number in range(3000)]
    broker.enqueue(jobs(ids))

    assert ids_of(claim(broker, 2500)) == ids[:2500]


def test_a_lease_tells_the_attempt_and_when_the_first_began(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    before = now_ms(broker)

    (lease,) = claim(broker)

    assert (lease.attempt, lease.crashes, lease.attempts()) == (1, 0, ())
    assert before <= lease.first_started * 1000 <= now_ms(broker)


def test_a_claimed_job_is_running_at_its_worker(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)

    found = record(broker, "a")

    assert (found.state, found.worker, found.attempt) == (State.RUNNING, WORKER, 1)
    assert found.started == found.first_started is not None


def test_claiming_marks_the_job_with_a_later_version(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    before = marked(broker)["a"]
    claim(broker)

    assert marked(broker)["a"] == record(broker, "a").version > before


def test_the_number_of_jobs_held_is_told(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    claim(broker, 2)

    assert broker.turn(WORKER, limit=5).held == 3


def test_named_queues_are_served_in_strict_order(broker: RedisBroker) -> None:
    broker.enqueue([job("b1", queue="b", priority=100), job("a1", queue="a"), job("a2", queue="a", priority=-100)])

    assert order(broker, queues=["a", "b"], mode="only") == ["a1", "a2", "b1"]


def test_queues_that_are_not_named_are_left_alone(broker: RedisBroker) -> None:
    broker.enqueue([job("a", queue="a"), job("b", queue="b")])

    assert order(broker, queues=["b"], mode="only") == ["b"]


def test_the_limit_counts_over_all_named_queues(broker: RedisBroker) -> None:
    broker.enqueue(jobs(["a1", "a2"], queue="a") + jobs(["b1", "b2"], queue="b"))

    assert ids_of(claim(broker, 3, queues=["a", "b"], mode="only")) == ["a1", "a2", "b1"]


def test_all_queues_are_merged_as_if_they_were_one(broker: RedisBroker) -> None:
    queue_of = {"1": "a", "2": "b", "3": "a", "4": "c", "5": "b", "6": "a", "7": "c", "8": "c"}
    for job_id, queue in queue_of.items():
        broker.enqueue([job(job_id, queue=queue)])
    broker.enqueue([job("high", queue="b", priority=1), job("low", queue="a", priority=-1)])

    assert order(broker) == ["high", *queue_of, "low"]


def test_many_queues_are_merged_in_the_order_of_enqueueing(broker: RedisBroker) -> None:
    ids = [str(number) for number in range(24)]
    for number, job_id in enumerate(ids):
        broker.enqueue([job(job_id, queue=f"q{number * 5 % 8}")])

    assert order(broker) == ids


def test_a_merge_stops_at_the_limit(broker: RedisBroker) -> None:
    for number in range(10):
        broker.enqueue([job(str(number), queue="ab"[number % 2])])

    assert ids_of(claim(broker, 3)) == ["0", "1", "2"]
    assert ids_of(claim(broker, 4)) == ["3", "4", "5", "6"]
    assert ids_of(claim(broker, 9)) == ["7", "8", "9"]


def test_excluded_queues_are_left_alone(broker: RedisBroker) -> None:
    broker.enqueue([job("a", queue="a"), job("b", queue="b"), job("c", queue="c")])

    assert order(broker, queues=["b"], mode="all") == ["a", "c"]
    assert order(broker) == ["b"]


def test_a_due_job_is_promoted_by_the_worker_that_asks(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])
    make_due(broker, "a")

    (lease,) = claim(broker)

    assert lease.id == "a"
    assert record(broker, "a").due is None


def test_the_time_until_the_next_scheduled_job_is_told(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])
    broker.join(WORKER)

    assert broker.turn(WORKER, limit=1).next_due == pytest.approx(HOUR, abs=5)


def test_where_nothing_is_scheduled_there_is_nothing_to_wait_for(broker: RedisBroker) -> None:
    broker.join(WORKER)

    assert broker.turn(WORKER, limit=1).next_due is None


def test_a_worker_that_leaves_jobs_behind_wakes_the_next(broker: RedisBroker) -> None:
    listener = Listener(broker, [], "all", longest=1.0)
    broker.enqueue(jobs("abc"))
    assert woken(listener)

    claim(broker, 2)
    assert woken(listener)

    claim(broker, 2)
    assert not woken(listener)
    listener.close()


def test_ending_and_taking_are_one_round_trip(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    (first,) = claim(broker)

    turn = broker.turn(WORKER, [Ending("a", first.token, State.SUCCESSFUL)], limit=1)

    assert (turn.answers, ids_of(turn.leases), turn.held) == (["OK"], ["b"], 1)


def test_a_fenced_worker_gets_its_answers_but_no_jobs(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    (lease,) = claim(broker)
    lose(broker)

    turn = broker.turn(WORKER, [Ending("a", lease.token, State.SUCCESSFUL)], limit=1)

    assert (turn.fenced, turn.answers, turn.leases) == (True, ["STALE"], [])


@pytest.mark.parametrize("limit", [0, 1])
def test_a_fenced_worker_passes_its_wake_up_on_if_it_wanted_jobs(broker: RedisBroker, limit: int) -> None:
    listener = Listener(broker, [], "all", longest=1.0)
    broker.enqueue([job("a")])
    assert woken(listener)
    broker.turn("gone", limit=limit)

    assert woken(listener) is bool(limit)
    listener.close()


def test_a_stopping_worker_gets_no_jobs_and_passes_its_wake_up_on(broker: RedisBroker) -> None:
    listener = Listener(broker, [], "all", longest=1.0)
    broker.join(WORKER)
    broker.stopping([WORKER])
    broker.enqueue([job("a")])
    assert woken(listener)
    turn = broker.turn(WORKER, limit=1)

    assert (turn.fenced, turn.leases) == (False, [])
    assert woken(listener)
    listener.close()


def test_a_stopping_worker_wakes_nobody_where_nothing_waits(broker: RedisBroker) -> None:
    listener = Listener(broker, [], "all", longest=1.0)
    broker.enqueue([job("a")])
    claim(broker)
    woken(listener)
    broker.stopping([WORKER])
    broker.turn(WORKER, limit=1)

    assert not woken(listener)
    listener.close()


def test_a_place_without_a_body_is_passed_over(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    broker.client.hdel(broker.keys["b"], "a")

    assert order(broker) == ["b"]


def test_an_attempt_counts_on_after_a_retry(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (first,) = claim(broker)
    end(broker, first, State.RETRYABLE, delay=HOUR)
    make_due(broker, "a")

    (second,) = claim(broker)

    assert second.attempt == 2
    assert second.first_started == first.first_started


def test_a_worker_that_excludes_a_queue_does_not_use_up_its_wake_up(broker: RedisBroker) -> None:
    choosy = Listener(broker, ["mail"], "all", longest=1.0)
    broker.join("choosy")
    broker.enqueue([job("a", queue="mail")])
    if woken(choosy):
        broker.turn("choosy", limit=5, queues=["mail"], mode="all")
    other = Listener(broker, [], "all", longest=1.0)

    assert woken(other)
    choosy.close()
    other.close()


def test_no_jobs_are_given_while_too_many_changes_wait_for_the_mirror(broker: RedisBroker) -> None:
    broker.most_unmirrored = 2
    broker.enqueue(jobs("abc"))
    broker.join(WORKER)

    turn = broker.turn(WORKER, limit=1)
    assert (turn.slow, turn.leases, turn.next_due) == (True, [], 0.2)

    broker.done(dict(list(marked(broker).items())[:1]))
    turn = broker.turn(WORKER, limit=1)
    assert (turn.slow, ids_of(turn.leases)) == (False, ["a"])


def test_attempts_end_while_too_many_changes_wait_for_the_mirror(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    (lease,) = claim(broker)
    broker.most_unmirrored = 0

    turn = broker.turn(WORKER, [Ending("a", lease.token, State.SUCCESSFUL)])
    assert (turn.slow, turn.answers) == (False, ["OK"])
