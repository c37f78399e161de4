"""Ageing: what a priority is worth in a queue where nobody shall be overtaken for ever."""

from __future__ import annotations

from typing import Any

import pytest

from django_backie.broker.keys import pause_of_task
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Ending, Moved, Pause
from django_backie.broker.sent import Restored
from django_backie.core import head
from django_backie.core.states import State

from .support import WORKER, claim, end, ids_of, job, lapse, make_due, order
from .test_fair import one_by_one


@pytest.fixture(name="take", params=[one_by_one, order], ids=["one-by-one", "together"])
def take_in_either_way(request: pytest.FixtureRequest) -> Any:
    """Return how a worker asks for jobs: for one at a time, or for many at once."""
    return request.param


def enqueue(broker: RedisBroker, ids: str, priority: int = 0, ageing: int = 3, **values: Any) -> None:
    """Add jobs, the words of a text, each by a call of its own."""
    for job_id in ids.split():
        broker.enqueue([job(job_id, priority=priority, ageing=ageing if priority else 0, **values)])


def test_a_priority_is_worth_so_many_places(broker: RedisBroker, take: Any) -> None:
    enqueue(broker, "a b c d e")
    # With number 6 and three places ahead: behind the second.
    enqueue(broker, "urgent", priority=1)
    assert take(broker) == ["a", "b", "c", "urgent", "d", "e"]


def test_a_job_is_overtaken_by_no_more_than_so_many_later_ones(broker: RedisBroker, take: Any) -> None:
    # As ids are: the older is the smaller.
    enqueue(broker, "0-low")
    enqueue(broker, "a b c d e f g", priority=2)
    assert take(broker) == ["a", "b", "c", "d", "e", "0-low", "f", "g"]


def test_a_low_priority_lets_so_many_later_ones_pass(broker: RedisBroker, take: Any) -> None:
    enqueue(broker, "0-low", priority=-1)
    enqueue(broker, "a b c d")
    assert take(broker) == ["a", "b", "0-low", "c", "d"]


def test_where_nothing_ages_priorities_are_exact(broker: RedisBroker, take: Any) -> None:
    enqueue(broker, "low")
    enqueue(broker, "a b c d e f g", priority=1, ageing=0)
    assert take(broker)[-1] == "low"


def test_beside_other_queues_it_counts_as_one_of_priority_nought(broker: RedisBroker, take: Any) -> None:
    enqueue(broker, "a b")
    enqueue(broker, "c d", queue="mail")
    enqueue(broker, "urgent", priority=1, ageing=2, queue="mail")
    enqueue(broker, "first", priority=1, ageing=0)
    assert take(broker) == ["first", "a", "b", "c", "urgent", "d"]


def test_a_scheduled_job_has_its_places_when_it_comes_due(broker: RedisBroker) -> None:
    broker.enqueue([job("late", priority=1, ageing=3, run_after=4_000_000_000.0)])
    enqueue(broker, "a b c d")
    make_due(broker, "late")
    broker.tick(0)
    assert order(broker) == ["a", "b", "late", "c", "d"]


def test_a_retry_has_its_places_again(broker: RedisBroker) -> None:
    enqueue(broker, "first", priority=1)
    (lease,) = claim(broker)
    enqueue(broker, "a b c d")
    end(broker, lease, State.RETRYABLE, delay=3600.0)
    make_due(broker, "first")
    broker.tick(0)
    assert order(broker) == ["a", "b", "first", "c", "d"]


def test_after_a_crash_a_job_has_its_own_place(broker: RedisBroker) -> None:
    enqueue(broker, "0-low", priority=-1)
    claim(broker)
    enqueue(broker, "a b c d")
    lapse(broker)
    broker.tick(0)
    assert order(broker) == ["a", "b", "0-low", "c", "d"]


def test_a_job_that_comes_back_from_its_row_has_its_places(broker: RedisBroker) -> None:
    enqueue(broker, "a b c d")
    broker.restore([Restored("lost", job("lost", priority=1, ageing=3).body)])
    assert order(broker) == ["a", "b", "lost", "c", "d"]


@pytest.mark.parametrize(("priority", "wanted"), [(1, ["one", "a", "b"]), (-1, ["a", "b", "one"])])
def test_moved_to_a_queue_that_does_not_age_a_job_has_its_exact_priority(
    broker: RedisBroker, priority: int, wanted: list[str]
) -> None:
    enqueue(broker, "a", queue="plain")
    enqueue(broker, "one", priority=priority, ageing=1)
    enqueue(broker, "b", queue="plain")
    exact = job("one", "plain", priority)
    assert broker.move("default", "plain", [Moved("one", head.signature(exact.body), exact.body)]) == [True]
    assert order(broker) == wanted


def test_moved_to_a_queue_that_ages_a_job_keeps_its_number(broker: RedisBroker) -> None:
    enqueue(broker, "a b c d e", queue="ages")
    enqueue(broker, "one", priority=1, ageing=0)
    enqueue(broker, "f g", queue="ages")
    aged = job("one", "ages", 1, ageing=3)
    assert broker.move("default", "ages", [Moved("one", head.signature(aged.body), aged.body)]) == [True]
    assert order(broker) == ["a", "b", "c", "one", "d", "e", "f", "g"]


def test_groups_take_turns_and_the_next_one_has_its_places(broker: RedisBroker, take: Any) -> None:
    enqueue(broker, "a1 a2 a3", group="a1|1")
    enqueue(broker, "low", priority=-2)
    enqueue(broker, "b1 b2", group="b1|1")
    # When a2 comes up, its number is smaller than the place of the one that lets others pass.
    assert take(broker)[:4] == ["a1", "b1", "a2", "b2"]


def test_of_those_who_come_up_the_first_place_goes_first(broker: RedisBroker, take: Any) -> None:
    enqueue(broker, "a1 a2", priority=-1, group="a1|1")
    enqueue(broker, "c d e")
    enqueue(broker, "b1 b2", group="b1|1")
    # a2 comes up before b2, but lets others pass.
    assert take(broker) == ["c", "a1", "d", "e", "b1", "b2", "a2"]


@pytest.mark.parametrize("number", ["9" * 400, "x", ""])
def test_a_damaged_number_leaves_the_priority_exact(broker: RedisBroker, number: str) -> None:
    enqueue(broker, "a b c d")
    packed = job("odd", priority=-1, ageing=3)
    broker.enqueue([packed._replace(body=packed.body.replace('"p":3', f'"p":{number}'))])
    assert ids_of(claim(broker, 10))[-1] == "odd"
    # A place that is no whole number could not be read again.
    lapse(broker)
    broker.tick(0)
    assert order(broker)[-1] == "odd"


def test_the_pause_of_a_task_holds_for_its_jobs(broker: RedisBroker) -> None:
    enqueue(broker, "one", priority=1, task="t1")
    broker.pause(pause_of_task("t1"), Pause(1.0))
    assert order(broker) == []


def test_a_group_whose_jobs_are_called_up_one_by_one_has_its_places(broker: RedisBroker) -> None:
    enqueue(broker, "1 2 3", priority=-2, group="a1|1")
    enqueue(broker, "a b c d e f g h")
    broker.cancel(["1"])
    broker.cancel(["2"])
    # The third has number 13 then, and lets fewer than six pass.
    enqueue(broker, "i j k l m n o p")
    assert order(broker) == [*"abcdefghijklm", "3", *"nop"]


def test_who_comes_up_in_a_turn_has_its_places(broker: RedisBroker, take: Any) -> None:
    enqueue(broker, "1 2 3", priority=-2, group="a1|1")
    enqueue(broker, "a b c d e f g h")
    enqueue(broker, "low", priority=-3)
    assert take(broker) == [*"abc", "1", *"defgh", "2", "3", "low"]


def test_what_looks_like_ageing_in_an_argument_is_none(broker: RedisBroker) -> None:
    enqueue(broker, "a b c d")
    broker.enqueue([job("one", priority=1, envelope='{"t":"task","k":{"p":1,"q":2}}')])
    limited = job("two", priority=1, limits="c1|9")
    broker.enqueue([limited._replace(body=limited.body.replace("}", ',"t":"task","k":{"p":1,"q":2}}'))])
    assert order(broker)[:2] == ["one", "two"]


def test_a_job_keeps_its_place_when_it_is_handed_back(broker: RedisBroker) -> None:
    enqueue(broker, "one", priority=1, ageing=100)
    (lease,) = claim(broker)
    enqueue(broker, "a b")
    broker.turn(WORKER, [Ending(lease.id, lease.token, State.READY, refund=True)])
    assert ids_of(claim(broker, 3)) == ["one", "a", "b"]
