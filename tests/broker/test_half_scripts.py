"""What a server has made of the beginning of a script is put right, wherever the script was cut off.

A server that is killed while it writes to its append-only file leaves a transaction there without its end. At the next
start it does not apply it, but leaves it in the file; at the start after that it applies it, together with what was
written behind it. So the writes of each script are taken down here, and each beginning of them is tried alone.
"""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from django_backie.broker.keys import pause_of_task
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Ending, Moved, Pause, Record
from django_backie.broker.sent import Restored, Shown
from django_backie.chaos.server import Server
from django_backie.conf import Config
from django_backie.core import head
from django_backie.core.states import FINAL, State
from tests.servers import binary

from .support import HOUR, NOTE, WORKER, claim, end, far_future, job, jobs, lapse, make_due, run

Act = Callable[[RedisBroker], object]
Command = tuple[str, ...]

READING = {"EXISTS", "GET", "HEXISTS", "HGET", "HGETALL", "HLEN", "HMGET", "HVALS", "SMEMBERS", "ZCARD", "ZRANGE"}
READING |= {"HSCAN", "ZMSCORE", "ZRANGEBYSCORE", "ZSCORE"}
FAR = 9_999_999_999_999
OVER = FINAL | {State.BLOCKED}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server of our own: what its scripts write is told to nobody who has few rights."""
    # Not tmp_path, whose name is as long as the test's: the path of a Unix socket is bounded.
    server = Server(binary(), tmp_path_factory.mktemp("s"), "redis", "secret")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def broker(server: Server, namespace: str) -> RedisBroker:
    return RedisBroker(Config(alias="default", url=server.url, namespace=namespace))


def _fresh(broker: RedisBroker) -> None:
    broker.enqueue([*jobs("abc"), job("d", queue="mail", priority=5), *jobs("ef", run_after=far_future())])


def _running(broker: RedisBroker) -> None:
    """Four jobs of a worker: three at their first attempt, of which one is known to run, and one at its second."""
    run(broker, "a", State.RETRYABLE, note=NOTE)
    make_due(broker, "a")
    _fresh_but(broker, "a")
    assert len(claim(broker, 4)) == 4
    broker.renew({WORKER: ["b"]})


def _fresh_but(broker: RedisBroker, left_out: str) -> None:
    broker.enqueue(jobs([job_id for job_id in "abcd" if job_id not in left_out]))


def _end_all(*states: State, **values: Any) -> Act:
    def act(broker: RedisBroker) -> None:
        leases = sorted(broker.held(WORKER), key=lambda lease: lease.id)
        endings = [
            Ending(lease.id, lease.token, state, note="" if values.get("refund") else NOTE, **values)
            for lease, state in zip(leases, states * 4, strict=False)
        ]
        broker.turn(WORKER, endings)

    return act


def _asked(broker: RedisBroker) -> None:
    _running(broker)
    broker.cancel("abcd", "enough")


def _dangerous(broker: RedisBroker) -> None:
    """Two jobs that have killed two workers; no worker holds both."""
    for job_id in "ab":
        broker.enqueue([job(job_id)])
        for _ in range(2):
            claim(broker, worker="victim")
            broker.bury("victim", [job_id])
    make_due(broker, "a", "b")
    broker.join(WORKER)


def _ended(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    broker.show([Shown(WORKER, "a", lease.token, "[1,2]")])
    end(broker, lease, note=NOTE)
    run(broker, "b", State.FAILED, note=NOTE)
    _fresh_but(broker, "ab")


def _waiting(broker: RedisBroker) -> None:
    run(broker, "a", State.RETRYABLE, delay=HOUR, note=NOTE)
    run(broker, "b", State.SCHEDULED, delay=HOUR, refund=True)
    run(broker, "c", State.BLOCKED, refund=True)
    _fresh_but(broker, "abc")


def _tick(broker: RedisBroker) -> None:
    broker.client.delete(broker.keys["clk"])
    broker.tick()


def _due(broker: RedisBroker) -> None:
    _waiting(broker)
    broker.enqueue([job("e", run_after=far_future())])
    make_due(broker, "a", "b", "e")


def _lapsed(broker: RedisBroker) -> None:
    _running(broker)
    lapse(broker)


def _confirm(broker: RedisBroker) -> None:
    broker.done({snapshot.id: snapshot.version for snapshot in broker.take(100)})


def _unique(broker: RedisBroker) -> None:
    broker.enqueue([job("a", unique="e1"), job("x", unique="e3|60000")])


def _void(broker: RedisBroker) -> None:
    """A key whose job has ended, and that nobody has let go."""
    _unique(broker)
    for lease in claim(broker, 2):
        end(broker, lease, note=NOTE)


def _enqueue_unique(broker: RedisBroker) -> None:
    keys = {"b": "e1", "c": "e2", "d": "e2", "e": "s1", "f": "e3"}
    broker.enqueue([job(job_id, unique=key) for job_id, key in keys.items()])


def _replaceable(broker: RedisBroker) -> None:
    broker.enqueue([job("a", unique="e1|r"), job("x", unique="e3|r")])


def _again(broker: RedisBroker, conflict: str, **values: Any) -> None:
    broker.enqueue([job("b", unique=f"e1|{conflict}", **values), job("c", unique=f"e1|{conflict}", **values)])


def _end_unique(broker: RedisBroker) -> None:
    broker.turn(
        WORKER, [Ending(lease.id, lease.token, State.FAILED, note=NOTE, unique="e1") for lease in broker.held(WORKER)]
    )


def _restored(*ids: str, unique: str = "", **values: Any) -> list[Restored]:
    return [Restored(job_id, job(job_id, unique=unique).body, **values) for job_id in ids]


def _moved(*ids: str) -> list[Moved]:
    return [Moved(job_id, "signature", job(job_id, "mail").body) for job_id in ids]


def _moving(broker: RedisBroker) -> None:
    """Three ready jobs, one of them tried; and one of another queue."""
    run(broker, "a", State.RETRYABLE, note=NOTE)
    make_due(broker, "a")
    broker.tick()
    broker.enqueue([*jobs("bc"), job("d", queue="mail", priority=5)])


def _paused(broker: RedisBroker) -> None:
    """A queue that goes on at the next tick, with a job that falls due then."""
    _due(broker)
    broker.pause("default", Pause(1.0, until=2.0))


def _paused_task(broker: RedisBroker) -> None:
    """A task that goes on at the next tick; its jobs wait aside."""
    broker.pause(pause_of_task("shop.mail"), Pause(1.0))
    broker.enqueue(jobs("abcd", task="shop.mail"))
    assert claim(broker, 4) == []
    broker.pause(pause_of_task("shop.mail"), Pause(1.0, until=2.0))


LIMITS = {"a": "c1|1", "b": "c1|1 r1|1.000000|1", "c": "c1|1", "d": "r1|1.000000|1"}


def _limited(broker: RedisBroker) -> None:
    broker.enqueue([job(job_id, limits=limits) for job_id, limits in LIMITS.items()])


def _parked(broker: RedisBroker) -> None:
    """One runs, the others wait for its slot, or for a token."""
    broker.token("r1", 3600.0, 1)
    _limited(broker)
    assert len(claim(broker, 4)) == 1


def _look_due(broker: RedisBroker) -> None:
    """The time has come to look, and there is room."""
    _parked(broker)
    for key in ("c1", "r1"):
        broker.client.zadd(broker.keys["la"], {key: 1}, xx=True)
    broker.client.delete(broker.keys["lr"], broker.keys["ls:c1"])


GROUPS = {"a": "a1|1", "b": "a1|1", "c": "a1|1", "d": "b1|2", "e": "b1|2", "f": "b1|2"}


def _grouped(broker: RedisBroker) -> None:
    broker.enqueue([job(job_id, group=group) for job_id, group in GROUPS.items()])


SCENES: dict[str, tuple[Act, Act]] = {
    "enqueue": (lambda broker: None, _fresh),
    "claim": (_fresh, lambda broker: claim(broker, 4)),
    "claim aside": (_dangerous, lambda broker: claim(broker, 4)),
    "promote and claim": (_due, lambda broker: claim(broker, 4)),
    "succeed and fail": (_running, _end_all(State.SUCCESSFUL, State.FAILED)),
    "retry": (_running, _end_all(State.RETRYABLE, delay=HOUR)),
    "hand back": (_running, _end_all(State.READY, refund=True)),
    "postpone and park": (_running, _end_all(State.SCHEDULED, State.BLOCKED, refund=True, delay=HOUR)),
    "bury": (_running, lambda broker: broker.bury(WORKER, ["a", "c"])),
    "bury a stopping worker": (_running, lambda broker: (broker.stopping([WORKER]), broker.bury(WORKER, ["a"]))),
    "tick over a lapsed worker": (_lapsed, _tick),
    "promote": (_due, _tick),
    "restore": (lambda broker: None, lambda broker: broker.restore(_restored("a", "b", attempt=0))),
    "restore what waits": (lambda broker: None, lambda broker: broker.restore(_restored("a", due=far_future()))),
    "revive": (_ended, lambda broker: broker.restore(_restored("b", version=FAR), revive=True)),
    "cancel": (_waiting, lambda broker: broker.cancel("abcd")),
    "ask to cancel": (_running, lambda broker: broker.cancel("ab", "enough")),
    "retry what was asked": (_asked, _end_all(State.RETRYABLE, delay=HOUR)),
    "hand back what was asked": (_asked, _end_all(State.READY, refund=True)),
    "bury what was asked": (_asked, lambda broker: broker.bury(WORKER, ["a", "c"])),
    "hasten": (_waiting, lambda broker: broker.hasten("abcd")),
    "lift": (_waiting, lambda broker: broker.lift(dict.fromkeys("abcd", FAR))),
    "mirror": (_ended, _confirm),
    "move": (_moving, lambda broker: broker.move("default", "mail", _moved("a", "b", "c", "d"))),
    "tick over a pause": (_paused, _tick),
    "tick over a task's pause": (_paused_task, _tick),
    "enqueue duplicates": (_unique, _enqueue_unique),
    "replace what waits": (_replaceable, lambda broker: _again(broker, "r")),
    "replace what is due later": (
        lambda broker: broker.enqueue([job("a", unique="e1|r", run_after=far_future())]),
        lambda broker: _again(broker, "r"),
    ),
    "replace within one push": (
        lambda broker: None,
        lambda broker: broker.enqueue([job(name, unique="e1|r") for name in "abc"]),
    ),
    "move what is due later": (
        lambda broker: broker.enqueue([job("a", unique="e1|x", run_after=far_future())]),
        lambda broker: _again(broker, "x", run_after=far_future() + 60),
    ),
    "take keys over": (_void, _enqueue_unique),
    "end what is unique": (lambda broker: (_unique(broker), claim(broker, 2)), _end_unique),
    "cancel what is unique": (_unique, lambda broker: broker.cancel(["a", "x"])),
    "restore duplicates": (lambda broker: None, lambda broker: broker.restore(_restored("a", "b", unique="e1"))),
    "revive what is unique": (
        lambda broker: (_void(broker), broker.enqueue([job("b", unique="e2")])),
        lambda broker: broker.restore(_restored("a", unique="e1", version=FAR), revive=True),
    ),
    "sweep keys": (_void, _tick),
    "claim what has limits": (_limited, lambda broker: claim(broker, 4)),
    "end what has a slot": (_parked, _end_all(State.FAILED)),
    "retry what has a slot": (_parked, _end_all(State.RETRYABLE, delay=HOUR)),
    "bury what has a slot": (_parked, lambda broker: broker.bury(WORKER, ["a"])),
    "cancel what is parked": (_parked, lambda broker: broker.cancel("bc")),
    "let in": (_look_due, _tick),
    "enqueue groups": (lambda broker: broker.enqueue(jobs("xyz")), _grouped),
    "claim from groups": (_grouped, lambda broker: claim(broker, 4)),
    "claim the last of groups": (_grouped, lambda broker: claim(broker, 6)),
    "cancel in groups": (_grouped, lambda broker: broker.cancel("ad")),
    "move groups": (
        _grouped,
        lambda broker: broker.move(
            "default", "mail", [Moved(i, "signature", job(i, "mail", group=g).body) for i, g in GROUPS.items()]
        ),
    ),
    "move what is parked": (
        _parked,
        lambda broker: broker.move(
            "default", "mail", [Moved(i, "signature", job(i, "mail", limits=found).body) for i, found in LIMITS.items()]
        ),
    ),
    "let in and claim": (_look_due, lambda broker: claim(broker, 4)),
}
# Of these jobs rows say that they have ended, or must not be here; what is left of them goes by other ways.
GOING: dict[str, set[str]] = {"mirror": {"a", "b"}}


@pytest.mark.parametrize("name", SCENES)
def test_each_beginning_of_a_script_is_put_right(broker: RedisBroker, name: str) -> None:
    prepare, act = SCENES[name]
    prepare(broker)
    before, bodies = _dump(broker), _bodies(broker)
    with _writes(broker) as writes:
        act(broker)
    stays = (bodies or _bodies(broker)) & _bodies(broker)
    assert len(writes) > 3

    for count, is_busy in itertools.product(range(len(writes) + 1), (False, True)):
        _load(broker, before)
        for command in writes[:count]:
            broker.client.execute_command(*command)
        where = f"{name}, after {count} of {len(writes)} writes, the last {writes[max(0, count - 1)]}"
        if is_busy:
            _work_on(broker, where)
        _mend(broker)
        assert not (found := _oddities(broker)), f"{where}: {found}"
        if bodies:
            assert stays <= _bodies(broker), where
        assert _mend(broker) == 0, f"{where}: it is not put right at once"
        _run_everything(broker, where, GOING.get(name, set()))


@pytest.mark.parametrize("part", [0.15, 0.4, 0.6, 0.8])
def test_what_two_starts_make_of_a_script_that_was_cut_off_is_put_right(
    server: Server, broker: RedisBroker, part: float
) -> None:
    broker.enqueue([job(f"job-{number}") for number in range(60)])
    claim(broker, 60)
    before = server.written()
    _end_all(State.READY, refund=True)(broker)
    server.kill()
    server.lose_tail(round((1 - part) * (server.written() - before)))
    server.start()
    broker.join("another")
    server.kill()
    server.start()
    _mend(broker)

    assert not _oddities(broker)
    assert len(_bodies(broker)) == 60
    _run_everything(broker, "after the second start", set())


def _work_on(broker: RedisBroker, where: str) -> None:
    """Let a worker take what it can, before anybody has put anything right."""
    over = {job_id for job_id in _bodies(broker) if broker.inspect([job_id])[job_id].record.state in OVER}
    for job_id in broker.client.zrange(broker.keys["s"], 0, -1):
        broker.client.zadd(broker.keys["s"], {job_id: 1})
    for lease in claim(broker, 100, worker="busy"):
        assert lease.id not in over, where
        assert lease.attempt <= len(lease.attempts()) + 1, where
        end(broker, lease, State.RETRYABLE, worker="busy", delay=HOUR, note=NOTE)


def _mend(broker: RedisBroker) -> int:
    return sum(map(broker.mend, broker.present_pages()))


def _bodies(broker: RedisBroker) -> set[str]:
    return {job_id for page in broker.present_pages() for job_id in page}


def _oddities(broker: RedisBroker) -> list[str]:
    """Return what is wrong: jobs in no place or in two, and attempts of which nobody knows."""
    client, names = broker.client, broker.keys
    waiting = set(client.zrange(names["s"], 0, -1))
    found = [f"the progress of {job_id} has no job" for job_id in {*client.hkeys(names["pr"])} - _bodies(broker)]
    for job_id in sorted(_bodies(broker)):
        record = broker.inspect([job_id])[job_id].record
        body = client.hget(names["b"], job_id)
        queue = body.split("\n")[1]
        key = head.unique_of(body).partition("|")[0]
        if key.startswith("e") and record.state not in FINAL and broker.holders([key]) != [job_id]:
            found.append(f"{job_id} does not have its unique key, but {broker.holders([key])}")
        places = [client.zscore(names.queue(queue), job_id) is not None, job_id in waiting]
        places.append(record.state is State.RUNNING and client.hexists(names.held(record.worker), job_id))
        key = (client.hget(names["lw"], job_id) or "").partition("|")[0]
        places.append(bool(key) and client.zscore(names[f"lp:{key}"], job_id) is not None)
        if places[-1] and client.zscore(names["la"], key) is None:
            found.append(f"nobody looks whether there is room for {job_id}")
        wanted = 0 if record.state in OVER else 1
        if sum(places) != wanted:
            found.append(f"{job_id} is {record.state}; ready, waiting, held, parked: {places}")
        if record.attempt - (record.state is State.RUNNING) > _counted(record):
            found.append(f"{job_id} is {record.state} at attempt {record.attempt} with {_counted(record)} ends")
    return found


def _counted(record: Record) -> int:
    return sum(note["o"] != "lost" for note in record.attempts)


def _run_everything(broker: RedisBroker, where: str, going: set[str]) -> None:
    """Run whatever waits or is held; every job must come to its end, or be parked.

    What was asked to cancel does not run again.
    """
    unwanted = {
        job_id
        for job_id, snapshot in broker.inspect(sorted(_bodies(broker))).items()
        if snapshot.record.is_asked_to_cancel or snapshot.record.state is State.CANCELLED
    }
    for worker in broker.client.zrange(broker.keys["w"], 0, -1):
        broker.bury(worker)
    for _ in range(12):
        broker.client.delete(broker.keys["lr"])
        for key in broker.client.zrange(broker.keys["la"], 0, -1):
            broker.client.zadd(broker.keys["la"], {key: 1})
        for job_id in broker.client.zrange(broker.keys["s"], 0, -1):
            broker.client.zadd(broker.keys["s"], {job_id: 1})
        _tick(broker)
        for lease in claim(broker, 100, worker="last"):
            assert lease.attempt <= len(lease.attempts()) + 1, where
            assert lease.id not in unwanted, where
            end(broker, lease, worker="last", note=NOTE)
    left = {
        job_id: snapshot.record.state
        for job_id, snapshot in broker.inspect(sorted(_bodies(broker) - going)).items()
        if snapshot.record.state not in OVER
    }
    assert not left, f"{where}: {left}"


# --- what a script writes ---


@contextmanager
def _writes(broker: RedisBroker) -> Iterator[list[Command]]:
    """Collect what is written to the namespace meanwhile, command by command."""
    found: list[Command] = []
    with broker.client.monitor() as monitor:
        yield found
        broker.client.echo("that was all")
        while True:
            command = _parsed(monitor.connection.read_response())
            if command == ("ECHO", "that was all"):
                break
            if len(command) > 1 and command[1].startswith(broker.keys.prefix) and command[0].upper() not in READING:
                found.append(command)


def _parsed(line: Any) -> Command:
    text = line if isinstance(line, bytes) else line.encode()
    parts = (codecs.escape_decode(part)[0] for part in re.findall(rb'"((?:[^"\\]|\\.)*)"', text))
    return tuple(part.decode(errors="replace") for part in parts)


def _dump(broker: RedisBroker) -> dict[bytes, bytes]:
    client = _binary(broker)
    return {key: client.dump(key) for key in client.scan_iter(f"{broker.keys.prefix}*".encode(), count=1000)}


def _load(broker: RedisBroker, state: dict[bytes, bytes]) -> None:
    client = _binary(broker)
    keys = list(client.scan_iter(f"{broker.keys.prefix}*".encode(), count=1000))
    if keys:
        client.delete(*keys)
    for key, value in state.items():
        client.restore(key, 0, value)


def _binary(broker: RedisBroker) -> Any:
    """Return a client that leaves bytes alone."""
    return redis.Redis.from_url(broker.config.url)
