"""Cancel waiting jobs, ask running ones to end."""

from __future__ import annotations

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Lease
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
    job,
    jobs,
    lose,
    make_due,
    marked,
    now_ms,
    order,
    record,
    run,
    vanish,
    without_mirror,
)


def test_a_ready_job_is_cancelled_with_the_reason(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    before = now_ms(broker)

    assert broker.cancel(["a"], "not wanted") == ["OK"]

    found = record(broker, "a")
    assert (found.state, found.reason) == (State.CANCELLED, "not wanted")
    assert (found.finished or 0) * 1000 >= before
    assert broker.client.zscore(broker.keys.queue("default"), "a") is None
    assert order(broker) == ["b"]


def test_a_scheduled_job_never_becomes_due(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])

    assert broker.cancel(["a"]) == ["OK"]
    assert broker.client.zcard(broker.keys["s"]) == 0
    assert record(broker, "a").due is None


@pytest.mark.parametrize(
    ("state", "refund"),
    [(State.RETRYABLE, False), (State.SCHEDULED, True), (State.READY, True), (State.BLOCKED, True)],
)
def test_a_job_that_came_back_is_cancelled(broker: RedisBroker, state: State, refund: bool) -> None:
    run(broker, "a", state, refund=refund, delay=HOUR)

    assert broker.cancel(["a"]) == ["OK"]
    assert record(broker, "a").state is State.CANCELLED
    assert broker.client.exists(broker.keys["s"], broker.keys["f"]) == 0
    assert order(broker) == []


def asked(broker: RedisBroker, reason: str = "wrong month", job_id: str = "a") -> Lease:
    """Return the lease of a running job that was asked to cancel."""
    broker.enqueue([job(job_id)])
    (lease,) = claim(broker)
    assert broker.cancel([job_id], reason) == ["ASKED"]
    return lease


def test_a_running_job_is_asked_to_end(broker: RedisBroker) -> None:
    before = now_ms(broker)
    asked(broker)

    found = record(broker, "a")
    assert (found.state, found.reason, found.is_asked_to_cancel) == (State.RUNNING, "wrong month", True)
    assert (found.due or 0) * 1000 >= before
    assert broker.asked(WORKER)[0].reason == "wrong month"


def test_a_running_job_that_nobody_has_asked_is_not(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)

    assert not record(broker, "a").is_asked_to_cancel
    assert broker.asked(WORKER) == []


def test_asking_marks_the_job_with_a_later_version(broker: RedisBroker) -> None:
    lease = asked(broker)

    assert marked(broker)["a"] > lease.token
    assert marked(broker)["a"] == record(broker, "a").version


def test_asking_twice_is_told_and_keeps_the_first_reason(broker: RedisBroker) -> None:
    asked(broker, "first")
    before, told = record(broker, "a"), broker.tick().asked

    assert broker.cancel(["a"], "second") == ["ASKED"]
    assert (record(broker, "a"), broker.tick(0).asked) == (before, told)


def test_a_job_that_succeeds_before_it_notices_has_succeeded(broker: RedisBroker) -> None:
    lease = asked(broker)

    assert end(broker, lease, note=NOTE) == "OK"
    found = record(broker, "a")
    assert (found.state, found.reason, found.due) == (State.SUCCESSFUL, "", None)


def test_a_job_that_fails_for_good_has_failed(broker: RedisBroker) -> None:
    lease = asked(broker)

    assert end(broker, lease, State.FAILED, note=NOTE) == "OK"
    assert record(broker, "a").state is State.FAILED


@pytest.mark.parametrize(
    ("state", "refund"),
    [(State.RETRYABLE, False), (State.SCHEDULED, True), (State.READY, True), (State.BLOCKED, True)],
)
def test_a_job_that_was_asked_does_not_come_back(broker: RedisBroker, state: State, refund: bool) -> None:
    lease = asked(broker)

    assert end(broker, lease, state, refund=refund, delay=HOUR, reason="later") == "OK"
    found = record(broker, "a")
    assert (found.state, found.reason, found.due) == (State.CANCELLED, "wrong month", None)
    assert found.finished is not None
    assert broker.client.exists(broker.keys["s"], broker.keys["f"]) == 0
    assert broker.turn(WORKER).held == 0
    assert order(broker) == []


@pytest.mark.parametrize(("own", "kept"), [("", "wrong month"), ("no stock", "no stock")])
def test_a_job_that_was_asked_and_cancels_itself_may_say_why(broker: RedisBroker, own: str, kept: str) -> None:
    lease = asked(broker)

    assert end(broker, lease, State.CANCELLED, reason=own) == "OK"
    assert record(broker, "a").reason == kept


@pytest.mark.parametrize("begun", [True, False])
def test_a_job_whose_worker_dies_after_the_asking_does_not_run_again(broker: RedisBroker, begun: bool) -> None:
    asked(broker)
    before = now_ms(broker)

    assert lose(broker, started=["a"] if begun else []) == 1
    found = record(broker, "a")
    assert (found.state, found.reason) == (State.CANCELLED, "wrong month")
    assert (found.attempt, found.crashes, len(found.attempts)) == (0, int(begun), int(begun))
    assert (found.finished or 0) * 1000 >= before
    assert order(broker) == []


@pytest.mark.parametrize("begun", [True, False])
def test_a_job_whose_lease_lapses_after_the_asking_does_not_run_again(broker: RedisBroker, begun: bool) -> None:
    asked(broker)
    broker.renew({WORKER: ["a"] if begun else []})
    vanish(broker)

    found = record(broker, "a")
    assert (found.state, found.reason, found.crashes) == (State.CANCELLED, "wrong month", int(begun))
    assert order(broker) == []


def test_a_job_that_has_killed_two_workers_and_was_asked_is_cancelled(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    for _ in range(2):
        claim(broker)
        lose(broker, started=["a"])
    make_due(broker, "a")
    claim(broker)
    broker.cancel(["a"], "wrong month")
    lose(broker, started=["a"])

    assert (record(broker, "a").state, record(broker, "a").reason) == (State.CANCELLED, "wrong month")


def test_a_retry_by_a_person_clears_the_asking(broker: RedisBroker) -> None:
    end(broker, asked(broker), State.READY, refund=True)
    version = record(broker, "a").version
    assert broker.restore([Restored("a", job("a").body, version=version)], revive=True) != [0]
    (lease,) = claim(broker)

    assert (record(broker, "a").is_asked_to_cancel, broker.asked(WORKER)) == (False, [])
    end(broker, lease, State.READY, refund=True)
    assert record(broker, "a").state is State.READY


def test_without_a_mirror_a_job_that_ends_because_it_was_asked_expires(broker: RedisBroker) -> None:
    broker = without_mirror(broker)
    end(broker, asked(broker), State.READY, refund=True)
    asked(broker, job_id="b")
    lose(broker)

    for job_id in "ab":
        expiry = broker.client.zscore(broker.keys["x"], job_id)
        assert expiry - now_ms(broker) == pytest.approx(30 * 86_400_000, abs=5000)


def test_the_worker_s_number_grows_with_every_asking(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    claim(broker, 2)
    claim(broker, worker="w2")
    broker.cancel(["a"])
    first = broker.tick().asked
    broker.cancel(["b"])
    second = broker.tick().asked

    assert first.keys() == second.keys() == {WORKER}
    assert now_ms(broker) - 5000 < first[WORKER] < second[WORKER]


def test_a_number_grows_though_the_clock_has_gone_back(broker: RedisBroker) -> None:
    future = far_version(broker)
    broker.client.zadd(broker.keys["a"], {WORKER: future})
    asked(broker)

    assert broker.tick().asked == {WORKER: future + 1}


def test_a_running_job_whose_wish_was_lost_with_its_body_is_gone(broker: RedisBroker) -> None:
    asked(broker)
    broker.erase(["a"])

    assert broker.cancel(["a"]) == ["GONE"]
    assert broker.asked(WORKER) == []


@pytest.mark.parametrize("state", [State.SUCCESSFUL, State.FAILED, State.CANCELLED])
def test_an_ended_job_is_refused(broker: RedisBroker, state: State) -> None:
    run(broker, "a", state)

    assert broker.cancel(["a"], "too late") == ["ENDED"]
    assert record(broker, "a").reason == ""


def test_a_job_that_is_not_here_is_gone(broker: RedisBroker) -> None:
    assert broker.cancel(["a"]) == ["GONE"]
    assert broker.inspect(["a"]) == {}


def test_cancelling_twice_is_told_and_changes_nothing(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.cancel(["a"], "first")
    before = record(broker, "a")

    assert broker.cancel(["a"], "second") == ["ENDED"]
    assert record(broker, "a") == before


def test_each_job_gets_its_own_answer_in_order(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    claim(broker)

    assert broker.cancel(["gone", "c", "a", "b"]) == ["GONE", "OK", "ASKED", "OK"]


def test_a_reason_with_separators_does_not_break_the_record(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.cancel(["a"], "a|b\nc" + "x" * 500)

    assert record(broker, "a").reason == ("a/b c" + "x" * 500)[:200]


def test_cancelling_marks_the_job_with_a_later_version(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    before = marked(broker)["a"]
    broker.cancel(["a"])

    assert marked(broker)["a"] > before


def test_without_a_mirror_a_cancelled_job_expires(broker: RedisBroker) -> None:
    broker = without_mirror(broker)
    broker.enqueue([job("a")])
    broker.cancel(["a"])

    assert broker.client.zscore(broker.keys["x"], "a") - now_ms(broker) == pytest.approx(30 * 86_400_000, abs=5000)


def test_a_cancelled_job_is_not_promoted(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab", run_after=far_future()))
    broker.cancel(["a"])
    make_due(broker, "b")

    assert order(broker) == ["b"]
