"""How far running attempts are: shown while they run, by nobody else, and gone with their jobs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Lease
from django_backie.broker.sent import Shown
from django_backie.core.progress import Reported, reported
from django_backie.core.states import State

from .support import NOTE, WORKER, claim, end, far_version, ids_of, job, jobs, lose, marked, record, run, without_mirror

HALF = reported(1, 2, "a | b\n", 1000.5)


def show(broker: RedisBroker, lease: Lease, progress: Reported = HALF, worker: str = WORKER) -> bool:
    """Show how far an attempt is; tell whether it was its worker's."""
    return broker.show([Shown(worker, lease.id, lease.token, progress.text())])[0]


def shown(broker: RedisBroker, job_id: str) -> list[object] | None:
    """Return what a reader finds of the attempt that goes on."""
    snapshot = broker.inspect([job_id])[job_id]
    began, _, text = snapshot.progress.partition("|")
    if not text:
        return None
    started = snapshot.record.started
    assert started is not None
    assert began == str(round(started * 1000))
    return list(json.loads(text))


def kept(broker: RedisBroker) -> list[str]:
    return sorted(broker.client.hkeys(broker.keys["pr"]))


def test_the_worker_of_an_attempt_shows_how_far_it_is(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)

    assert shown(broker, "a") is None
    assert show(broker, lease)
    assert shown(broker, "a") == [1, 2, "a | b\n", 1000.5]


def test_many_attempts_are_shown_in_one_call_each_by_itself(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    first, second, third = claim(broker, 3)
    end(broker, second)
    later = reported(2, 2, "", 1001.0).text()
    shows = [Shown(WORKER, first.id, first.token, HALF.text()), Shown(WORKER, second.id, second.token, later)]

    assert broker.show([*shows, Shown(WORKER, third.id, third.token, later)]) == [True, False, True]
    assert kept(broker) == ["a", "c"]
    assert shown(broker, "c") == [2, 2, "", 1001.0]


def test_nothing_to_show_is_no_command(broker: RedisBroker) -> None:
    assert broker.show([]) == []


def test_it_marks_no_job_for_the_mirror(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    broker.done(marked(broker))

    show(broker, lease)
    assert marked(broker) == {}


def test_a_superseded_attempt_cannot_overwrite_the_new_one(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (first,) = claim(broker)
    lose(broker)
    (second,) = claim(broker)
    show(broker, second)

    assert not show(broker, first, reported(2, 2, "late", 1002.0))
    assert shown(broker, "a") == list(HALF)


def test_an_attempt_of_another_worker_is_not_shown(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)

    assert not show(broker, lease, worker="another")
    assert kept(broker) == []


def end_but_keep_the_hold(broker: RedisBroker) -> None:
    hold = broker.client.hget(broker.keys.held(WORKER), "a")
    (lease,) = broker.held(WORKER)
    end(broker, lease)
    broker.client.hset(broker.keys.held(WORKER), "a", hold)


def give_to_another_but_keep_the_hold(broker: RedisBroker) -> None:
    hold = broker.client.hget(broker.keys.held(WORKER), "a")
    lose(broker)
    claim(broker, worker="another")
    broker.client.hset(broker.keys.held(WORKER), "a", hold)


@pytest.mark.parametrize(
    "spoil",
    [
        end_but_keep_the_hold,
        give_to_another_but_keep_the_hold,
        lambda broker: broker.client.hdel(broker.keys.held(WORKER), "a"),
    ],
    ids=["ended", "elsewhere", "hold gone"],
)
def test_half_of_a_script_lets_nobody_report(broker: RedisBroker, spoil: Callable[[RedisBroker], object]) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    spoil(broker)

    assert not show(broker, lease)
    assert kept(broker) == []


def test_it_is_of_the_attempt_that_showed_it(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (first,) = claim(broker)
    show(broker, first)
    end(broker, first, State.RETRYABLE, note=NOTE)
    began = broker.inspect(["a"])["a"].record.started
    broker.client.hset(broker.keys["pr"], "a", f"1|{HALF.text()}")
    broker.hasten(["a"])
    claim(broker)

    assert began is not None
    assert broker.inspect(["a"])["a"].progress.startswith("1|")


def test_the_end_of_a_lost_attempt_says_how_far_it_was(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    first, _ = claim(broker, 2)
    show(broker, first)
    lose(broker, started=["a", "b"])

    assert record(broker, "a").attempts[0]["p"] == list(HALF)
    assert "p" not in record(broker, "b").attempts[0]


def test_the_end_of_a_lost_attempt_says_nothing_of_the_one_before(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    broker.client.hset(broker.keys["pr"], "a", f"1|{HALF.text()}")
    lose(broker, started=["a"])

    assert "p" not in record(broker, "a").attempts[0]


def test_it_goes_when_the_end_of_its_job_is_mirrored(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    first, second = claim(broker, 2)
    show(broker, first)
    show(broker, second)
    end(broker, first, note=NOTE)
    end(broker, second, State.RETRYABLE, note=NOTE)
    broker.done(marked(broker))

    assert kept(broker) == ["b"]


def test_it_goes_when_its_job_is_erased(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    show(broker, lease)
    broker.erase(["a"])

    assert not show(broker, lease)
    assert kept(broker) == []


def test_it_goes_when_its_job_is_dropped(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    show(broker, lease)
    broker.drop({"a": far_version(broker)})

    assert not show(broker, lease)
    assert kept(broker) == []


def test_without_a_mirror_it_goes_when_its_job_expires(broker: RedisBroker) -> None:
    broker = without_mirror(broker)
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    show(broker, lease)
    end(broker, lease, note=NOTE)
    assert kept(broker) == ["a"]

    broker.client.zadd(broker.keys["x"], {"a": 1})
    broker.client.delete(broker.keys["clk"])
    broker.tick()
    assert kept(broker) == []


def test_a_job_that_shows_nothing_leaves_no_key(broker: RedisBroker) -> None:
    run(broker, "a", note=NOTE)

    assert not broker.client.exists(broker.keys["pr"])
    assert ids_of(claim(broker)) == []
