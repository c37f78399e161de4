"""End attempts: ``turn.lua`` with endings."""

from __future__ import annotations

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Ending
from django_backie.core.states import State

from .support import (
    HOUR,
    NOTE,
    WORKER,
    claim,
    end,
    job,
    jobs,
    lose,
    make_due,
    marked,
    now_ms,
    order,
    record,
    without_mirror,
)

FINAL = [State.SUCCESSFUL, State.FAILED, State.CANCELLED]


@pytest.mark.parametrize("state", FINAL)
def test_a_final_state_is_written_down_with_its_time(broker: RedisBroker, state: State) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    before = now_ms(broker)

    assert end(broker, lease, state, reason="why", note=NOTE) == "OK"

    found = record(broker, "a")
    assert (found.state, found.reason, found.attempt) == (state, "why", 1)
    assert before <= (found.finished or 0) * 1000 <= now_ms(broker)
    assert [attempt["o"] for attempt in found.attempts] == ["failed"]


@pytest.mark.parametrize("state", FINAL)
def test_a_job_may_end_and_have_its_attempt_back(broker: RedisBroker, state: State) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    before = now_ms(broker)

    assert end(broker, lease, state, refund=True) == "OK"

    found = record(broker, "a")
    assert (found.state, found.attempt) == (state, 0)
    assert before <= (found.finished or 0) * 1000 <= now_ms(broker)


@pytest.mark.parametrize("state", FINAL)
def test_an_ended_job_is_not_handed_out_again(broker: RedisBroker, state: State) -> None:
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0], state)

    assert order(broker) == []
    assert broker.held(WORKER) == []


@pytest.mark.parametrize("state", FINAL)
def test_a_repeated_ending_is_recognised(broker: RedisBroker, state: State) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    end(broker, lease, state, note=NOTE)
    before = record(broker, "a")

    assert end(broker, lease, state, note=NOTE) == "DUP"
    assert record(broker, "a") == before


@pytest.mark.parametrize("state", [State.RETRYABLE, State.SCHEDULED, State.READY, State.BLOCKED])
def test_a_repeated_return_changes_nothing(broker: RedisBroker, state: State) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    end(broker, lease, state, refund=True, delay=HOUR)
    before = record(broker, "a")

    assert end(broker, lease, state, refund=True, delay=HOUR) == "STALE"
    assert record(broker, "a") == before


def test_another_workers_attempt_cannot_be_ended(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker, worker="w1")
    broker.join("w2")

    assert end(broker, lease, worker="w2") == "STALE"
    assert record(broker, "a").state is State.RUNNING


def test_a_former_attempt_cannot_be_ended(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (first,) = claim(broker)
    end(broker, first, State.RETRYABLE, delay=HOUR)
    make_due(broker, "a")
    claim(broker)

    assert end(broker, first) == "STALE"
    assert record(broker, "a").state is State.RUNNING


def test_a_superseded_workers_result_is_refused(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (old,) = claim(broker, worker="w1")
    lose(broker, "w1")
    (new,) = claim(broker, worker="w2")

    assert end(broker, old, worker="w1") == "STALE"
    assert record(broker, "a").state is State.RUNNING
    assert end(broker, new, worker="w2") == "OK"
    assert end(broker, old, worker="w1") == "STALE"


def test_a_job_that_is_not_here_answers_stale(broker: RedisBroker) -> None:
    broker.join(WORKER)

    assert broker.turn(WORKER, [Ending("gone", 1, State.SUCCESSFUL)]).answers == ["STALE"]


def test_endings_are_answered_in_order(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    a, b, c = claim(broker, 3)
    end(broker, b)

    endings = [Ending(lease.id, lease.token, State.SUCCESSFUL) for lease in (c, b, a)]

    assert broker.turn(WORKER, endings).answers == ["OK", "DUP", "OK"]


def test_a_large_batch_is_ended_in_one_call(broker: RedisBroker) -> None:
    broker.enqueue(jobs(map(str, range(1200))))
    endings = [Ending(lease.id, lease.token, State.SUCCESSFUL) for lease in claim(broker, 1200)]

    turn = broker.turn(WORKER, endings)

    assert (set(turn.answers), turn.held) == ({"OK"}, 0)


def test_a_retry_waits_for_its_delay(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    before = now_ms(broker)
    end(broker, claim(broker)[0], State.RETRYABLE, delay=HOUR, note=NOTE)

    found = record(broker, "a")

    assert order(broker) == []
    assert (found.state, found.attempt, found.finished) == (State.RETRYABLE, 1, None)
    assert (found.due or 0) * 1000 - before == pytest.approx(HOUR * 1000, abs=1000)


def test_a_retry_comes_back_at_the_end_of_its_priority(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab", priority=5))
    (lease,) = claim(broker)
    end(broker, lease, State.RETRYABLE, delay=HOUR)
    broker.enqueue([job("c", priority=5), job("d")])
    make_due(broker, "a")

    assert order(broker) == ["b", "c", "a", "d"]


def test_an_interrupted_job_returns_to_its_own_place_without_charge(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    _, lease = claim(broker, 2)
    end(broker, lease, State.READY, refund=True)
    broker.enqueue([job("d")])

    assert record(broker, "b").attempt == 0
    assert order(broker) == ["b", "c", "d"]


def test_a_postponed_job_returns_to_its_own_place_without_charge(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    (lease,) = claim(broker)
    end(broker, lease, State.SCHEDULED, refund=True, delay=HOUR, reason="unknown task")

    found = record(broker, "a")
    assert (found.state, found.attempt, found.reason) == (State.SCHEDULED, 0, "unknown task")

    make_due(broker, "a")
    assert order(broker) == ["a", "b", "c"]


def test_a_postponed_job_has_its_own_place_only_once(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    end(broker, claim(broker)[0], State.SCHEDULED, refund=True, delay=HOUR)
    make_due(broker, "a")
    end(broker, claim(broker)[0], State.RETRYABLE, delay=HOUR)
    make_due(broker, "a")

    assert order(broker) == ["b", "a"]


def test_a_parked_job_stays_until_somebody_looks_at_it(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0], State.BLOCKED, refund=True, reason="bad signature")

    found = record(broker, "a")

    assert (found.state, found.reason, found.attempt) == (State.BLOCKED, "bad signature", 0)
    assert broker.tick(0).promoted == 0
    assert order(broker) == []


def test_the_notes_of_all_attempts_are_kept_in_order(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0], State.RETRYABLE, note='{"n":1,"m":"a|b"}')
    make_due(broker, "a")
    (second,) = claim(broker)
    end(broker, second, State.FAILED, note='{"n":2}')

    assert second.attempts() == ({"n": 1, "m": "a|b"},)
    assert record(broker, "a").attempts == ({"n": 1, "m": "a|b"}, {"n": 2})


def test_every_ending_marks_the_job_with_a_later_version(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    seen = [marked(broker)["a"]]
    for state in (State.READY, State.SCHEDULED, State.RETRYABLE, State.SUCCESSFUL):
        (lease,) = claim(broker)
        end(broker, lease, state, delay=HOUR)
        seen.append(marked(broker)["a"])
        if state in {State.SCHEDULED, State.RETRYABLE}:
            make_due(broker, "a")

    assert seen == sorted(set(seen))


def test_versions_grow_even_if_the_clock_stands_still(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    ahead = now_ms(broker) + 1_000_000
    text = broker.client.hget(broker.keys["h"], "a").split("|")  # type: ignore[union-attr]
    broker.client.hset(broker.keys["h"], "a", "|".join([text[0], str(ahead), *text[2:]]))

    end(broker, lease)

    assert record(broker, "a").version == ahead + 1


@pytest.mark.parametrize(("state", "days"), [(State.SUCCESSFUL, 7), (State.FAILED, 30), (State.CANCELLED, 30)])
def test_without_a_mirror_an_ended_job_expires_by_its_retention(broker: RedisBroker, state: State, days: int) -> None:
    broker = without_mirror(broker)
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0], state)

    expiry = broker.client.zscore(broker.keys["x"], "a")

    assert expiry - now_ms(broker) == pytest.approx(days * 86_400_000, abs=5000)


@pytest.mark.parametrize("state", [State.RETRYABLE, State.READY, State.BLOCKED])
def test_without_a_mirror_an_unfinished_job_does_not_expire(broker: RedisBroker, state: State) -> None:
    broker = without_mirror(broker)
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0], state)

    assert broker.client.zcard(broker.keys["x"]) == 0


def test_the_record_keeps_the_last_attempts_only(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    for number in range(60):
        (lease,) = claim(broker)
        end(broker, lease, State.READY, note=f'{{"n":{number}}}')

    assert [note["n"] for note in record(broker, "a").attempts] == list(range(10, 60))


@pytest.mark.parametrize(("first", "second"), [(State.READY, State.SUCCESSFUL), (State.SUCCESSFUL, State.READY)])
def test_two_endings_of_one_attempt_in_one_call_are_one(broker: RedisBroker, first: State, second: State) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    endings = [Ending("a", lease.token, state, refund=state is State.READY) for state in (first, second)]

    assert broker.turn(WORKER, endings).answers == ["OK", "DUP"]
    assert record(broker, "a").state is first
    assert (order(broker) == ["a"]) == (first is State.READY)
