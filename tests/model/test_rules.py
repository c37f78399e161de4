"""What a random machine would seldom come to: each promise of the broker, told as one story with a clock.

Time is exact to the millisecond, so each limit is tried on both of its sides.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from django_backie.broker.listener import Listener
from django_backie.broker.replies import Arrival, Ending, Lease, Pause, Ticked
from django_backie.broker.sent import Restored
from django_backie.core.job import Job, Packed
from django_backie.core.options import Options
from django_backie.core.outcome import Failed, Failure, Interrupted, Postponed, decide
from django_backie.core.states import State

from ..broker.support import NOTE, WORKER, claim, end, ids_of, job, jobs, marked, record, run, woken
from .clocked import ClockedBroker
from .reference import CRASH_DELAY, LEASE, OVER, START, TOMBSTONE

SECOND = 1000
HOUR = 3600 * SECOND
FAILURE = Failed(Failure("builtins.ValueError", "boom", "Traceback ..."))


def later(broker: ClockedBroker, milliseconds: int) -> None:
    """Let time go by, or set the clock back."""
    broker.now += milliseconds


def beats(broker: ClockedBroker, seconds: int, alive: str = "alive") -> int:
    """Let time go by second by second as one worker sees it, and answer how many jobs were taken back."""
    taken = 0
    for _ in range(seconds):
        later(broker, SECOND)
        broker.renew({alive: []})
        taken += broker.tick().recovered
    return taken


def kill(broker: ClockedBroker, worker: str = WORKER) -> list[Lease]:
    """Let a worker take what is there, and be killed by all of it."""
    leases = claim(broker, 10, worker=worker)
    broker.bury(worker, ids_of(leases))
    return leases


def drain(broker: ClockedBroker, limit: int = 3) -> list[str]:
    """Return all ready jobs in the order in which a worker gets them, a few at a time."""
    broker.join("drain")
    order: list[str] = []
    while leases := broker.turn("drain", limit=limit).leases:
        order += ids_of(leases)
    return order


# --- order ---


def mixed(count: int) -> Iterator[Packed]:
    """Return jobs of three queues and five priorities."""
    dice = random.Random(count)
    for number in range(count):
        yield job(f"{number:03}", queue=dice.choice("abc"), priority=dice.choice([-100, -1, 0, 1, 100]))


@pytest.mark.parametrize("limit", [1, 7, 500])
def test_a_drain_is_in_the_order_of_priority_and_then_of_enqueueing(broker: ClockedBroker, limit: int) -> None:
    enqueued = list(mixed(200))
    for start in range(0, 200, 13):
        broker.enqueue(enqueued[start : start + 13])

    assert drain(broker, limit) == ids_of(sorted(enqueued, key=lambda packed: -packed.priority))


def test_a_drain_of_named_queues_is_queue_by_queue(broker: ClockedBroker) -> None:
    enqueued = list(mixed(100))
    broker.enqueue(enqueued)
    broker.join(WORKER)

    leases = broker.turn(WORKER, limit=100, queues=["c", "a"], mode="only").leases

    named = [packed for packed in enqueued if packed.queue != "b"]
    assert ids_of(leases) == ids_of(sorted(named, key=lambda packed: (-ord(packed.queue), -packed.priority)))


def test_a_drain_after_many_adventures_is_in_the_order_of_enqueueing(broker: ClockedBroker) -> None:
    """Handed back, recovered and postponed jobs keep their places; retries go to the end as they come due."""
    ids = [f"{number:02}" for number in range(40)]
    broker.enqueue(jobs(ids))
    leases = claim(broker, 40)
    retried, postponed, returned = leases[0:40:4], leases[1:40:4], leases[2:40:4]
    endings = [Ending(lease.id, lease.token, State.RETRYABLE, delay=1) for lease in reversed(retried)]
    endings += [Ending(lease.id, lease.token, State.SCHEDULED, refund=True, delay=2) for lease in postponed]
    endings += [Ending(lease.id, lease.token, State.READY, refund=True) for lease in returned]
    assert set(broker.turn(WORKER, endings).answers) == {"OK"}
    broker.bury(WORKER, ids[3:40:8])
    later(broker, 2 * SECOND)

    again = ids_of(retried)
    assert drain(broker) == [job_id for job_id in ids if job_id not in again] + again


def test_priority_outweighs_any_number_of_jobs(broker: ClockedBroker) -> None:
    broker.enqueue([job("low", priority=-1), job("normal")])
    broker.client.set(broker.keys["seq"], 2**44)
    broker.enqueue([job("later"), job("high", priority=1), job("highest", priority=100)])

    assert drain(broker) == ["highest", "high", "normal", "later", "low"]


@pytest.mark.parametrize("priority", [1000, -1000, 99_999_999_999])
def test_a_priority_beyond_all_bounds_leaves_the_job_as_good_as_any(broker: ClockedBroker, priority: int) -> None:
    """A head that says so is damaged; what it would make of the score could not be read again."""
    broker.restore([Restored("a", job("a", queue="mail", priority=priority).body)])
    broker.enqueue([job("b")])

    leases = claim(broker, 2)

    assert ids_of(leases) == ["a", "b"]
    assert [end(broker, lease) for lease in leases] == ["OK", "OK"]


# --- retries ---


def test_a_job_that_always_fails_is_tried_exactly_as_often_as_it_may(broker: ClockedBroker) -> None:
    mine = Job("a", "task", "default", options=Options(max_attempts=4, backoff=10.0))
    broker.enqueue([job("a")])
    tried = []
    while leases := claim(broker):
        tried.append(leases[0].attempt)
        step = decide(mine, leases[0].attempt, FAILURE, dice=0.5)
        assert end(broker, leases[0], step.state, refund=step.refund, delay=step.delay) == "OK"
        later(broker, HOUR)

    assert tried == [1, 2, 3, 4]
    assert record(broker, "a").state is State.FAILED


def test_what_is_no_fault_of_the_job_uses_up_no_attempt(broker: ClockedBroker) -> None:
    mine = Job("a", "task", "default", options=Options(max_attempts=2))
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    for outcome in (Interrupted(), Postponed("unknown task", 1.0), FAILURE, Interrupted(), Postponed("newer", 1.0)):
        step = decide(mine, lease.attempt, outcome, dice=0.5)
        assert end(broker, lease, step.state, refund=step.refund, delay=step.delay) == "OK"
        later(broker, HOUR)
        (lease,) = claim(broker)
    broker.bury(WORKER, ["a"])
    (lease,) = claim(broker)

    assert lease.attempt == 2
    assert decide(mine, lease.attempt, FAILURE, dice=0.5).state is State.FAILED


def test_a_retry_is_not_ready_a_millisecond_early(broker: ClockedBroker) -> None:
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0], State.RETRYABLE, delay=10)

    later(broker, 10 * SECOND - 1)
    assert claim(broker) == []
    assert broker.tick(0).promoted == 0
    assert broker.turn(WORKER).next_due == 0.001

    later(broker, 1)
    assert broker.turn(WORKER).next_due == 0.0
    assert ids_of(claim(broker)) == ["a"]


def test_a_worker_that_takes_nothing_is_told_of_what_is_overdue(broker: ClockedBroker) -> None:
    broker.enqueue([job("a", run_after=START / 1000 + 1)])
    broker.join(WORKER)
    later(broker, 5 * SECOND)

    assert broker.turn(WORKER).next_due == 0.0


# --- leases ---


def test_jobs_of_a_silent_worker_come_back_when_its_lease_has_lapsed(broker: ClockedBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    broker.join("alive")
    broker.tick()

    assert beats(broker, LEASE // SECOND - 1) == 0
    assert beats(broker, 1) == 1
    assert drain(broker) == ["a"]


def test_a_worker_that_renews_keeps_its_jobs(broker: ClockedBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    broker.tick()

    assert beats(broker, 100, alive=WORKER) == 0
    assert end(broker, lease) == "OK"


@pytest.mark.parametrize("jump", [LEASE * 2 // 3 + 1, LEASE, HOUR, -5 * SECOND - 1, -HOUR])
def test_after_a_jump_of_the_clock_nobody_is_reaped_before_the_next_round(broker: ClockedBroker, jump: int) -> None:
    broker.enqueue(jobs("ab"))
    claim(broker, 2)
    broker.tick()
    broker.join("alive")
    later(broker, jump)

    assert broker.tick() == Ticked(0, 0, 0)
    later(broker, LEASE - SECOND)
    for _ in range(2):  # these are not jumps
        broker.client.set(broker.keys["clk"], broker.now - SECOND)
        broker.renew({"alive": []})
        taken = broker.tick().recovered
        later(broker, SECOND)

    assert taken == 2


@pytest.mark.parametrize("jump", [LEASE * 2 // 3, -5 * SECOND])
def test_a_small_jump_of_the_clock_spares_nobody(broker: ClockedBroker, jump: int) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    broker.tick()
    broker.client.zadd(broker.keys["w"], {WORKER: broker.now + min(jump, 0)})
    later(broker, jump)

    assert broker.tick() == Ticked(1, 1, 0)


# --- crashes ---


def test_the_first_crash_is_forgiven_the_second_waits_the_third_is_the_end(broker: ClockedBroker) -> None:
    broker.enqueue([job("a")])

    kill(broker)
    assert (record(broker, "a").state, record(broker, "a").crashes) == (State.READY, 1)

    kill(broker)
    assert (record(broker, "a").state, record(broker, "a").crashes) == (State.RETRYABLE, 2)
    later(broker, CRASH_DELAY - 1)
    assert kill(broker) == []

    later(broker, 1)
    assert ids_of(kill(broker)) == ["a"]
    found = record(broker, "a")
    assert (found.state, found.crashes, found.attempt) == (State.FAILED, 3, 0)
    assert [note["o"] for note in found.attempts] == ["lost"] * 3
    later(broker, HOUR)
    assert drain(broker) == []


def test_a_job_that_kills_whole_hosts_is_buried_though_nobody_sees_it(broker: ClockedBroker) -> None:
    """Nobody is left to tell what had begun: a job that vanished once is suspected from then on."""
    broker.enqueue([job("a")])
    broker.join("alive")
    broker.tick()
    seen = []
    for _ in range(4):
        claim(broker)
        beats(broker, LEASE // SECOND)
        seen.append((record(broker, "a").state, record(broker, "a").crashes))
        beats(broker, CRASH_DELAY // SECOND)

    assert seen == [(State.READY, 0), (State.READY, 1), (State.RETRYABLE, 2), (State.FAILED, 3)]


def test_a_crash_brought_back_from_the_row_counts_on(broker: ClockedBroker) -> None:
    """Of a job that has crashed before, one may not wait for a sign that it had begun."""
    broker.restore([Restored("a", job("a").body, crashes=1)])
    broker.join("alive")
    broker.tick()
    claim(broker)
    beats(broker, LEASE // SECOND)

    assert record(broker, "a").crashes == 2


def test_an_innocent_job_of_a_worker_that_was_seen_to_die_is_no_suspect(broker: ClockedBroker) -> None:
    """What had begun is known then; only what vanished unseen is suspected."""
    broker.enqueue([job("a")])
    claim(broker)
    broker.bury(WORKER, [])
    broker.join("alive")
    broker.tick()
    claim(broker)
    beats(broker, LEASE // SECOND)

    assert (record(broker, "a").state, record(broker, "a").crashes) == (State.READY, 0)


def test_recovered_jobs_return_to_their_own_places(broker: ClockedBroker) -> None:
    broker.enqueue(jobs("abcd", priority=3))
    claim(broker, 3)
    broker.enqueue([job("e", priority=3), job("f", priority=4)])
    broker.bury(WORKER, ["b"])

    assert drain(broker) == ["f", "a", "b", "c", "d", "e"]


def test_a_job_keeps_its_place_through_its_second_crash(broker: ClockedBroker) -> None:
    broker.enqueue([job("a")])
    kill(broker)
    kill(broker)
    broker.enqueue(jobs("bc"))
    later(broker, CRASH_DELAY)
    broker.tick(0)

    assert drain(broker) == ["a", "b", "c"]


def test_a_place_is_kept_once_only(broker: ClockedBroker) -> None:
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0], State.SCHEDULED, refund=True, delay=1)
    broker.enqueue([job("b")])
    later(broker, SECOND)
    (lease,) = claim(broker)
    assert lease.id == "a"
    end(broker, lease, State.RETRYABLE, delay=1)
    later(broker, SECOND)

    assert drain(broker) == ["b", "a"]


def dangerous(broker: ClockedBroker, ids: str) -> None:
    """Enqueue jobs that have killed two workers each, ready for their last try."""
    broker.restore([Restored(job_id, job(job_id).body, crashes=2) for job_id in ids])


def test_two_dangerous_jobs_never_come_to_one_worker_in_one_claim(broker: ClockedBroker) -> None:
    dangerous(broker, "ab")
    broker.enqueue([job("c")])

    assert ids_of(claim(broker, 5, worker="w1")) == ["a", "c"]
    later(broker, SECOND)
    assert ids_of(claim(broker, 5, worker="w2")) == ["b"]


def test_two_dangerous_jobs_never_come_to_one_worker_one_after_the_other(broker: ClockedBroker) -> None:
    dangerous(broker, "a")
    (first,) = claim(broker)
    dangerous(broker, "b")
    broker.renew({WORKER: ["a"]})

    assert claim(broker, 5) == []
    end(broker, first)
    later(broker, SECOND)
    assert ids_of(claim(broker, 5)) == ["b"]


def test_a_dangerous_job_that_a_worker_may_not_take_holds_up_nobody(broker: ClockedBroker) -> None:
    dangerous(broker, "abc")
    broker.enqueue(jobs("xy"))

    assert ids_of(claim(broker, 3)) == ["a"]
    assert ids_of(claim(broker, 3)) == ["x", "y"]


def test_a_dangerous_job_that_a_worker_may_not_take_comes_back_to_its_place_and_wakes_another(
    broker: ClockedBroker,
) -> None:
    dangerous(broker, "ab")
    claim(broker, 2)
    broker.enqueue([job("x")])
    listener = Listener(broker, [], "all", longest=1.0)
    woken(listener)
    assert not woken(listener)

    later(broker, SECOND - 1)
    assert broker.tick(0).promoted == 0
    later(broker, 1)
    assert broker.tick(0).promoted == 1

    assert woken(listener)
    assert ids_of(claim(broker, 5, worker="w2")) == ["b", "x"]


def test_jobs_that_have_crashed_once_may_share_a_worker(broker: ClockedBroker) -> None:
    broker.restore([Restored(job_id, job(job_id).body, crashes=1) for job_id in "ab"])

    assert ids_of(claim(broker, 5)) == ["a", "b"]


def test_an_innocent_job_is_not_buried_with_a_dangerous_one(broker: ClockedBroker) -> None:
    dangerous(broker, "a")
    broker.enqueue([job("b")])
    claim(broker, 2)
    broker.bury(WORKER, ["a", "b"])

    assert record(broker, "a").state is State.FAILED
    assert (record(broker, "b").state, record(broker, "b").crashes) == (State.READY, 1)


def test_a_worker_that_stops_charges_nobody_however_it_ends(broker: ClockedBroker) -> None:
    broker.enqueue(jobs("ab"))
    claim(broker, worker="seen")
    claim(broker, worker="unseen")
    broker.renew({"unseen": ["b"]})
    broker.stopping(["seen", "unseen"])
    broker.tick()
    broker.bury("seen", ["a"])
    broker.join("alive")
    beats(broker, LEASE // SECOND)

    assert [(record(broker, job_id).state, record(broker, job_id).crashes) for job_id in "ab"] == [(State.READY, 0)] * 2
    assert broker.client.exists(broker.keys["ws"]) == 0


# --- fencing ---


def test_a_lost_reply_shows_in_the_number_of_jobs_held_and_is_repaired(broker: ClockedBroker) -> None:
    broker.enqueue(jobs("abc"))
    known = claim(broker)
    lost = broker.turn(WORKER, limit=1).leases

    turn = broker.turn(WORKER, limit=1)

    assert turn.held == 3 > len(known) + len(turn.leases)
    held = broker.held(WORKER)
    assert sorted(held, key=lambda lease: lease.id) == [*known, *lost, *turn.leases]
    assert [end(broker, lease) for lease in held] == ["OK"] * 3


def test_no_two_attempts_ever_have_the_same_token(broker: ClockedBroker) -> None:
    """Not in one millisecond, not with the clock set back, not for another worker, not after a loss."""
    broker.enqueue([job("a")])
    tokens = []
    for step in (0, 0, 1, -5 * SECOND, 0, -HOUR, 2 * HOUR, 0):
        for worker in ("w1", "w2"):
            later(broker, step)
            (lease,) = claim(broker, worker=worker)
            tokens.append(lease.token)
            end(broker, lease, State.READY, refund=True, worker=worker)
    version = record(broker, "a").version
    broker.client.delete(*broker.client.keys(f"{broker.keys.prefix}[bdhqsw]*"))
    broker.restore([Restored("a", job("a").body, version=version)])
    tokens.append(claim(broker)[0].token)

    assert len(set(tokens)) == len(tokens)


def test_only_the_latest_of_many_attempts_can_be_ended(broker: ClockedBroker) -> None:
    broker.enqueue([job("a")])
    leases = []
    for _ in range(4):
        leases += claim(broker)
        end(broker, leases[-1], State.READY)
    leases += claim(broker)

    assert [broker.is_mine(WORKER, "a", lease.token) for lease in leases] == [False] * 4 + [True]
    assert [end(broker, lease) for lease in leases] == ["STALE"] * 4 + ["OK"]
    assert [end(broker, lease) for lease in leases] == ["DUP"] * 5


def test_a_late_result_does_not_pass_for_delivered_while_the_job_runs_on(broker: ClockedBroker) -> None:
    broker.enqueue([job("a")])
    (first,) = claim(broker)
    end(broker, first, State.READY)
    claim(broker)

    assert end(broker, first) == "STALE"


def test_a_stranger_is_not_told_that_its_result_was_delivered(broker: ClockedBroker) -> None:
    broker.enqueue([job("a")])
    (old,) = claim(broker, worker="w1")
    broker.bury("w1")
    (new,) = claim(broker, worker="w2")
    end(broker, new, worker="w2")

    assert end(broker, old, worker="w1") == "STALE"


def test_a_worker_that_lost_its_lease_may_not_commit(broker: ClockedBroker) -> None:
    broker.enqueue(jobs("ab"))
    (lease,) = claim(broker)
    later(broker, 1)
    claim(broker)

    assert not broker.is_mine(WORKER, "b", lease.token)
    assert not broker.is_mine("w2", "a", lease.token)
    assert broker.is_mine(WORKER, "a", lease.token)
    broker.bury(WORKER)
    assert not broker.is_mine(WORKER, "a", lease.token)


# --- the mirror ---


def revive(broker: ClockedBroker, **values: float) -> int:
    """Retry a job as a person does, who sees its row as it is now."""
    version = record(broker, "a").version
    return broker.restore([Restored("a", job("a").body, version=version, **values)], revive=True)[0]  # type: ignore[arg-type]


def test_versions_grow_with_every_change_whatever_the_clock_does(broker: ClockedBroker) -> None:
    changes: list[Callable[[], object]] = [
        lambda: broker.enqueue([job("a")]),
        lambda: claim(broker),
        lambda: end(broker, broker.held(WORKER)[0], State.SCHEDULED, refund=True, delay=1),
        lambda: broker.hasten(["a"]),
        lambda: kill(broker),
        lambda: kill(broker),
        lambda: broker.hasten(["a"]),
        lambda: kill(broker),
        lambda: revive(broker, due=broker.now / 1000 + 1),
        lambda: (later(broker, HOUR + SECOND), broker.tick(0)),
        lambda: broker.cancel(["a"]),
        lambda: revive(broker),
    ]
    seen = []
    for number, change in enumerate(changes):
        change()
        seen.append(marked(broker)["a"])
        # Not yet before the first claim: until then the job has no version but its time.
        later(broker, -HOUR if number else 0)

    assert seen == sorted(set(seen))


def test_an_older_version_leaves_the_mark(broker: ClockedBroker) -> None:
    """What changes between take and done is mirrored too, even within the same millisecond."""
    broker.enqueue([job("a")])
    for change in (claim, kill):
        seen = marked(broker)
        change(broker)
        broker.done(seen)
        assert marked(broker)["a"] > seen["a"]

    broker.done(marked(broker))
    assert marked(broker) == {}


def test_a_change_within_the_millisecond_of_its_enqueueing_is_mirrored(broker: ClockedBroker) -> None:
    broker.enqueue([job("a")])
    seen = marked(broker)
    end(broker, claim(broker)[0])

    assert broker.done(seen) == []
    assert marked(broker).keys() == {"a"}
    assert record(broker, "a").state is State.SUCCESSFUL


def test_a_tombstone_warns_the_mirror_for_an_hour(broker: ClockedBroker) -> None:
    broker.enqueue([job("a")])
    versions = marked(broker)
    broker.erase(["a"])
    later(broker, TOMBSTONE - 1)
    broker.erase(["b"])
    assert broker.done(versions) == ["a"]

    broker.tick()
    assert broker.done(versions) == ["a"]
    later(broker, 1)
    broker.tick(0.0)
    assert broker.done(versions) == []
    assert broker.done({"b": 1}) == ["b"]


@pytest.mark.parametrize("ended", [State.FAILED, State.CANCELLED])
def test_a_push_that_comes_ten_minutes_late_does_not_revive_what_failed(broker: ClockedBroker, ended: State) -> None:
    run(broker, "a", ended)
    version = marked(broker)["a"]
    broker.done(marked(broker))
    later(broker, version + OVER - 1 - broker.now)
    broker.tick()
    assert broker.enqueue([job("a")]) == [Arrival.PRESENT]
    assert drain(broker) == []

    later(broker, 1)
    broker.tick(0.0)
    assert broker.enqueue([job("a")]) == [Arrival.ADDED]


@pytest.mark.parametrize("ended", [State.SUCCESSFUL, State.FAILED, State.CANCELLED])
def test_only_what_has_ended_and_is_mirrored_leaves(broker: ClockedBroker, ended: State) -> None:
    broker.enqueue(jobs("abcd"))
    leases = claim(broker, 3)
    end(broker, leases[0], ended)
    end(broker, leases[1], State.RETRYABLE, delay=60)
    broker.done(marked(broker))

    assert broker.missing(list("abcd")) == ["a"]
    later(broker, HOUR)
    assert ids_of(broker.turn(WORKER, limit=9).leases) == ["d", "b"]


def test_the_mirror_sees_past_what_it_cannot_write(broker: ClockedBroker) -> None:
    for job_id in "abc":
        broker.enqueue([job(job_id)])
        later(broker, 1)

    assert [snapshot.id for snapshot in broker.take(1, offset=1)] == ["b"]
    assert [snapshot.id for snapshot in broker.take(9, offset=1)] == ["b", "c"]


def test_a_job_with_the_very_version_of_its_row_is_raised_above_it(broker: ClockedBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    version = marked(broker)["a"]

    assert broker.lift({"a": version - 1}) == 0
    assert broker.lift({"a": version}) == 1
    assert marked(broker)["a"] == record(broker, "a").version > version


def test_a_job_removed_by_its_row_leaves_its_queue(broker: ClockedBroker) -> None:
    broker.enqueue(jobs("ab"))
    broker.drop({"a": START + HOUR})

    assert broker.client.zrange(broker.keys.queue("default"), 0, -1) == ["b"]


# --- wake-ups ---


def test_workers_of_every_queue_of_one_push_are_woken(broker: ClockedBroker) -> None:
    listeners = [Listener(broker, [queue], "only", longest=1.0) for queue in "abc"]
    broker.enqueue([job(queue, queue=queue) for queue in "abc"])

    assert [woken(listener) for listener in listeners] == [True] * 3


def test_a_worker_that_takes_the_last_jobs_wakes_nobody(broker: ClockedBroker) -> None:
    listener = Listener(broker, [], "all", longest=1.0)
    broker.enqueue(jobs("ab"))
    woken(listener)
    claim(broker, 2)

    assert not woken(listener)


@pytest.mark.parametrize("known", [True, False])
def test_workers_that_exclude_queues_are_told_of_a_new_one_once(broker: ClockedBroker, known: bool) -> None:
    """They wait for the markers of the queues that they knew when they began to wait."""
    if known:
        broker.enqueue([job("a", queue="new")])
        broker.client.delete(broker.keys["kn"])
    broker.enqueue([job("b", queue="new")])

    assert broker.client.exists(broker.keys["kn"]) == (not known)


# --- people ---


@pytest.mark.parametrize("change", ["cancel", "hasten"])
def test_a_retry_that_does_not_wait_any_more_is_not_shown_as_due(broker: ClockedBroker, change: str) -> None:
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0], State.RETRYABLE, delay=60)
    assert record(broker, "a").due == START / 1000 + 60

    assert getattr(broker, change)(["a"]) == ["OK"]
    assert record(broker, "a").due is None


def test_a_job_brought_back_late_is_not_shown_as_due_while_it_runs(broker: ClockedBroker) -> None:
    broker.restore([Restored("a", job("a").body, due=START / 1000 - 60)])
    claim(broker)

    assert (record(broker, "a").state, record(broker, "a").due) == (State.RUNNING, None)


def test_a_job_for_this_very_millisecond_is_ready(broker: ClockedBroker) -> None:
    broker.enqueue([job("now", run_after=START / 1000), job("next", run_after=(START + 1) / 1000)])

    assert [record(broker, job_id).state for job_id in ("now", "next")] == [State.READY, State.SCHEDULED]


def test_what_happened_before_a_loss_is_told_by_the_row(broker: ClockedBroker) -> None:
    broker.restore([Restored("a", job("a").body, attempt=2, attempts=({"n": 1}, {"n": 2}))])

    assert record(broker, "a").attempts == ({"n": 1}, {"n": 2})
    assert claim(broker)[0].attempts() == ({"n": 1}, {"n": 2})


@pytest.mark.parametrize("state", [State.READY, State.RETRYABLE, State.SCHEDULED, State.BLOCKED, None])
def test_a_job_that_lives_is_not_brought_back(broker: ClockedBroker, state: State | None) -> None:
    """None: it runs."""
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    if state is not None:
        end(broker, lease, state, refund=True, delay=60)
    before = broker.inspect(["a"])

    assert broker.restore([Restored("a", job("a", queue="other").body, attempt=7)], revive=True) == [0]
    assert broker.inspect(["a"]) == before


@pytest.mark.parametrize("state", [State.SUCCESSFUL, State.FAILED, State.CANCELLED])
def test_a_job_that_has_ended_is_brought_back_with_its_history(broker: ClockedBroker, state: State) -> None:
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0], state, reason="why", note=NOTE)
    body, seen = job("a", queue="other", priority=9).body, record(broker, "a").version
    row = Restored("a", body, attempts=({"n": 8}, {"n": 9}), version=seen)

    (version,) = broker.restore([row], revive=True)

    found = record(broker, "a")
    assert (found.state, found.finished, found.reason, found.version) == (State.READY, None, "", version)
    assert [note["n"] for note in found.attempts] == [1]
    assert ids_of(broker.turn(WORKER, limit=1, queues=["other"], mode="only").leases) == ["a"]


@pytest.mark.parametrize("state", [State.SUCCESSFUL, State.FAILED, State.CANCELLED])
def test_a_job_that_has_ended_before_its_row_knows_is_not_lost(broker: ClockedBroker, state: State) -> None:
    broker.enqueue([job("a")])
    end(broker, claim(broker)[0], state)
    before = broker.inspect(["a"])

    assert broker.restore([Restored("a", job("a").body)]) == [0]
    assert broker.inspect(["a"]) == before
    assert drain(broker) == []


def test_what_is_cancelled_does_not_come_back(broker: ClockedBroker) -> None:
    broker.enqueue([job("ready"), job("due", run_after=START / 1000 + 5)])
    end(broker, claim(broker)[0], State.SCHEDULED, refund=True, delay=5)

    assert broker.cancel(["ready", "due"]) == ["OK", "OK"]
    later(broker, HOUR)
    broker.tick()
    assert drain(broker) == []
    assert [record(broker, job_id).state for job_id in ("ready", "due")] == [State.CANCELLED] * 2


# --- pauses ---


@pytest.mark.parametrize("is_asked_by", ["worker", "tick"])
def test_a_pause_ends_at_its_time_and_not_a_millisecond_before(broker: ClockedBroker, is_asked_by: str) -> None:
    broker.enqueue([job("a")])
    broker.pause("default", Pause(1.0, until=(START + 4 * SECOND) / 1000))
    broker.pause("mail", Pause(1.0))
    later(broker, 4 * SECOND - 1)
    assert claim(broker) == []
    assert broker.tick(0.0) == Ticked(0, 0, 0)
    assert broker.client.hkeys(broker.keys["p"]) == ["default", "mail"]

    later(broker, 1)
    if is_asked_by == "tick":
        broker.tick(0.0)
        assert broker.client.hkeys(broker.keys["p"]) == ["mail"]
    assert ids_of(claim(broker)) == ["a"]


def test_a_drain_around_a_pause_is_in_the_order_of_enqueueing(broker: ClockedBroker) -> None:
    enqueued = list(mixed(60))
    broker.enqueue(enqueued[:30])
    broker.pause("b", Pause(1.0))
    broker.enqueue(enqueued[30:])
    wanted = sorted(enqueued, key=lambda packed: -packed.priority)

    assert drain(broker) == [packed.id for packed in wanted if packed.queue != "b"]
    broker.resume("b")
    assert drain(broker) == [packed.id for packed in wanted if packed.queue == "b"]
