"""Fairness: the groups of a queue take turns, however many jobs each of them has."""

from __future__ import annotations

from typing import Any

import pytest

from django_backie.broker import inspect
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Ending, Moved
from django_backie.broker.sent import Restored
from django_backie.core import head
from django_backie.core.job import Packed
from django_backie.core.states import State

from .support import HOUR, WORKER, claim, end, ids_of, job, jobs, lapse, make_due, order, record

A, B, C = "a1|1", "b1|1", "c1|1"


def of(group: str, ids: str, **values: Any) -> list[Packed]:
    """Return jobs of a group whose ids are the words of a text."""
    return jobs(ids.split(), group=group, **values)


def one_by_one(broker: RedisBroker, count: int = 100, **options: Any) -> list[str]:
    """Return the ids in the order in which a worker gets jobs that asks for one at a time."""
    found: list[str] = []
    for _ in range(count):
        leases = claim(broker, worker="one", **options)
        if not leases:
            break
        found += ids_of(leases)
    return found


def lines(broker: RedisBroker) -> dict[str, list[str]]:
    """Return what stands in each line."""
    prefix = broker.keys["gl:"]
    return {key.removeprefix(prefix): broker.client.zrange(key, 0, -1) for key in broker.client.scan_iter(f"{prefix}*")}


def look(broker: RedisBroker) -> None:
    """Have all lines looked at."""
    for line in broker.client.zrange(broker.keys["ga"], 0, -1):
        broker.client.zadd(broker.keys["ga"], {line: 0})
    broker.tick(0)


def is_forgotten(broker: RedisBroker) -> bool:
    """Tell whether nothing is left of any line."""
    return not lines(broker) and not broker.client.exists(broker.keys["ga"])


@pytest.fixture(name="take", params=[one_by_one, order], ids=["one-by-one", "together"])
def take_in_either_way(request: pytest.FixtureRequest) -> Any:
    """Return how a worker asks for jobs: for one at a time, or for many at once."""
    return request.param


def test_groups_take_turns_however_long_their_lines_are(broker: RedisBroker, take: Any) -> None:
    broker.enqueue([*of(A, "a1 a2 a3 a4"), *of(B, "b1 b2"), *of(C, "c1")])
    assert take(broker) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    assert is_forgotten(broker)


def test_a_group_that_comes_late_waits_for_one_turn_of_each_other(broker: RedisBroker, take: Any) -> None:
    broker.enqueue(of(A, "a1 a2 a3 a4"))
    broker.enqueue(of(B, "b1 b2 b3"))
    assert ids_of(claim(broker, 2)) == ["a1", "b1"]
    broker.enqueue(of(C, "c1 c2"))
    assert take(broker) == ["a2", "b2", "c1", "a3", "b3", "c2", "a4"]


def test_a_group_has_as_many_jobs_in_a_turn_as_its_weight(broker: RedisBroker, take: Any) -> None:
    broker.enqueue([*of("a1|3", "a1 a2 a3 a4 a5 a6 a7"), *of(B, "b1 b2 b3")])
    assert take(broker) == ["a1", "a2", "a3", "b1", "a4", "a5", "a6", "b2", "a7", "b3"]


def test_jobs_without_a_group_keep_their_places(broker: RedisBroker, take: Any) -> None:
    broker.enqueue([*of(A, "a1 a2 a3"), *jobs(["p1", "p2"])])
    assert take(broker) == ["a1", "p1", "p2", "a2", "a3"]


def test_a_steady_stream_of_new_groups_starves_nobody(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1 a2"), *jobs(["p1"])])
    found = []
    for number in range(8):
        broker.enqueue(of(f"d{number}|1", f"d{number}"))
        found += ids_of(claim(broker, 1))
    assert found == ["a1", "p1", "d0", "a2", "d1", "d2", "d3", "d4"]


def test_priorities_stay_exact(broker: RedisBroker, take: Any) -> None:
    broker.enqueue([*of(A, "low1 low2"), *of(B, "low3"), *of(A, "high1 high2 high3", priority=5)])
    broker.enqueue(of(B, "last", priority=-100))
    assert take(broker) == ["high1", "high2", "high3", "low1", "low3", "low2", "last"]


def test_groups_of_one_name_are_others_in_another_queue(broker: RedisBroker, take: Any) -> None:
    broker.enqueue([*of(A, "a1 a2", queue="one"), *of(A, "a3 a4", queue="two"), *of(B, "b1", queue="two")])
    assert take(broker) == ["a1", "a3", "b1", "a2", "a4"]


def test_queues_in_strict_order_are_fair_each_by_itself(broker: RedisBroker, take: Any) -> None:
    broker.enqueue([*of(A, "a1 a2", queue="one"), *of(B, "b1", queue="one"), *of(A, "a3 a4", queue="two")])
    broker.enqueue([*of(B, "b2", queue="two"), *jobs(["p1"], queue="one")])
    assert take(broker, queues=["two", "one"], mode="only") == ["a3", "b2", "a4", "a1", "b1", "p1", "a2"]


def test_queues_beside_a_fair_one_keep_their_order(broker: RedisBroker, take: Any) -> None:
    broker.enqueue(of(A, "a1 a2 a3", queue="fair"))
    broker.enqueue([*jobs(["p1", "p2"], queue="plain"), *jobs(["p3"], queue="plain", priority=1)])
    assert take(broker) == ["p3", "a1", "p1", "p2", "a2", "a3"]


def test_many_are_taken_in_the_order_of_one_at_a_time(broker: RedisBroker) -> None:
    sizes = {"a1|1": 70, "b1|2": 31, "c1|7": 40, "d1|1": 1, "e1|100": 25}
    for group, size in sizes.items():
        broker.enqueue([job(f"{group[0]}{number}", group=group) for number in range(size)])
    broker.enqueue(jobs([f"p{number}" for number in range(20)]))
    expected = _turns({group: [f"{group[0]}{number}" for number in range(size)] for group, size in sizes.items()}, 20)
    found: list[str] = []
    for limit in (1, 3, 50, 100, 7, 100, 100):
        found += ids_of(claim(broker, limit))
    assert found == expected
    assert is_forgotten(broker)


def _turns(groups: dict[str, list[str]], plain: int) -> list[str]:
    """Return the order that is wanted: a queue into which each that leaves is followed by the next of its group."""
    waiting = {group: [*ids] for group, ids in groups.items()}
    queue = [(group, waiting[group].pop(0)) for group in groups for _ in range(int(group[3:])) if waiting[group]]
    queue += [("", f"p{number}") for number in range(plain)]
    found = []
    while queue:
        group, job_id = queue.pop(0)
        found.append(job_id)
        if waiting.get(group):
            queue.append((group, waiting[group].pop(0)))
    return found


def test_the_next_comes_up_when_the_first_is_cancelled_erased_or_dropped(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1 a2 a3 a4 a5"), *of(B, "b1 b2")])
    broker.cancel(["a1"])
    broker.erase(["a2"])
    broker.drop({"a3": 1 << 60})
    assert order(broker, 2) == ["b1", "a4"]


def test_one_who_is_cancelled_in_the_line_leaves_it(broker: RedisBroker, take: Any) -> None:
    broker.enqueue([*of(A, "a1 a2 a3"), *of(B, "b1 b2")])
    assert broker.cancel(["a2"]) == ["OK"]
    assert take(broker) == ["a1", "b1", "a3", "b2"]
    assert is_forgotten(broker)


def test_a_crash_costs_a_group_no_turn_and_gives_it_none(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1 a2 a3"), *of(B, "b1 b2")])
    claim(broker, 2)
    lapse(broker, WORKER)
    broker.tick(0)
    assert order(broker) == ["a1", "b1", "a2", "b2", "a3"]
    assert is_forgotten(broker)


def test_what_a_crash_brings_back_gives_its_group_no_second_turn(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1 a2 a3 a4"), *of(B, "b1 b2 b3")])
    claim(broker, 1)
    lapse(broker, WORKER)
    broker.tick(0)
    assert order(broker) == ["a1", "b1", "a2", "b2", "a3", "b3", "a4"]


def test_what_looks_like_a_group_in_an_argument_is_none(broker: RedisBroker) -> None:
    limited = [job(name, limits="c1|9") for name in ("p1", "p2", "p3")]
    broker.enqueue([one._replace(body=one.body.replace("}", ',"a":{"i":"a1|1"}}')) for one in limited])
    broker.enqueue(of(B, "b1"))
    assert order(broker) == ["p1", "p2", "p3", "b1"]
    assert not lines(broker)


def test_a_retry_stands_at_the_end_of_its_line(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1 a2 a3"), *of(B, "b1 b2")])
    (lease,) = claim(broker)
    assert end(broker, lease, State.RETRYABLE, delay=HOUR) == "OK"
    make_due(broker, "a1")
    assert order(broker) == ["b1", "a2", "b2", "a3", "a1"]


def test_scheduled_jobs_line_up_when_they_are_due(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1 a2"), *of(B, "b1")])
    broker.enqueue(of(B, "b2 b3", run_after=9e9))
    make_due(broker, "b2")
    broker.hasten(["b3"])
    assert order(broker) == ["a1", "b1", "a2", "b3", "b2"]


def test_jobs_that_are_not_due_count_as_ready(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1 a2 a3"), *of(B, "b1")])
    assert inspect.ready_counts(broker) == {"default": 4}
    assert [sorted(page) for page in inspect.ready_pages(broker, "default")] == [["a1", "a2", "a3", "b1"]]
    assert inspect.unfinished(broker) == 4


def test_who_shows_a_queue_from_its_end_misses_nobody_who_comes_up(
    broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspect, "PAGE", 2)
    broker.enqueue([*of(A, "a1 a2 a3 a4 a5"), *of(B, "b1 b2 b3")])
    for page in inspect.ready_pages(broker, "default", from_end=True):
        broker.cancel(page)
    assert inspect.ready_counts(broker) == {"default": 0}
    look(broker)
    assert is_forgotten(broker)


def test_a_queue_is_moved_with_its_lines(broker: RedisBroker, take: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect, "PAGE", 2)
    broker.enqueue([*of(A, "a1 a2 a3"), *of(B, "b1 b2"), *jobs(["p1"])])
    for page in inspect.ready_pages(broker, "default"):
        groups = {job_id: head.group_of(body) for job_id, body in _bodies(broker, page).items()}
        new = [Moved(one.id, "signature", one.body) for one in (job(i, "other", group=g) for i, g in groups.items())]
        assert broker.move("default", "other", new) == [1] * len(page)
    assert take(broker, queues=["other"], mode="only") == ["p1", "a1", "b1", "a2", "b2", "a3"]
    look(broker)
    assert is_forgotten(broker)


def _bodies(broker: RedisBroker, ids: list[str]) -> dict[str, str]:
    return dict(zip(ids, broker.client.hmget(broker.keys["b"], ids), strict=True))


def test_a_limit_without_room_does_not_hold_up_a_group(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1 a2", limits="c1|1"), *of(A, "a3"), *of(B, "b1")])
    leases = claim(broker, 10)
    assert ids_of(leases) == ["a1", "b1", "a3"]
    assert end(broker, leases[0]) == "OK"
    assert order(broker) == ["a2"]
    assert is_forgotten(broker)


def test_jobs_come_back_from_their_rows_to_their_lines(broker: RedisBroker) -> None:
    restored = [Restored(one.id, one.body) for one in [*of(A, "a1 a2 a3"), *of(B, "b1 b2")]]
    broker.restore(restored)
    assert order(broker) == ["a1", "b1", "a2", "b2", "a3"]


def test_what_was_claimed_while_nobody_waited_leaves_its_line(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1"), *of(B, "b1")])
    (lease, _) = claim(broker, 2)
    assert is_forgotten(broker)
    broker.enqueue(of(A, "a2 a3"))
    assert ids_of(claim(broker, 1)) == ["a2"]
    assert broker.turn(WORKER, [Ending(lease.id, lease.token, State.SUCCESSFUL)]).answers == ["OK"]


def test_a_line_with_ghosts_is_put_right_by_a_look(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1 a2 a3"), *of(B, "b1 b2")])
    broker.client.zrem(broker.keys.queue("default"), "a1")
    broker.client.zadd(broker.keys["gl:0|a1|default"], {"ghost": 0, "spectre": -1})
    look(broker)
    assert order(broker) == ["b1", "a2", "b2", "a3"]
    assert is_forgotten(broker)


def test_a_look_makes_as_many_due_as_the_weight(broker: RedisBroker) -> None:
    broker.enqueue([*of("a1|3", "a1 a2 a3 a4 a5 a6"), *of(B, "b1 b2")])
    broker.client.zrem(broker.keys.queue("default"), "a1", "a2", "a3")
    look(broker)
    assert order(broker) == ["b1", "a4", "a5", "a6", "b2"]


def test_who_goes_behind_a_ghost_leaves_the_line_and_the_ghost_stays_for_the_look(broker: RedisBroker) -> None:
    broker.enqueue(of("a1|2", "a1 a2 a3 a4"))
    broker.client.zadd(broker.keys["gl:0|a1|default"], {"ghost": -1})
    assert ids_of(claim(broker, 1)) == ["a1"]
    assert lines(broker) == {"0|a1|default": ["ghost", "a2", "a3", "a4"]}
    assert broker.client.zscore(broker.keys.queue("default"), "ghost") is None
    look(broker)
    assert order(broker) == ["a2", "a3", "a4"]


def test_who_should_be_due_and_is_not_comes_first(broker: RedisBroker) -> None:
    """What half of a script has left: the first of a line stands behind all others, and the second is due."""
    broker.enqueue([*of("a1|1", "a1 a2 a3"), *of(B, "b1 b2 b3 b4 b5")])
    broker.client.zadd(broker.keys.queue("default"), {"a1": 7036874417766400 + 9})
    broker.client.zadd(broker.keys.queue("default"), {"a2": 1})
    broker.client.zadd(broker.keys["gl:0|a1|default"], {"a2": 1.5, "a1": 1})
    look(broker)
    assert order(broker) == ["a2", "b1", "a1", "a3", "b2", "b3", "b4", "b5"]
    assert is_forgotten(broker)


def test_who_should_be_due_and_is_not_comes_up_before_those_behind_him(broker: RedisBroker) -> None:
    broker.enqueue(of("a1|2", "a1 a2 a3 a4"))
    broker.client.zadd(broker.keys.queue("default"), {"a1": 7036874417766400 + 9})
    assert order(broker) == ["a2", "a1", "a3", "a4"]


def test_a_line_of_ghosts_alone_is_forgotten(broker: RedisBroker) -> None:
    broker.enqueue(of(A, "a1 a2"))
    broker.client.delete(broker.keys.queue("default"))
    look(broker)
    assert is_forgotten(broker)


def test_whoever_waits_in_no_line_runs_when_no_other_waits(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1 a2"), *of(B, "b1")])
    broker.client.delete(broker.keys["gl:0|a1|default"], broker.keys["ga"])
    assert order(broker) == ["a1", "b1", "a2"]
    lapse(broker, "order")
    broker.tick(0)
    broker.enqueue(of(C, "c1 c2"))
    assert set(ids_of(claim(broker, 10))) == {"a1", "a2", "b1", "c1", "c2"}


def test_mend_lines_up_who_is_not_due_in_no_line(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1 a2 a3"), *of(B, "b1 b2 b3")])
    broker.client.delete(broker.keys["gl:0|a1|default"])
    broker.mend(["a1", "a2", "a3", "b1", "b2", "b3"])
    assert record(broker, "a2").state is State.READY
    assert sorted(order(broker)) == ["a1", "a2", "a3", "b1", "b2", "b3"]
    assert is_forgotten(broker)


def test_mend_leaves_those_in_line_where_they_are(broker: RedisBroker) -> None:
    broker.enqueue([*of(A, "a1 a2 a3 a4"), *of(B, "b1 b2")])
    assert broker.mend(["a3", "a2"]) == 0
    assert order(broker) == ["a1", "b1", "a2", "b2", "a3", "a4"]


def test_a_look_at_a_line_comes_within_a_second_and_then_each_ten(broker: RedisBroker) -> None:
    broker.enqueue(of(A, "a1 a2"))
    key = broker.keys["ga"]
    assert broker.client.zrange(key, 0, -1, withscores=True) == [("0|a1|default", 0.0)]
    broker.tick(0)
    (_, first), *_ = broker.client.zrange(key, 0, -1, withscores=True)
    broker.enqueue(of(A, "a3"))
    (_, second), *_ = broker.client.zrange(key, 0, -1, withscores=True)
    assert first == second > 1e12
    broker.client.zadd(key, {"0|a1|default": 4e12})
    broker.tick(0)
    assert broker.client.zscore(key, "0|a1|default") == 4e12


def test_one_who_is_replaced_leaves_his_line_to_the_next(broker: RedisBroker, take: Any) -> None:
    broker.enqueue([job("a1", group=A, unique="e1"), *of(A, "a2"), *of(B, "b1")])
    broker.enqueue([job("a3", group=A, unique="e1|r")])
    assert take(broker) == ["b1", "a2", "a3"]
    assert is_forgotten(broker)


def test_a_job_that_was_due_for_its_larger_weight_is_in_no_line_while_it_waits_to_be_tried_again(
    broker: RedisBroker,
) -> None:
    """A group's weight may change: a job far back in its line is due at once then, and must leave the line."""
    broker.enqueue([*jobs("abcdef", group="a1|1"), job("g", group="a1|10")])
    leases = {lease.id: lease for lease in claim(broker, 2)}
    end(broker, leases["g"], State.RETRYABLE, delay=HOUR)

    assert "g" not in ids_of(claim(broker, 20))
