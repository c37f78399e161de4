"""A server without memory: what keeps live jobs alive still works, what adds jobs is refused whole.

There is a test for every script, named after it, on each kind of server that is here. Not on fakeredis: it knows no
``maxmemory``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from django_backie import compat
from django_backie.broker import scripts
from django_backie.broker.keys import pause_of_task
from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Duplicate, Ending, Moved, Pause
from django_backie.broker.sent import Restored, Shown
from django_backie.conf import Config
from django_backie.core.states import State
from django_backie.duties.relay import Relay
from django_backie.exceptions import BrokerUnavailable
from django_backie.models import Job
from tests import servers
from tests import settings as base_settings
from tests.app.tasks import add, echo
from tests.helpers import drain, mirror
from tests.servers import Server

from .support import (
    NOTE,
    WORKER,
    claim,
    far_future,
    ids_of,
    job,
    jobs,
    lapse,
    make_due,
    marked,
    order,
    record,
    run,
    taken,
)

# A worker that may not register waits until it may: a fault must not take the two minutes of other tests.
pytestmark = pytest.mark.timeout(30)


@pytest.fixture(scope="module", params=servers.binaries(), ids=lambda path: Path(path).name)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Return a server of our own, of each kind."""
    with servers.server(request.param, {"maxmemory-policy": "noeviction"}) as running:
        yield running


@pytest.fixture
def broker(server: Server, namespace: str) -> RedisBroker:
    """Return a broker on it."""
    return RedisBroker(Config(alias="default", url=server.url, namespace=namespace))


@contextmanager
def full(broker: RedisBroker) -> Iterator[None]:
    """Leave the server without memory for a while."""
    broker.client.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            broker.client.set(f"{broker.config.namespace}:more", "x")
        yield
    finally:
        broker.client.config_set("maxmemory", 0)


def everything(broker: RedisBroker) -> dict[str, Any]:
    """Return all that the namespace holds."""
    client, found = broker.client, {}
    for key in client.scan_iter(f"{broker.config.namespace}:*", count=1000):
        kind = client.type(key)
        if kind == "zset":
            found[key] = client.zrange(key, 0, -1, withscores=True)
        elif kind == "hash":
            found[key] = client.hgetall(key)
        else:
            found[key] = client.smembers(key) if kind == "set" else client.get(key)
    return found


def test_every_script_is_tried_without_memory() -> None:
    tried = {name.removeprefix("test_").partition("_")[0] for name in globals() if name.startswith("test_")}

    assert {*scripts.names()} - tried == set(), "each script needs a test here that is named after it"


# What keeps live jobs alive.


def test_join_registers_a_worker(broker: RedisBroker) -> None:
    with full(broker):
        broker.join(WORKER, info='{"pid":1}')

        assert broker.client.zscore(broker.keys["w"], WORKER) > 0
        assert broker.client.hget(broker.keys["wi"], WORKER) == '{"pid":1}'


def test_renew_keeps_the_lease_and_notes_what_has_started(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    lapse(broker)
    with full(broker):
        assert broker.renew({WORKER: ["a"]}) == {WORKER: True}
        assert broker.client.zscore(broker.keys["w"], WORKER) > 1
        assert "|1|" in broker.client.hget(broker.keys.held(WORKER), "a")


def test_mine_tells_whether_the_lease_stands(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    with full(broker):
        assert broker.is_mine(WORKER, "a", lease.token) is True


def test_turn_ends_attempts_and_hands_out_the_next(broker: RedisBroker) -> None:
    broker.enqueue(jobs("abc"))
    first, second = claim(broker, 2)
    with full(broker):
        turn = broker.turn(
            WORKER,
            [
                Ending(first.id, first.token, State.SUCCESSFUL, note=NOTE),
                Ending(second.id, second.token, State.RETRYABLE, delay=60.0, note=NOTE),
            ],
            limit=5,
        )

        assert (turn.answers, ids_of(turn.leases), turn.held) == (["OK", "OK"], ["c"], 1)
        assert (record(broker, "a").state, record(broker, "b").state) == (State.SUCCESSFUL, State.RETRYABLE)
        assert record(broker, "a").attempts[0]["n"] == 1


def test_turn_brings_due_jobs_to_their_queues(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])
    make_due(broker, "a")
    broker.join(WORKER)
    with full(broker):
        assert ids_of(broker.turn(WORKER, limit=1).leases) == ["a"]


def test_held_repairs_a_lost_reply(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    claim(broker, 2)
    broker.client.hdel(broker.keys["b"], "b")
    with full(broker):
        assert ids_of(broker.held(WORKER)) == ["a"]
        assert broker.client.hkeys(broker.keys.held(WORKER)) == ["a"]


def test_bury_takes_back_what_a_dead_worker_held(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    claim(broker, 2)
    with full(broker):
        assert broker.bury(WORKER, ["a"]) == 2
        assert (record(broker, "a").state, record(broker, "a").crashes) == (State.READY, 1)
        assert order(broker) == ["a", "b"]


def test_tick_keeps_the_time_and_takes_back_what_lapsed(broker: RedisBroker) -> None:
    broker.enqueue([job("a"), job("b", run_after=far_future())])
    claim(broker)
    lapse(broker)
    make_due(broker, "b")
    with full(broker):
        ticked = broker.tick()

        assert (ticked.buried, ticked.recovered, ticked.promoted) == (1, 1, 1)
        assert broker.client.get(broker.keys["clk"]) is not None
        assert order(broker) == ["a", "b"]


def test_leave_strikes_a_worker_off(broker: RedisBroker) -> None:
    broker.join(WORKER)
    with full(broker):
        assert broker.leave(WORKER) is True
        assert broker.client.zcard(broker.keys["w"]) == 0


def test_stopping_is_noted(broker: RedisBroker) -> None:
    broker.join(WORKER)
    with full(broker):
        assert broker.stopping([WORKER]) == 1
        assert broker.client.smembers(broker.keys["ws"]) == {WORKER}


def test_idle_workers_are_still_woken(broker: RedisBroker) -> None:
    broker.join(WORKER)
    broker.turn(WORKER)
    broker.enqueue([job("a")])
    listener = Listener(broker, [], "all", longest=5.0)
    with full(broker):
        assert ids_of(taken(listener.take(5.0, WORKER, 1))) == ["a"]
    listener.close()


# What makes room: jobs that have ended leave once they are mirrored.


def test_take_shows_what_changed(broker: RedisBroker) -> None:
    run(broker, "a")
    with full(broker):
        assert [snapshot.id for snapshot in broker.take(10)] == ["a"]


def test_done_lets_the_ended_go(broker: RedisBroker) -> None:
    run(broker, "a")
    versions = marked(broker)
    with full(broker):
        assert broker.done(versions) == []
        assert (marked(broker), broker.missing(["a"])) == ({}, ["a"])


def test_done_remembers_what_failed(broker: RedisBroker) -> None:
    run(broker, "a", State.FAILED)
    versions = marked(broker)
    with full(broker):
        assert broker.done(versions) == []
    assert broker.enqueue([job("a")]) == [False]


def test_drop_removes_what_has_ended_by_its_row(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    version = marked(broker)["a"] + 1
    with full(broker):
        assert broker.drop({"a": version}) == 1
        assert (broker.missing(["a"]), broker.held(WORKER)) == (["a"], [])


def test_lift_raises_versions_above_their_rows(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    version = marked(broker)["a"] + 10
    with full(broker):
        assert broker.lift({"a": version}) == 1
        assert marked(broker)["a"] > version


def test_keep_notes_the_server(broker: RedisBroker) -> None:
    with full(broker):
        broker.keep("identity")
        assert broker.client.get(broker.keys["epoch"]) == "identity"


# What people do.


def test_hold_stops_what_has_a_limit(broker: RedisBroker) -> None:
    broker.enqueue([job("a", limits="c1|1"), job("b")])
    with full(broker):
        broker.hold(["1"], 60.0)
        assert ids_of(claim(broker, 2)) == ["b"]


def test_token_is_refused(broker: RedisBroker) -> None:
    with full(broker), pytest.raises(BrokerUnavailable):
        broker.token("r1", 60.0, 1)
    assert broker.token("r1", 60.0, 1) == 0.0


def test_turn_parks_and_lets_in(broker: RedisBroker) -> None:
    broker.enqueue([job(job_id, limits="c1|1 r1|1.000000|5") for job_id in "ab"])
    with full(broker):
        (lease,) = claim(broker, 2)
        turn = broker.turn(WORKER, [Ending(lease.id, lease.token, State.SUCCESSFUL)], limit=1)
        assert ids_of(turn.leases) == ["b"]


def test_holders_tells_who_has_a_key(broker: RedisBroker) -> None:
    broker.enqueue([job("a", unique="e1")])
    with full(broker):
        assert broker.holders(["e1"]) == ["a"]


def test_turn_and_tick_let_keys_go(broker: RedisBroker) -> None:
    broker.enqueue([job("a", unique="e1"), job("b", unique="e2")])
    first, second = claim(broker, 2)
    with full(broker):
        broker.turn(WORKER, [Ending(first.id, first.token, State.SUCCESSFUL, unique="e1")])
        broker.turn(WORKER, [Ending(second.id, second.token, State.SUCCESSFUL)])
        assert broker.client.hgetall(broker.keys["u"]) == {"e2": "b"}
        broker.tick()
        assert broker.client.hgetall(broker.keys["u"]) == {}


def test_cancel_lets_a_key_go(broker: RedisBroker) -> None:
    broker.enqueue([job("a", unique="e1|60000")])
    with full(broker):
        assert broker.cancel(["a"]) == ["OK"]
        assert broker.holders(["e1"]) == [""]


def test_inspect_shows_a_job(broker: RedisBroker) -> None:
    run(broker, "a")
    with full(broker):
        assert record(broker, "a").state is State.SUCCESSFUL


def test_present_tells_what_is_here(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    with full(broker):
        assert sorted(*broker.present_pages()) == ["a", "b"]


def test_mend_puts_right_what_stands_in_no_place(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.client.zrem(broker.keys.queue("default"), "a")
    with full(broker):
        assert broker.mend(["a"]) == 1
        assert ids_of(claim(broker)) == ["a"]


def test_missing_tells_what_is_not_here(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    with full(broker):
        assert broker.missing(["a", "b"]) == ["b"]


@pytest.mark.parametrize("run_after", [None, far_future()], ids=["ready", "scheduled"])
def test_cancel_ends_a_waiting_job(broker: RedisBroker, run_after: float | None) -> None:
    broker.enqueue([job("a", run_after=run_after)])
    with full(broker):
        assert broker.cancel(["a"], "no memory") == ["OK"]
        assert (record(broker, "a").state, record(broker, "a").reason) == (State.CANCELLED, "no memory")


def test_cancel_asks_a_running_job_to_end(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    with full(broker):
        assert broker.cancel(["a"], "no memory") == ["ASKED"]
        assert broker.tick().asked.keys() == {WORKER}


def test_asked_tells_a_worker(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    with full(broker):
        broker.cancel(["a"], "no memory")
        assert [request.reason for request in broker.asked(WORKER)] == ["no memory"]


def test_hasten_makes_a_scheduled_job_ready(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])
    with full(broker):
        assert broker.hasten(["a"]) == ["OK"]
        assert order(broker) == ["a"]


def test_erase_leaves_a_tombstone_and_nothing_else(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    with full(broker):
        assert broker.erase(["a"]) == 1
        assert broker.missing(["a"]) == ["a"]
        assert broker.client.zscore(broker.keys["e"], "a") is not None


def test_pause_and_resume_stop_a_queue_and_let_it_go_on(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.join(WORKER)
    with full(broker):
        broker.pause("default", Pause(1.0, reason="no memory"))
        assert broker.turn(WORKER, limit=1).leases == []
        assert broker.resume("default") is True
        assert ids_of(broker.turn(WORKER, limit=1).leases) == ["a"]


def test_resume_wakes_who_waits(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    broker.pause("default", Pause(1.0))
    assert claim(broker) == []
    assert broker.client.zpopmin(broker.keys.marker(None))
    with full(broker):
        broker.resume("default")
        assert broker.client.exists(broker.keys.marker(None)) == 1


def test_tick_ends_a_pause(broker: RedisBroker) -> None:
    broker.pause("default", Pause(1.0, until=2.0))
    with full(broker):
        broker.tick()
        assert broker.client.exists(broker.keys["p"]) == 0


def test_a_task_is_paused_and_resumed(broker: RedisBroker) -> None:
    broker.enqueue([job("a", task="shop.mail")])
    broker.join(WORKER)
    with full(broker):
        broker.pause(pause_of_task("shop.mail"), Pause(1.0, reason="no memory"))
        assert broker.turn(WORKER, limit=1).leases == []
        assert broker.resume(pause_of_task("shop.mail")) is True
        assert ids_of(broker.turn(WORKER, limit=1).leases) == ["a"]


# What adds jobs is refused whole, and may be repeated.


def test_move_is_refused_and_changes_nothing(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ab"))
    before = everything(broker)
    moved = [Moved(job_id, "signature", job(job_id, "new").body) for job_id in "ab"]
    with full(broker):
        with pytest.raises(BrokerUnavailable, match=r"not available: .*maxmemory"):
            broker.move("default", "new", moved)
        assert everything(broker) == before

    assert broker.move("default", "new", moved) == [True, True]


@pytest.mark.parametrize("run_after", [None, far_future()], ids=["ready", "scheduled"])
def test_enqueue_is_refused_and_adds_no_part_of_a_job(broker: RedisBroker, run_after: float | None) -> None:
    broker.enqueue([job("here")])
    before = everything(broker)
    with full(broker):
        with pytest.raises(BrokerUnavailable, match=r"not available: .*maxmemory"):
            broker.enqueue(jobs("ab", queue="new", run_after=run_after))
        assert everything(broker) == before

    assert broker.enqueue(jobs("ab", queue="new", run_after=run_after)) == [True, True]


def test_enqueue_of_a_duplicate_is_refused_too(broker: RedisBroker) -> None:
    broker.enqueue([job("a", unique="e1")])
    before = everything(broker)
    with full(broker):
        with pytest.raises(BrokerUnavailable, match=r"not available: .*maxmemory"):
            broker.enqueue([job("b", unique="e1"), job("c", unique="e2")])
        assert everything(broker) == before

    assert broker.enqueue([job("b", unique="e1"), job("c", unique="e2")]) == [Duplicate("a"), True]


@pytest.mark.parametrize("conflict", ["r", "x"])
def test_enqueue_in_the_place_of_another_is_refused_and_leaves_that(broker: RedisBroker, conflict: str) -> None:
    broker.enqueue([job("a", unique=f"e1|{conflict}", run_after=far_future())])
    before = everything(broker)
    with full(broker):
        with pytest.raises(BrokerUnavailable, match=r"not available: .*maxmemory"):
            broker.enqueue([job("b", unique=f"e1|{conflict}", run_after=far_future())])
        assert everything(broker) == before


def test_restore_is_refused_and_changes_nothing(broker: RedisBroker) -> None:
    run(broker, "failed", State.FAILED, note=NOTE)
    before = everything(broker)
    version = record(broker, "failed").version
    back = [Restored(job_id, job(job_id).body, attempt=1, version=version) for job_id in ("failed", "lost")]
    with full(broker):
        with pytest.raises(BrokerUnavailable, match=r"not available: .*maxmemory"):
            broker.restore(back, revive=True)
        assert everything(broker) == before

    assert all(version > 0 for version in broker.restore(back, revive=True))
    assert order(broker) == ["failed", "lost"]


def test_progress_is_the_first_to_give_way(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    shown = [Shown(WORKER, "a", lease.token, '[1,2,"",1.0]')]
    before = everything(broker)
    with full(broker):
        with pytest.raises(BrokerUnavailable, match=r"not available: .*maxmemory"):
            broker.show(shown)
        assert everything(broker) == before

    assert broker.show(shown) == [True]


def test_a_server_that_has_forgotten_the_scripts_takes_them_without_memory(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    claim(broker)
    broker.client.script_flush()
    with full(broker):
        assert broker.renew({WORKER: ["a"]}) == {WORKER: True}


# The whole of it.


@pytest.fixture
def backend(settings: Any, server: Server, namespace: str) -> Any:
    """Return the default backend on this server."""
    settings.TASKS = {
        alias: {**params, "OPTIONS": {**params["OPTIONS"], "URL": server.url, "NAMESPACE": f"{namespace}-{alias}"}}
        for alias, params in base_settings.TASKS.items()
    }
    return compat.get_backend("default")


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_job_of_the_outbox_is_taken_without_memory_and_relayed_when_there_is_some(backend: Any) -> None:
    with full(backend.broker):
        result = add.delay(1, 2)
        assert Job.objects.get(pk=result.id).version == 0

    Job.objects.filter(pk=result.id).update(enqueued_at="2026-01-01T00:00:00Z")
    Relay(backend).tick()
    drain(backend)
    result.refresh()
    assert result.return_value == 3


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_job_of_another_durability_is_refused_in_the_caller(backend: Any) -> None:
    with full(backend.broker), pytest.raises(BrokerUnavailable, match="maxmemory"):
        add.using(durability="now").delay(1, 2)


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_waiting_jobs_run_and_reach_the_table_without_memory_and_make_room(backend: Any) -> None:
    results = echo.delay_many([("x" * 1000, number) for number in range(50)])
    with full(backend.broker):
        drain(backend)
        mirror(backend)

        assert Job.objects.filter(state="SUCCESSFUL").count() == len(results)
        assert backend.broker.missing([result.id for result in results]) == [result.id for result in results]
