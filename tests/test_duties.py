"""What every worker can do for all, on the real server and the test database."""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError

from django_backie import mirror as mirror_module
from django_backie import outbox
from django_backie.broker import epoch
from django_backie.broker.replies import Ending
from django_backie.cleansing import STARS
from django_backie.core import codec
from django_backie.core.job import Job
from django_backie.core.states import State
from django_backie.duties.base import LONGEST_PAUSE, Bell, Rota
from django_backie.duties.mirror import Mirror
from django_backie.duties.prune import Prune
from django_backie.duties.reconcile import AGAIN_AFTER, TURN, Reconcile
from django_backie.duties.recover import Recover
from django_backie.duties.relay import Relay
from django_backie.duties.release import Release
from django_backie.duties.rota import duties_of, prepare
from django_backie.exceptions import BrokerUnavailable
from django_backie.models import Attempt
from django_backie.models import Job as JobRow
from django_backie.moments import moment

from .app.tasks import echo
from .rows import CREATED, SIGNER, make_job, note, row, row_of

pytestmark = pytest.mark.django_db(databases=["default", "other"])

DAY = 86_400.0


class FakeClock:
    """A clock that stands until it is moved."""

    def __init__(self, now: float = CREATED) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class FakeDuty:
    """A duty that does what the test says and counts how often."""

    def __init__(self, name: str = "fake", delay: float = 5.0) -> None:
        self.name = name
        self.delay = delay
        self.ticks = 0
        self.error: Exception | None = None

    def tick(self) -> float:
        self.ticks += 1
        if self.error is not None:
            raise self.error
        return self.delay


def push(backend: Any, *jobs: Job) -> None:
    backend.broker.enqueue([codec.pack(job, SIGNER, 1000) for job in jobs])


def run(backend: Any, state: State = State.SUCCESSFUL, **values: Any) -> None:
    """Run whatever is ready to an end."""
    backend.broker.join("w1")
    for lease in backend.broker.turn("w1", limit=100).leases:
        assert backend.broker.turn("w1", [Ending(lease.id, lease.token, state, **values)]).answers == ["OK"]


def ready(backend: Any) -> list[str]:
    """Return the jobs that a worker would get, in order."""
    backend.broker.join("reader")
    return [lease.id for lease in backend.broker.turn("reader", limit=100).leases]


# The loop.


def test_a_duty_runs_when_its_time_has_come() -> None:
    clock, duty = FakeClock(), FakeDuty(delay=5.0)
    rota = Rota([duty], Bell(), clock)
    ticks = []
    for _ in range(8):
        rota.run_due()
        ticks.append(duty.ticks)
        clock.time += 2.0

    assert ticks == [1, 1, 1, 2, 2, 2, 3, 3]


def test_a_duty_that_fails_is_tried_again_at_growing_distances() -> None:
    clock, duty = FakeClock(), FakeDuty()
    duty.error = ValueError("broken")
    rota = Rota([duty], Bell(), clock)
    times = []
    for _ in range(400):
        before = duty.ticks
        rota.run_due()
        if duty.ticks > before:
            times.append(clock.time - CREATED)
        clock.time += 0.25

    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, LONGEST_PAUSE]
    assert set(gaps[6:]) == {LONGEST_PAUSE}


def test_a_duty_that_fails_does_not_take_the_others_down() -> None:
    broken, sound = FakeDuty("broken"), FakeDuty("sound")
    broken.error = RuntimeError("broken")
    Rota([broken, sound], Bell(), FakeClock()).run_due()

    assert (broken.ticks, sound.ticks) == (1, 1)


@pytest.mark.parametrize(
    ("error", "traceback"), [(BrokerUnavailable("no Redis"), False), (ValueError("no idea"), True)]
)
def test_a_failure_is_logged_with_a_traceback_only_if_it_is_a_surprise(
    error: Exception, traceback: bool, caplog: pytest.LogCaptureFixture
) -> None:
    duty = FakeDuty("mirror")
    duty.error = error
    Rota([duty], Bell(), FakeClock()).run_due()

    (entry,) = caplog.records
    assert entry.getMessage() == f"mirror failed, again in 0.5 s: {error}"
    assert bool(entry.exc_info) is traceback


def test_a_duty_that_works_again_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "django_backie.duties")
    clock, duty = FakeClock(), FakeDuty("mirror", delay=1.0)
    rota = Rota([duty], Bell(), clock)
    for error in (BrokerUnavailable(), None, None, BrokerUnavailable()):
        duty.error = error
        rota.run_due()
        clock.time += 1.0

    said = [entry.getMessage().split(":")[0] for entry in caplog.records]
    assert said == ["mirror failed, again in 0.5 s", "mirror works again", "mirror failed, again in 0.5 s"]


def test_the_loop_ends_when_it_is_stopped() -> None:
    stop = Bell()

    class Last(FakeDuty):
        def tick(self) -> float:
            stop.stop()
            return super().tick()

    duty = Last()
    Rota([duty], stop, FakeClock()).run()

    assert duty.ticks == 1


def test_a_stopped_loop_starts_nothing() -> None:
    stop, duty = Bell(), FakeDuty()
    stop.stop()
    Rota([duty], stop).run()

    assert duty.ticks == 0


def test_without_a_mirror_only_what_needs_no_database_is_done(backend: Any) -> None:
    names = [duty.name for duty in duties_of(backend)]
    assert names == [
        "recover",
        "mirror",
        "relay",
        "reconcile",
        "schedules",
        "schedule_rows",
        "release",
        "prune",
        "migrations",
    ]

    backend.config = replace(backend.config, databases=())
    assert [duty.name for duty in duties_of(backend)] == ["recover", "reconcile"]


def test_a_bell_for_nobody_is_heard_once() -> None:
    """Where there is no mirror, nothing that is always due must be left behind."""
    bell, other = Bell(), FakeDuty("other", delay=50.0)
    rota = Rota([other], bell, FakeClock())
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        bell.is_stop = len(waits) == 2
        return True

    bell.wait = wait  # type: ignore[method-assign]
    rota.run()

    assert waits == [50.0, 50.0]


def test_a_bell_makes_the_mirror_due_at_once() -> None:
    bell, mirror, other = Bell(), FakeDuty("mirror", delay=50.0), FakeDuty("other", delay=50.0)

    class Ringing(FakeDuty):
        def tick(self) -> float:
            if mirror.ticks < 3:
                bell.hurry()
            else:
                bell.stop()
            return super().tick()

    ringing = Ringing("ringing", delay=0.0)
    Rota([mirror, other, ringing], bell, FakeClock()).run()

    assert (mirror.ticks, other.ticks) == (3, 1)


# Recover.


def test_recover_takes_back_what_a_dead_worker_holds(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    job = make_job()
    push(backend, job)
    backend.broker.join("w1")
    backend.broker.turn("w1", limit=1)
    backend.broker.client.zadd(backend.broker.keys["w"], {"w1": 1})

    assert Recover(backend.broker).tick() == 1.0
    assert ready(backend) == [job.id]
    assert "1 worker(s) died; 1 job(s) taken back" in caplog.text


# Mirror.


def test_mirror_writes_what_changed_and_lets_the_ended_go(backend: Any) -> None:
    ended, waiting = make_job(args=[1, 2]), make_job(database="other", run_after=time.time() + DAY)
    push(backend, ended, waiting)
    run(backend)

    assert Mirror(backend).tick() == Mirror.interval
    assert (row_of(ended).state, row_of(ended).arguments) == ("SUCCESSFUL", {"a": 1, "b": 2})
    assert row_of(waiting, "other").state == "SCHEDULED"
    assert backend.broker.take(10) == []
    assert backend.broker.missing([ended.id, waiting.id]) == [ended.id]


def test_mirror_does_not_pause_while_there_is_a_full_batch(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mirror, "batch", 2)
    push(backend, *(make_job() for _ in range(3)))
    duty = Mirror(backend)

    assert [duty.tick(), duty.tick()] == [0.0, Mirror.interval]
    assert JobRow.objects.count() == 3


def rows_looked_for(backend: Any, duty: Mirror, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Mirror eleven batches of two new jobs; return for each whether rows were looked for that are there."""
    write, found = mirror_module.write, list[bool]()

    def written(*arguments: Any, are_new: bool) -> Any:
        found.append(not are_new)
        return write(*arguments, are_new=are_new)

    monkeypatch.setattr(mirror_module, "write", written)
    for _ in range(11):
        push(backend, make_job(), make_job())
        duty.tick()
    return found


def test_after_a_batch_of_new_jobs_nobody_looks_for_their_rows_for_nine_batches(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mirror, "batch", 2)

    assert rows_looked_for(backend, Mirror(backend), monkeypatch) == [True, *[False] * 9, True]
    assert JobRow.objects.count() == 22


def test_small_batches_of_new_jobs_are_looked_for(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rows_looked_for(backend, Mirror(backend), monkeypatch) == [True] * 11


def test_draining_mirrors_everything(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mirror, "batch", 2)
    push(backend, *(make_job() for _ in range(5)))
    Mirror(backend).drain()

    assert JobRow.objects.count() == 5
    assert backend.broker.take(10) == []


def test_a_database_that_is_down_loses_nothing(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job()
    push(backend, job)
    run(backend)
    duty = Mirror(backend)

    with monkeypatch.context() as patch:
        patch.setattr("django_backie.mirror.write", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            duty.tick()
    duty.tick()

    assert row_of(job).state == "SUCCESSFUL"


def test_a_change_during_the_write_is_mirrored_next(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job()
    push(backend, job)
    duty, take = Mirror(backend), backend.broker.take

    def take_and_change(limit: int, offset: int) -> Any:
        snapshots = take(limit, offset)
        run(backend)
        return snapshots

    with monkeypatch.context() as patch:
        patch.setattr(type(backend.broker), "take", lambda _, limit, offset: take_and_change(limit, offset))
        duty.tick()
    assert row_of(job).state == "READY"

    duty.tick()
    assert row_of(job).state == "SUCCESSFUL"


def test_a_job_erased_during_the_write_does_not_come_back(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(database="other")
    push(backend, job)
    run(backend, State.FAILED, note='{"n":1,"w":"w1","s":1.0,"e":2.0,"o":"failed","c":"E","m":"","t":""}')
    take = backend.broker.take

    def take_and_erase(limit: int, offset: int) -> Any:
        snapshots = take(limit, offset)
        backend.broker.erase([job.id])
        return snapshots

    monkeypatch.setattr(type(backend.broker), "take", lambda _, limit, offset: take_and_erase(limit, offset))
    Mirror(backend).tick()

    assert JobRow.objects.using("other").count() == Attempt.objects.using("other").count() == 0


def test_secrets_do_not_reach_a_shown_column(backend: Any) -> None:
    job = make_job(task="tests.app.tasks.pay", args=[5], kwargs={"pin": "hunter2", "api_token": "tk-4711"})
    push(backend, job)
    run(backend)
    Mirror(backend).tick()

    found = row_of(job)
    assert found.arguments == {"amount": 5, "pin": STARS, "api_token": STARS}
    assert found.body == "", "a success needs it only for its exact arguments"


def test_a_task_that_this_worker_does_not_know_may_have_secrets_of_any_name(backend: Any) -> None:
    job = make_job(task="newer.tasks.pay", args=["hunter2"], kwargs={"api_token": "hunter2", "pin": "hunter2"})
    push(backend, job)
    Mirror(backend).tick()

    assert "hunter2" not in str(row_of(job).arguments)


def test_a_job_ends_in_its_row_though_the_clock_has_gone_back(backend: Any) -> None:
    job = make_job()
    push(backend, job)
    row(job, version=int(time.time() * 1000) + 3_600_000)
    run(backend)
    Mirror(backend).drain()

    assert row_of(job).state == "SUCCESSFUL"
    assert backend.broker.missing([job.id]) == [job.id]


# Relay.


def test_relay_pushes_what_never_arrived_in_order_and_once(backend: Any) -> None:
    made = [make_job(created=CREATED - at) for at in (3, 2, 1)]
    for job in reversed(made):
        row(job)
    row(make_job(created=CREATED + 100))
    duty = Relay(backend, FakeClock(CREATED + 10))

    assert [duty.tick(), duty.tick()] == [Relay.interval, Relay.interval]
    assert ready(backend) == [job.id for job in made]


def test_before_a_burst_the_whole_outbox_is_pushed(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    made = [make_job(created=CREATED - at) for at in (5, 4, 3, 2, 1)]
    for job in made:
        row(job)
    prepare(backend, FakeClock(CREATED + 10))

    assert ready(backend) == [job.id for job in made]


def test_before_a_burst_a_database_that_fails_is_told_and_no_reason_to_stay(
    backend: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(*_: Any) -> int:
        raise OperationalError("no such table")

    monkeypatch.setattr(outbox, "relay", down)
    prepare(backend, FakeClock(CREATED + 10))

    assert "relay: 'default' is left out for now: no such table" in caplog.text


def test_relay_serves_every_database(backend: Any) -> None:
    here, there = make_job(), make_job(database="other", created=CREATED + 1)
    row(here)
    row(there, "other")
    Relay(backend, FakeClock(CREATED + 10)).tick()

    assert ready(backend) == [here.id, there.id]


def test_relay_does_not_pause_while_there_is_a_full_batch(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    for _ in range(2):
        row(make_job())

    assert Relay(backend, FakeClock(CREATED + 10)).tick() == 0.0


def test_a_relayed_job_is_left_alone_once_the_mirror_has_seen_it(backend: Any) -> None:
    job = make_job()
    row(job)
    duty = Relay(backend, FakeClock(CREATED + 10))
    duty.tick()
    run(backend)
    Mirror(backend).tick()
    duty.tick()

    assert row_of(job).state == "SUCCESSFUL"
    assert ready(backend) == []


def test_relay_without_redis_leaves_the_rows(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job()
    row(job)

    def down(*_: Any) -> None:
        raise BrokerUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(type(backend.broker), "enqueue", down)
        with pytest.raises(BrokerUnavailable):
            Relay(backend, FakeClock(CREATED + 10)).tick()
    Relay(backend, FakeClock(CREATED + 10)).tick()

    assert ready(backend) == [job.id]


# Reconcile.


def wipe(backend: Any) -> None:
    """Empty the namespace, as a server that lost its memory."""
    client = backend.broker.client
    client.delete(*client.scan_iter(f"{backend.broker.keys.prefix}*", count=1000))


def test_reconcile_brings_back_every_job_that_redis_has_lost(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    here, there = make_job(), make_job(database="other")
    push(backend, here, there)
    Mirror(backend).tick()
    wipe(backend)

    assert Reconcile(backend, FakeClock(CREATED + 60)).tick() == Reconcile.interval
    assert sorted(ready(backend)) == sorted([here.id, there.id])
    assert "Redis had lost 1 job(s); brought back from 'other'" in caplog.text


def settled(backend: Any, clock: FakeClock) -> Reconcile:
    """Return a duty that has found everything in order, on this server."""
    duty = Reconcile(backend, clock)
    duty.tick()
    return duty


def test_a_server_that_was_emptied_gets_even_the_youngest_jobs_back_at_once(backend: Any) -> None:
    clock = FakeClock(CREATED + 0.1)
    duty = settled(backend, clock)
    young = make_job()
    push(backend, young)
    Mirror(backend).tick()
    wipe(backend)
    clock.time += 1
    duty.tick()

    assert ready(backend) == [young.id]


def test_another_server_than_before_gets_back_what_it_lacks(backend: Any) -> None:
    clock = FakeClock(CREATED + 9)
    duty = settled(backend, clock)
    kept, lost = make_job(), make_job()
    push(backend, kept, lost)
    Mirror(backend).tick()
    backend.broker.drop({lost.id: 9_999_999_999_999})
    duty.tick()
    assert backend.broker.missing([kept.id, lost.id]) == [lost.id], "the same server has surely lost nothing"

    backend.broker.keep("another")
    duty.tick()
    assert backend.broker.missing([kept.id, lost.id]) == []
    assert not epoch.look(backend.broker).has_changed


def test_another_server_than_before_loses_what_has_ended_by_the_rows(
    backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    job, clock = make_job(), FakeClock(time.time())
    duty = settled(backend, clock)
    push(backend, job)
    run(backend)
    Mirror(backend).tick()
    push(backend, job)  # as a replica has it that was promoted without the last writes
    backend.broker.keep("another")
    duty.tick()

    assert (ready(backend), backend.broker.missing([job.id])) == ([], [job.id])
    assert "Redis had 1 job(s) back that have ended by 'default'" in caplog.text


def running(backend: Any, job: Job) -> None:
    """Let a worker take a job, somebody ask it to cancel, and the row say so."""
    push(backend, job)
    backend.broker.join("w")
    backend.broker.turn("w", limit=1)
    backend.broker.cancel([job.id], "wrong month")
    Mirror(backend).tick()


def test_a_running_job_that_was_asked_to_cancel_does_not_come_back_after_a_loss(backend: Any) -> None:
    clock = FakeClock(time.time())
    duty = settled(backend, clock)
    asked, other = make_job(), make_job()
    running(backend, asked)
    push(backend, other)
    Mirror(backend).tick()
    late = row_of(asked).version
    wipe(backend)
    duty.tick()

    assert (ready(backend), backend.broker.missing([asked.id])) == ([other.id], [asked.id])
    found = row_of(asked)
    assert (found.state, found.reason, found.attempt) == (State.CANCELLED, "wrong month", 0)
    assert found.finished_at is not None
    assert found.version > late
    duty.tick()
    assert backend.broker.missing([asked.id]) == [asked.id]


def test_another_server_than_before_that_has_forgotten_the_asking_is_told_again(
    backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    duty = settled(backend, FakeClock(time.time()))
    job, client, keys = make_job(), backend.broker.client, backend.broker.keys
    push(backend, job)
    backend.broker.join("w")
    backend.broker.turn("w", limit=1)
    before = client.hget(keys["h"], job.id)
    backend.broker.cancel([job.id], "wrong month")
    Mirror(backend).tick()
    client.hset(keys["h"], job.id, before)  # as a replica has it that was promoted without the last writes
    client.delete(keys["a"])
    backend.broker.keep("another")
    duty.tick()

    assert [request.reason for request in backend.broker.asked("w")] == ["wrong month"]
    assert backend.broker.tick().asked.keys() == {"w"}
    assert "Redis had forgotten that 1 job(s) are to be cancelled" in caplog.text


def test_another_server_than_before_that_has_a_later_state_keeps_it(backend: Any) -> None:
    duty = settled(backend, FakeClock(time.time()))
    job = make_job()
    running(backend, job)
    backend.broker.bury("w")
    assert backend.broker.restore([outbox.restored(row_of(job))], revive=True) == [0], "its row is older than its end"
    version = backend.broker.inspect([job.id])[job.id].record.version
    backend.broker.restore([replace(outbox.restored(row_of(job)), version=version)], revive=True)
    backend.broker.keep("another")
    duty.tick()

    assert ready(backend) == [job.id]


@pytest.mark.parametrize("databases", [("default", "other"), ()], ids=["mirrored", "without a mirror"])
def test_on_another_server_than_before_half_of_a_change_is_put_right(
    backend: Any, databases: tuple[str, ...], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "config", replace(backend.config, databases=databases))
    duty = settled(backend, FakeClock(time.time()))
    job = make_job()
    push(backend, job)
    backend.broker.client.zrem(backend.broker.keys.queue("default"), job.id)
    duty.tick()
    assert ready(backend) == [], "the same server has no halves"

    backend.broker.keep("another")
    duty.tick()
    assert ready(backend) == [job.id]
    assert "Redis had half of a change of 1 job(s); put right" in caplog.text


def test_a_server_that_does_not_tell_who_it_is_is_compared_slowly(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch, "look", lambda _: epoch.Epoch(None, None))
    clock = FakeClock(CREATED + 10)
    job = make_job()
    duty = settled(backend, clock)
    push(backend, job)
    Mirror(backend).tick()
    wipe(backend)
    clock.time = CREATED + 69
    duty.tick()
    assert ready(backend) == []

    clock.time = CREATED + 71
    duty.tick()
    assert ready(backend) == [job.id]


def slow(backend: Any, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, jobs: int) -> Reconcile:
    """Return a duty whose slow pass is due, and finds jobs that are lost, each on a page of its own."""
    duty = settled(backend, clock)
    push(backend, *(make_job() for _ in range(jobs)))
    Mirror(backend).tick()
    ids = [str(job_id) for job_id in JobRow.objects.values_list("pk", flat=True)]
    backend.broker.drop(dict.fromkeys(ids, 9_999_999_999_999))
    monkeypatch.setattr(outbox, "BATCH", 1)
    clock.time += 61
    return duty


def test_a_slow_pass_lets_the_other_duties_have_their_turn(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(CREATED + 60)
    duty = slow(backend, clock, monkeypatch, 3)
    restore = outbox.restore

    def slowly(*args: Any) -> int:
        clock.time += TURN + 0.1
        return restore(*args)

    monkeypatch.setattr(outbox, "restore", slowly)
    brought_back = []
    while duty.tick() == 0.0:
        brought_back.append(len(ready(backend)))

    assert brought_back[:3] == [1, 1, 1]
    assert duty.tick() == Reconcile.interval, "the next pass is in a minute"


def test_a_full_pass_lets_the_mirror_have_its_turn(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(CREATED + 60)
    duty = settled(backend, clock)
    push(backend, *(make_job() for _ in range(3)))
    Mirror(backend).tick()
    wipe(backend)
    monkeypatch.setattr(outbox, "BATCH", 1)
    restore = outbox.restore

    def slowly(*args: Any) -> int:
        clock.time += TURN + 0.1
        return restore(*args)

    monkeypatch.setattr(outbox, "restore", slowly)
    turns = [(duty.tick(), len(ready(backend)), epoch.look(backend.broker).has_changed) for _ in range(4)]

    assert turns == [(0.0, 1, True), (0.0, 1, True), (0.0, 1, True), (Reconcile.interval, 0, False)]


def in_turns(backend: Any, monkeypatch: pytest.MonkeyPatch, jobs: int) -> tuple[FakeClock, Reconcile]:
    """Return a duty that takes a turn for each of some jobs, which are in the rows and not in Redis."""
    clock = FakeClock(CREATED + 60)
    duty = settled(backend, clock)
    push(backend, *(make_job() for _ in range(jobs)))
    Mirror(backend).tick()
    monkeypatch.setattr(outbox, "BATCH", 1)
    restore = outbox.restore

    def slowly(*args: Any) -> int:
        clock.time += TURN + 0.1
        return restore(*args)

    monkeypatch.setattr(outbox, "restore", slowly)
    wipe(backend)
    return clock, duty


def seen_as(backend: Any, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    """Let the server say that it is another."""
    key = backend.broker.keys["epoch"]
    monkeypatch.setattr(epoch, "look", lambda broker: epoch.Epoch(server, broker.client.get(key)))


def turns(duty: Reconcile) -> float:
    """Let a pass go on to its end, and return the pause after it."""
    pause = 0.0
    while pause == 0.0:
        pause = duty.tick()
    return pause


def test_a_full_pass_begins_anew_where_the_server_changes_in_the_midst_of_it(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, duty = in_turns(backend, monkeypatch, 3)
    seen_as(backend, monkeypatch, "second")
    duty.tick()
    wipe(backend)
    seen_as(backend, monkeypatch, "third")
    assert turns(duty) == Reconcile.interval

    assert len(ready(backend)) == 3
    assert not epoch.look(backend.broker).has_changed


def test_a_pass_that_is_disturbed_again_within_a_minute_goes_on_to_its_end_and_proves_nothing(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, duty = in_turns(backend, monkeypatch, 3)
    for server in ("second", "third", "fourth"):
        seen_as(backend, monkeypatch, server)
        duty.tick()
        wipe(backend)
    assert turns(duty) == AGAIN_AFTER
    assert epoch.look(backend.broker).has_changed, "not all of the fourth was compared"
    clock.time += AGAIN_AFTER
    turns(duty)

    assert len(ready(backend)) == 3
    assert not epoch.look(backend.broker).has_changed


def test_a_server_that_is_emptied_in_the_midst_of_a_pass_is_compared_once_more(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, duty = in_turns(backend, monkeypatch, 3)
    backend.broker.keep("before")
    duty.tick()
    duty.tick()
    wipe(backend)
    turns(duty)

    assert len(ready(backend)) == 3
    assert not epoch.look(backend.broker).has_changed


def test_a_pass_ends_where_another_worker_has_come_to_the_end_before(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, duty = in_turns(backend, monkeypatch, 3)
    seen_as(backend, monkeypatch, "second")
    duty.tick()
    backend.broker.keep("second")
    assert duty.tick() == Reconcile.interval

    assert len(ready(backend)) == 1


def test_a_proxy_in_front_of_several_servers_does_not_cause_passes_without_end(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, duty = in_turns(backend, monkeypatch, 4)
    pauses = []
    for number in range(40):
        seen_as(backend, monkeypatch, f"server {number % 2}")
        pauses.append(duty.tick())
        clock.time += pauses[-1]

    assert len(ready(backend)) == 4
    assert pauses.count(AGAIN_AFTER) >= 5
    assert pauses.count(Reconcile.interval) <= 2


def test_a_database_that_is_down_holds_up_only_what_may_have_ended_there(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = make_job(), make_job()
    push(backend, old)
    Mirror(backend).tick()
    JobRow.objects.filter(pk=old.id).update(version=9_999_999_999_999)
    backend.broker.client.zadd(backend.broker.keys["d"], {old.id: 1})
    push(backend, new)
    ended = outbox.ended

    def partly(ids: Any, using: str) -> Any:
        if using == "other":
            raise OperationalError("down")
        return ended(ids, using)

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "ended", partly)
        Mirror(backend).tick()
        assert [snapshot.id for snapshot in backend.broker.take(10)] == [old.id]
    Mirror(backend).tick()
    Mirror(backend).tick()

    assert JobRow.objects.get(pk=old.id).version > 9_999_999_999_999
    assert backend.broker.take(10) == []


def test_jobs_that_came_back_and_have_ended_are_not_made_to_live_by_the_mirror(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [make_job() for _ in range(3)]
    push(backend, *jobs)
    Mirror(backend).tick()
    JobRow.objects.update(state=State.CANCELLED, version=9_999_999_999_999)
    for snapshot in backend.broker.inspect([job.id for job in jobs]).values():
        backend.broker.client.zadd(backend.broker.keys["d"], {snapshot.id: 1})
    Mirror(backend).tick()
    Mirror(backend).tick()

    assert set(JobRow.objects.values_list("state", flat=True)) == {State.CANCELLED}
    assert ready(backend) == []


def test_a_slow_pass_that_the_broker_broke_off_begins_once_more(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(CREATED + 60)
    duty = slow(backend, clock, monkeypatch, 2)

    def gone(*_: Any) -> None:
        raise BrokerUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(type(backend.broker), "restore", gone)
        with pytest.raises(BrokerUnavailable):
            duty.tick()
    duty.tick()

    assert len(ready(backend)) == 2


def test_a_database_that_is_down_does_not_keep_the_other_s_jobs_away(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = make_job(database="other")
    push(backend, there)
    Mirror(backend).tick()
    wipe(backend)
    pages = outbox.unfinished_pages

    def broken(using: str, *rest: Any) -> Any:
        if using == "default":
            raise OperationalError("down")
        return pages(using, *rest)

    clock = FakeClock(CREATED + 60)
    duty = Reconcile(backend, clock)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "unfinished_pages", broken)
        assert duty.tick() == AGAIN_AFTER
    assert ready(backend) == [there.id]
    assert epoch.look(backend.broker).has_changed, "not all is known to agree yet"
    duty.tick()
    assert not epoch.look(backend.broker).has_changed


def test_a_proxy_that_leads_to_several_servers_does_not_cause_a_comparison_each_second(backend: Any) -> None:
    clock = FakeClock(CREATED + 60)
    duty = settled(backend, clock)
    backend.broker.keep("another")

    assert duty.tick() == AGAIN_AFTER


# Release.


def parked(backend: Any, job: Job, reason: str) -> None:
    """Let a worker park a job."""
    push(backend, job)
    backend.broker.join("w1")
    (lease,) = backend.broker.turn("w1", limit=1).leases
    backend.broker.turn("w1", [Ending(job.id, lease.token, State.BLOCKED, refund=True, reason=reason)])
    Mirror(backend).tick()


def test_a_parked_job_is_released_by_a_worker_that_understands_it(backend: Any) -> None:
    known, unknown = make_job(), make_job(task="newer.tasks.work", database="other")
    for job in (known, unknown):
        parked(backend, job, "unknown task: no task is registered as it")
    assert Release(backend).tick() == Release.interval

    assert ready(backend) == [known.id]


def test_a_job_that_is_blocked_for_another_reason_is_not_released(backend: Any) -> None:
    parked(backend, make_job(), "waits for its parent")
    Release(backend).tick()

    assert ready(backend) == []


def test_reconcile_leaves_alone_what_has_ended(backend: Any) -> None:
    push(backend, make_job(), make_job(database="other"))
    run(backend)
    Mirror(backend).tick()
    Reconcile(backend, FakeClock(CREATED + 60)).tick()

    assert ready(backend) == []


def test_reconcile_leaves_alone_what_is_in_redis(backend: Any) -> None:
    push(backend, make_job())
    Mirror(backend).tick()
    before = backend.broker.take(10)
    Reconcile(backend, FakeClock(CREATED + 60)).tick()

    assert backend.broker.take(10) == before == []
    assert len(ready(backend)) == 1


def test_a_running_job_that_redis_has_lost_runs_again_with_its_attempt_given_back(backend: Any) -> None:
    job = make_job()
    push(backend, job)
    backend.broker.join("w1")
    (lease,) = backend.broker.turn("w1", limit=1).leases
    Mirror(backend).tick()
    wipe(backend)
    Reconcile(backend, FakeClock(CREATED + 60)).tick()
    backend.broker.join("w2")

    (again,) = backend.broker.turn("w2", limit=1).leases

    assert (again.id, again.attempt) == (job.id, 1)
    assert backend.broker.turn("w1", [Ending(job.id, lease.token, State.SUCCESSFUL)]).answers == ["STALE"]


def test_a_scheduled_job_that_redis_has_lost_waits_for_its_time(backend: Any) -> None:
    job = make_job(run_after=time.time() + DAY)
    push(backend, job)
    Mirror(backend).tick()
    wipe(backend)
    Reconcile(backend, FakeClock(CREATED + 60)).tick()

    assert ready(backend) == []
    assert backend.broker.inspect([job.id])[job.id].record.state is State.SCHEDULED


def test_the_row_of_a_job_brought_back_follows_and_keeps_when_it_first_began(backend: Any) -> None:
    job = make_job()
    push(backend, job)
    run(
        backend,
        State.RETRYABLE,
        delay=DAY,
        note='{"n":1,"w":"w1","s":1.0,"e":2.0,"o":"failed","c":"E","m":"","t":""}',
    )
    Mirror(backend).tick()
    began = row_of(job).started_at
    wipe(backend)
    Reconcile(backend, FakeClock(CREATED + 60)).tick()
    Mirror(backend).tick()

    found = row_of(job)
    assert (found.attempt, found.attempts.count()) == (1, 1)
    assert found.started_at == began is not None


def test_reconcile_counts_attempts_and_crashes_on(backend: Any) -> None:
    job = make_job()
    row(job, version=5, state="READY", attempt=2, crashes=2)
    Reconcile(backend, FakeClock(CREATED + 60)).tick()
    backend.broker.join("w1")

    (lease,) = backend.broker.turn("w1", limit=1).leases

    assert (lease.attempt, lease.crashes) == (3, 2)


# Prune.


def ended(state: str, days_ago: float, using: str = "default", **values: Any) -> Job:
    job = make_job(database=using)
    made = row(job, using, version=1, state=state, finished_at=moment(CREATED - days_ago * DAY), **values)
    begun = moment(note()["s"])
    made.attempts.create(number=1, worker="w1", outcome="failed", started_at=begun, finished_at=begun)
    return job


def left(using: str = "default") -> set[str]:
    return {str(pk) for pk in JobRow.objects.using(using).values_list("pk", flat=True)}


@pytest.mark.parametrize("using", ["default", "other"])
def test_prune_deletes_by_retention_with_the_attempts(backend: Any, using: str) -> None:
    kept = [ended("SUCCESSFUL", 6.9, using), ended("FAILED", 29.9, using), ended("CANCELLED", 29.9, using)]
    for state, days in (("SUCCESSFUL", 7.1), ("FAILED", 30.1), ("CANCELLED", 30.1)):
        ended(state, days, using)

    assert Prune(backend, FakeClock()).tick() == Prune.interval
    assert left(using) == {job.id for job in kept}
    assert Attempt.objects.using(using).count() == len(kept)


@pytest.mark.parametrize("state", ["SCHEDULED", "BLOCKED", "READY", "RUNNING", "RETRYABLE"])
def test_prune_never_deletes_what_has_not_ended(backend: Any, state: str) -> None:
    job = make_job(created=CREATED - 1000 * DAY)
    row(job, version=1, state=state)
    Prune(backend, FakeClock()).tick()

    assert left() == {job.id}


def test_prune_leaves_the_jobs_of_other_backends(backend: Any) -> None:
    job = ended("SUCCESSFUL", 100, backend="now")
    Prune(backend, FakeClock()).tick()

    assert left() == {job.id}


def test_prune_does_not_pause_while_there_is_a_full_batch(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Prune, "batch", 2)
    oldest = [ended("SUCCESSFUL", days) for days in (8, 10, 9)]
    duty = Prune(backend, FakeClock())

    assert duty.tick() == 0.0
    assert left() == {oldest[0].id}
    assert duty.tick() == Prune.interval
    assert left() == set()


def test_a_database_that_refuses_does_not_hold_up_the_other(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    carefully = mirror_module._carefully

    def refuse_other(step: Any, snapshots: Any, rows: Any) -> mirror_module.Written:
        if rows.alias == "other":
            return mirror_module.Written(frozenset(snapshot.id for snapshot in snapshots))
        return carefully(step, snapshots, rows)

    echo.using(database="other", durability="now").delay_many([(number,) for number in range(7)])
    result = echo.using(durability="now").delay("healthy")
    duty = Mirror(backend)
    duty.batch = 5  # type: ignore[misc]
    with monkeypatch.context() as patch:
        patch.setattr(mirror_module, "_carefully", refuse_other)
        duty.tick()
        assert JobRow.objects.filter(pk=result.id).exists()
        assert [duty.tick() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    duty.drain()
    assert duty.tick() == duty.interval
    assert JobRow.objects.using("other").count() == 7
