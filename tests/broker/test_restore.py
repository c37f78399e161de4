"""Bring jobs back from their rows."""

from __future__ import annotations

import pytest

from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.broker.sent import Restored
from django_backie.core.states import State

from .support import (
    HOUR,
    NOTE,
    WORKER,
    claim,
    end,
    far_future,
    job,
    jobs,
    make_due,
    marked,
    now_ms,
    order,
    record,
    run,
    without_mirror,
    woken,
)


def remembered(job_id: str, queue: str = "default", priority: int = 0, **values: object) -> Restored:
    """Return a job as its row remembers it."""
    return Restored(job_id, job(job_id, queue=queue, priority=priority).body, **values)  # type: ignore[arg-type]


def test_a_lost_job_is_ready_again_at_the_end_of_its_priority(broker: RedisBroker) -> None:
    broker.enqueue([job("b", priority=1), job("c")])

    (version,) = broker.restore([remembered("a", priority=1)])

    assert version == record(broker, "a").version
    assert order(broker) == ["b", "a", "c"]


def test_a_queue_that_only_its_row_knew_is_served_again(broker: RedisBroker) -> None:
    broker.restore([remembered("a", queue="forgotten")])

    assert order(broker) == ["a"]


def test_attempts_and_crashes_are_counted_on(broker: RedisBroker) -> None:
    broker.restore([remembered("a", attempt=2, crashes=1)])

    (lease,) = claim(broker)

    assert (lease.attempt, lease.crashes) == (3, 1)


def test_a_lost_job_that_was_begun_gives_its_key_to_nobody_and_is_no_duplicate(broker: RedisBroker) -> None:
    """The key stands until the start: of two jobs that were there, one had started."""
    waits = Restored("b", job("b", unique="s1").body)
    ran = Restored("a", job("a", unique="s1").body, first_started=1_700_000_000.0)
    broker.restore([waits, ran])

    assert [record(broker, name).state for name in "ab"] == [State.READY, State.READY]
    assert record(broker, "a").first_started == 1_700_000_000.0


def test_a_lost_job_that_was_begun_is_not_replaced(broker: RedisBroker) -> None:
    broker.restore([Restored("a", job("a", unique="e1|r").body, first_started=1_700_000_000.0)])
    broker.enqueue([job("b", unique="e1|r")])

    assert [record(broker, name).state for name in "ab"] == [State.READY, State.CANCELLED]


def test_a_job_that_a_person_retries_begins_anew(broker: RedisBroker) -> None:
    row = Restored("a", job("a", unique="s1").body, first_started=1_700_000_000.0)
    broker.restore([row], revive=True)

    assert record(broker, "a").first_started is None


def test_a_job_whose_time_is_to_come_waits_for_it(broker: RedisBroker) -> None:
    when = far_future()
    broker.restore([remembered("a", due=when)])

    found = record(broker, "a")

    assert order(broker) == []
    assert (found.state, found.due) == (State.SCHEDULED, pytest.approx(when, abs=0.001))
    make_due(broker, "a")
    assert order(broker) == ["a"]


def test_a_job_whose_time_has_passed_is_ready(broker: RedisBroker) -> None:
    broker.restore([remembered("a", due=1.0)])

    assert record(broker, "a").state is State.READY
    assert order(broker) == ["a"]


@pytest.mark.parametrize("state", [State.SCHEDULED, State.RETRYABLE, State.READY, State.BLOCKED])
def test_a_waiting_job_is_left_alone(broker: RedisBroker, state: State) -> None:
    run(broker, "a", state, delay=HOUR)
    before = record(broker, "a")

    assert broker.restore([remembered("a")]) == [0]
    assert record(broker, "a") == before


def test_a_job_that_was_never_tried_is_left_alone(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))

    assert broker.restore([remembered("a")]) == [0]
    assert order(broker) == ["a", "b"]


def test_a_running_job_is_left_alone(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)

    assert broker.restore([remembered("a")]) == [0]
    assert order(broker) == []
    assert end(broker, lease) == "OK"


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_an_ended_job_runs_again_with_all_its_attempts(broker: RedisBroker, state: State) -> None:
    run(broker, "a", state, reason="why", note=NOTE)
    before = record(broker, "a").version

    (version,) = broker.restore([remembered("a", version=before)], revive=True)

    found = record(broker, "a")
    assert version == found.version > before
    assert (found.state, found.attempt, found.finished, found.reason) == (State.READY, 0, None, "")
    assert len(found.attempts) == 1, "what happened before is not forgotten"
    (lease,) = claim(broker)
    assert lease.attempt == 1


def test_what_half_of_a_script_has_left_of_a_job_is_not_added_to_its_row(broker: RedisBroker) -> None:
    run(broker, "a", State.RETRYABLE, delay=HOUR, note=NOTE)
    broker.client.hdel(broker.keys["b"], "a")

    broker.restore([remembered("a", attempt=2, attempts=({"n": 1}, {"n": 2}))])

    found = record(broker, "a")
    assert (found.attempt, found.attempts) == (2, ({"n": 1}, {"n": 2}))


def test_restoring_twice_runs_the_job_once(broker: RedisBroker) -> None:
    versions = [broker.restore([remembered("a")], revive=True)[0] for _ in range(2)]

    assert versions[0] > 0 == versions[1]
    assert order(broker) == ["a"]


def test_a_late_ending_from_before_the_retry_does_not_end_the_new_attempt(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (before,) = claim(broker)
    end(broker, before, State.FAILED)
    broker.restore([remembered("a", version=record(broker, "a").version)], revive=True)
    claim(broker)

    assert end(broker, before, State.FAILED, worker=WORKER) != "OK"
    assert record(broker, "a").state is State.RUNNING


def test_a_restored_version_is_later_than_anything_before_the_loss(broker: RedisBroker) -> None:
    before = now_ms(broker)

    assert broker.restore([remembered("a")], revive=True)[0] > before


def test_restoring_marks_the_job_and_wakes_a_worker(broker: RedisBroker) -> None:
    listener = Listener(broker, ["mail"], "only", longest=1.0)

    (version,) = broker.restore([remembered("a", queue="mail")])

    assert marked(broker) == {"a": version}
    assert woken(listener)
    listener.close()


def test_many_jobs_are_restored_in_order(broker: RedisBroker) -> None:
    ids = [f"{number:03}" for number in range(500)]

    assert all(broker.restore([remembered(job_id) for job_id in ids]))
    assert order(broker, limit=1000) == ids


def test_one_damaged_body_does_not_keep_the_others_away(broker: RedisBroker) -> None:
    broker.restore([Restored("damaged", "not a body"), remembered("a")])

    assert "a" in order(broker)


def test_without_a_mirror_a_restored_job_does_not_expire_any_more(broker: RedisBroker) -> None:
    broker = without_mirror(broker)
    run(broker, "a", State.FAILED)
    broker.restore([remembered("a", version=record(broker, "a").version)], revive=True)

    assert broker.client.zcard(broker.keys["x"]) == 0


@pytest.mark.parametrize("state", [State.SUCCESSFUL, State.FAILED])
def test_a_job_that_has_ended_is_not_lost_though_its_row_does_not_know_yet(broker: RedisBroker, state: State) -> None:
    run(broker, "a", state)

    assert broker.restore([remembered("a")]) == [0]
    assert record(broker, "a").state is state


def test_the_next_version_is_larger_than_the_rows_whatever_the_clock_says(broker: RedisBroker) -> None:
    ahead = now_ms(broker) + 3_600_000

    assert broker.restore([remembered("a", version=ahead)]) == [ahead + 1]


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
@pytest.mark.parametrize("revive", [False, True])
def test_a_row_older_than_the_end_of_its_job_brings_nothing_back(
    broker: RedisBroker, state: State, revive: bool
) -> None:
    run(broker, "a", state)
    version = marked(broker)["a"]
    broker.done(marked(broker))

    assert broker.restore([remembered("b"), remembered("a", version=version - 1)], revive=revive)[1] == 0
    assert broker.missing(["a"]) == ["a"]
    assert order(broker) == ["b"]


def test_a_retry_that_comes_late_does_not_revive_what_has_ended_once_more(broker: RedisBroker) -> None:
    run(broker, "a", State.FAILED)
    first = marked(broker)["a"]
    broker.restore([remembered("a", version=first)], revive=True)
    end(broker, claim(broker)[0], State.FAILED)

    assert broker.restore([remembered("a", version=first)], revive=True) == [0]
    assert record(broker, "a").state is State.FAILED


def test_a_failed_job_that_has_left_is_retried_as_its_row_shows_it(broker: RedisBroker) -> None:
    run(broker, "a", State.FAILED)
    version = marked(broker)["a"]
    broker.done(marked(broker))

    (revived,) = broker.restore([remembered("a", version=version)], revive=True)

    assert revived > version
    assert order(broker) == ["a"]


def test_a_retried_job_comes_back_after_a_loss(broker: RedisBroker) -> None:
    run(broker, "a", State.FAILED)
    version = marked(broker)["a"]
    broker.done(marked(broker))
    (revived,) = broker.restore([remembered("a", version=version)], revive=True)
    broker.client.delete(*(broker.keys[name] for name in ("b", "h", "q:default", "d")))

    assert broker.restore([remembered("a", version=revived)]) > [revived]
    assert order(broker) == ["a"]
