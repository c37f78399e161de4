"""Limits of concurrency that find their own measure: one more for a round of successes, half for a failure."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from django_backie.broker import inspect
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Ending, Lease
from django_backie.core.states import State

from .support import HOUR, WORKER, claim, end, ids_of, jobs, lose, now_ms

KEY = "c1"


def adaptive(ids: str, start: int = 2, least: int = 1, most: int = 8) -> list:  # type: ignore[type-arg]
    return jobs(ids, limits=f"{KEY}|{start}|{least}|{most}")


def end_all(broker: RedisBroker, leases: Iterable[Lease], state: State = State.SUCCESSFUL, delay: float = 0) -> None:
    broker.turn(WORKER, [Ending(lease.id, lease.token, state, delay=delay) for lease in leases])


def size(broker: RedisBroker) -> float | None:
    return inspect.measure(broker, KEY)


def later(broker: RedisBroker) -> None:
    """Let the last halving be over: the next attempts begin after it."""
    found, _, *bounds = str(broker.client.hget(broker.keys["lm"], KEY)).split("|")
    broker.client.hset(broker.keys["lm"], KEY, "|".join([found, "1", *bounds]))


def test_as_many_run_at_first_as_the_start_says(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("abcd"))

    assert ids_of(claim(broker, 4)) == ["a", "b"]
    assert size(broker) == 2


def test_a_halving_that_was_noted_before_the_clock_was_set_back_is_over(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("abcdefgh", start=8))
    first, second, *_ = claim(broker, 8)
    end(broker, first, State.FAILED)
    assert size(broker) == 4
    broker.client.hset(broker.keys["lm"], KEY, "4000|4000000000000|1|8")
    end(broker, second, State.FAILED)

    assert size(broker) == 2


def test_a_limit_of_which_no_job_has_begun_has_no_measure(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("a"))

    assert size(broker) is None


def test_a_round_of_successes_gives_one_slot_more(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("abcdefg"))
    end_all(broker, claim(broker, 7))

    assert size(broker) == 3
    assert ids_of(claim(broker, 7)) == ["c", "d", "e"]


def test_a_slot_more_lets_in_what_waits_for_it_at_once(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("abcd", start=1))
    (first,) = claim(broker, 4)

    assert len(broker.turn(WORKER, [Ending(first.id, first.token, State.SUCCESSFUL)], 4, [], "all").leases) == 2


def test_one_success_of_many_is_a_part_of_a_slot(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("abcdef", start=4))
    first, *_ = claim(broker, 6)

    end(broker, first)

    assert size(broker) == 4.25


def test_successes_that_do_not_need_all_slots_prove_nothing(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("a", start=2))
    end_all(broker, claim(broker, 1))

    assert size(broker) == 2


def test_there_are_never_more_than_the_most(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("abcdefghij", start=1, most=2))
    for _ in range(4):
        end_all(broker, claim(broker, 10))

    assert size(broker) == 2


@pytest.mark.parametrize(("state", "delay"), [(State.FAILED, 0), (State.RETRYABLE, HOUR)])
def test_a_failure_halves_the_slots(broker: RedisBroker, state: State, delay: float) -> None:
    broker.enqueue(adaptive("abcdefgh", start=6))
    first, *_ = claim(broker, 8)

    end(broker, first, state, delay=delay)

    assert size(broker) == 3
    assert claim(broker, 8) == []


def test_failures_of_one_round_halve_them_once(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("abcdef", start=6))
    first, *others = claim(broker, 6)

    end(broker, first, State.FAILED)
    end_all(broker, others, State.FAILED)

    assert size(broker) == 3


def test_a_failure_of_the_next_round_halves_them_again(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("abcdefghi", start=6))
    end_all(broker, claim(broker, 9), State.FAILED)
    later(broker)
    end_all(broker, claim(broker, 9)[:1], State.FAILED)

    assert size(broker) == 1.5


def test_there_are_never_fewer_than_the_least(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("abcdefghi", start=4, least=3))
    end_all(broker, claim(broker, 9), State.FAILED)

    assert size(broker) == 3


@pytest.mark.parametrize(
    ("state", "values"),
    [
        (State.CANCELLED, {}),
        (State.READY, {"refund": True}),
        (State.BLOCKED, {"refund": True}),
        (State.SCHEDULED, {"delay": HOUR, "refund": True}),
    ],
)
def test_what_neither_fails_nor_succeeds_changes_nothing(
    broker: RedisBroker, state: State, values: dict[str, object]
) -> None:
    broker.enqueue(adaptive("abcd"))
    first, _ = claim(broker, 4)

    end(broker, first, state, **values)

    assert size(broker) == 2


def test_a_worker_that_dies_changes_nothing(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("abcd"))
    claim(broker, 4)

    lose(broker)

    assert size(broker) == 2


def test_a_job_with_other_bounds_keeps_what_was_found_within_them(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("ab", start=6))
    leases = claim(broker, 2)
    broker.enqueue(adaptive("c", most=4))

    assert ids_of(claim(broker, 1)) == ["c"]
    assert size(broker) == 4
    assert len(leases) == 2


@pytest.mark.parametrize(("hours", "left"), [(23, 2.0), (25, None)])
def test_what_was_found_is_forgotten_after_a_day(broker: RedisBroker, hours: int, left: float | None) -> None:
    broker.enqueue(adaptive("a"))
    claim(broker, 1)
    broker.client.zadd(broker.keys["lt"], {KEY: now_ms(broker) - hours * HOUR * 1000})
    broker.tick()

    assert size(broker) == left
    assert broker.client.zcard(broker.keys["lt"]) == (0 if left is None else 1)


def test_a_fixed_limit_of_the_same_key_is_not_measured(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab", limits=f"{KEY}|2"))
    end_all(broker, claim(broker, 2), State.FAILED)

    assert size(broker) is None


def test_a_job_that_asks_for_more_than_was_found_gets_it(broker: RedisBroker) -> None:
    broker.enqueue(adaptive("abcd", start=1))
    claim(broker, 4)
    broker.enqueue(adaptive("efg", least=3))
    broker.cancel("bcd")

    assert ids_of(claim(broker, 4)) == ["e", "f"]
    assert size(broker) == 3
