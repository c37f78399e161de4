"""A machine that does whatever callers, workers and the mirror may do, to the broker and to the reference alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from django_backie.broker.keys import pause_of_task
from django_backie.broker.listener import Listener
from django_backie.broker.redis import MOST_UNMIRRORED
from django_backie.broker.replies import Ending, Lease, Moved, Pause, Request, Snapshot, Turn
from django_backie.broker.sent import Restored, Shown
from django_backie.core import head
from django_backie.core.job import Packed
from django_backie.core.states import State

from ..broker import support
from ..broker.support import NOTE, woken
from .clocked import ClockedBroker, view
from .reference import LEASE, OVER, START, Job, Reference

IDS = list("abcdefghij")
QUEUES = ["default", "mail|1"]
WORKERS = ["w1", "w2", 'we"ird']
BEAT = 5000

ids = st.sampled_from(IDS)
few_ids = st.lists(ids, max_size=3, unique=True)
some_ids = st.lists(ids, min_size=1, max_size=3, unique=True)
workers = st.sampled_from(WORKERS)
# A job's unique key is always the same; what follows it is a window in milliseconds.
UNIQUES = {"d": "e1", "e": "e1|4000", "f": "s1", "g": "s1|31000", "h": "e1|r", "i": "s1|r", "j": "e1|x"}
# Its limits are always the same, too.
LIMITS = {
    "b": "c1|1",
    "c": "c1|2 r1|4000.000000|2",
    "d": "c1|2",
    "e": "r1|4000.000000|1",
    "f": "c2|1 r2|0.300000|1",
    "g": "c3|1|1|3",
    "h": "c3|1|1|3",
    "i": "c3|1|1|3",
}
LIMIT_KEYS = ["c1", "c2", "c3", "r1", "r2", "tt1", "tt2"]
# And its task, and its group.
TASKS = {"a": "t1", "c": "t1", "d": "t1", "g": "t2"}
GROUPS = {"a": "a1|1", "b": "a1|1", "c": "a1|1", "d": "b1|2", "e": "b1|2", "f": "b1|2"}
LINES = [f"{priority}|{group}|{queue}" for priority in (0, 5, -5) for group in ("a1", "b1") for queue in QUEUES]
# What a priority is worth in a queue: so much that no two jobs have one place.
AGEING = {"mail|1": 1_000_003}
queue_names = st.sampled_from(QUEUES)
priorities = st.sampled_from([0, 0, 5, -5])
modes = st.sampled_from([((), "all"), ((), "all"), (QUEUES, "only"), (QUEUES[:1], "only"), (QUEUES[:1], "all")])
# Seconds from now; the clock has milliseconds.
delays = st.sampled_from([0.0, 0.001, 4.0, 31.0, 3600.0])
times = st.none() | st.sampled_from([-10.0, 0.0, 0.001, 4.0, 3600.0])
endings = st.sampled_from(
    [
        (State.SUCCESSFUL, False),
        (State.FAILED, False),
        (State.CANCELLED, False),
        (State.RETRYABLE, False),
        (State.SCHEDULED, True),
        (State.READY, True),
        (State.READY, False),
        (State.BLOCKED, True),
    ]
)
numbers = st.integers(0, 20)
rarely = st.sampled_from([False, False, False, True])


def job(job_id: str, queue: str = "default", priority: int = 0, run_after: float | None = None) -> Packed:
    """Return a job, with its task, its unique key, its limits and its group if it has any."""
    found = {"unique": UNIQUES.get(job_id, ""), "limits": LIMITS.get(job_id, ""), "group": GROUPS.get(job_id, "")}
    ages = AGEING.get(queue, 0) if priority else 0
    return support.job(job_id, queue, priority, run_after, task=TASKS.get(job_id, ""), ageing=ages, **found)


def plain(answer: Any) -> Any:
    """Return an answer in a form in which only what matters can differ."""
    if isinstance(answer, list) and answer and isinstance(answer[0], Lease):
        return sorted(map(plain, answer))  # what a worker holds has no order
    if isinstance(answer, list) and answer and isinstance(answer[0], Request):
        return sorted(answer)
    if isinstance(answer, Turn):
        leases = [plain(lease) for lease in answer.leases]
        return answer.fenced, answer.slow, answer.answers, leases, answer.held, answer.next_due
    if isinstance(answer, Lease):
        numbers = answer.attempt, answer.crashes, answer.first_started
        return answer.id, answer.token, answer.body, *numbers, answer.attempts()
    return answer


class Machine(RuleBasedStateMachine):
    """Hypothesis chooses what happens next; after every step both sides must have answered alike and look alike."""

    def __init__(self, new_broker: Callable[..., ClockedBroker]) -> None:
        super().__init__()
        self.new_broker = new_broker
        self.leases: list[tuple[str, Lease]] = []
        self.snapshots: list[Snapshot] = []

    @initialize(
        mirrored=st.sampled_from([True, True, False]),
        bounds=st.sampled_from([{}, {}, {"default": 2, "*": 3}]),
        most_unmirrored=st.sampled_from([MOST_UNMIRRORED, MOST_UNMIRRORED, 5]),
    )
    def begin(self, mirrored: bool, bounds: dict[str, int], most_unmirrored: int) -> None:
        databases = ("default",) if mirrored else ()
        self.broker = self.new_broker(databases=databases, max_queue_length=tuple(bounds.items()))
        self.broker.most_unmirrored = most_unmirrored
        self.model = Reference(mirrored=mirrored, bounds=bounds, most_unmirrored=most_unmirrored)
        self.set_clock(START)
        for worker in WORKERS[:2]:
            self.both("join", worker)

    def teardown(self) -> None:
        self.broker.clear()

    # --- what callers do ---

    @rule(jobs=st.lists(st.tuples(ids, queue_names, priorities, times), min_size=1, max_size=5))
    def enqueue(self, jobs: list[tuple[str, str, int, float | None]]) -> None:
        self.both("enqueue", [job(*values, self.moment(wait)) for *values, wait in jobs])

    @rule(verb=st.sampled_from(["cancel", "hasten", "hasten", "erase"]), chosen=some_ids)
    def change(self, verb: str, chosen: list[str]) -> None:
        self.both(verb, chosen)

    @rule(queue=queue_names, wait=st.none() | st.sampled_from([0.0, 0.001, 4.0, 31.0]))
    def pause(self, queue: str, wait: float | None) -> None:
        self.pause_by_name(queue, wait)

    def pause_by_name(self, name: str, wait: float | None) -> None:
        self.both("pause", name, Pause(self.model.now / 1000, self.moment(wait), "why", "ann"))

    def _resume(self, queue: str) -> None:
        self.both("resume", queue)

    # What is paused most of the time is seldom worked on.
    resume, resume_again = rule(queue=queue_names)(_resume), rule(queue=queue_names)(_resume)

    @rule(task=st.sampled_from(["t1", "t2"]), wait=st.none() | st.sampled_from([0.0, 0.001, 4.0, 31.0]))
    def pause_task(self, task: str, wait: float | None) -> None:
        self.pause_by_name(pause_of_task(task), wait)

    def _resume_task(self, task: str) -> None:
        self.both("resume", pause_of_task(task))

    resume_task, resume_task_again = (
        rule(task=st.sampled_from(["t1", "t2"]))(_resume_task),
        rule(task=st.sampled_from(["t1", "t2"]))(_resume_task),
    )

    @rule(limits=st.sampled_from([["1"], ["2"], ["1", "2"]]), seconds=st.sampled_from([0.001, 4.0, 31.0]))
    def hold(self, limits: list[str], seconds: float) -> None:
        self.both("hold", limits, seconds)

    @rule(key=st.sampled_from(["r1", "r2"]), interval=st.sampled_from([0.0003, 4.0]), burst=st.integers(1, 3))
    def take_token(self, key: str, interval: float, burst: int) -> None:
        self.both("token", key, interval, burst)

    @rule(chosen=some_ids, queues=st.permutations(QUEUES), late=rarely)
    def move(self, chosen: list[str], queues: list[str], late: bool) -> None:
        """Move jobs that are there or not, and some that were read before they got another body."""
        source, target = queues
        jobs = [self.model.jobs[job_id] for job_id in chosen if job_id in self.model.jobs]
        signature = "another" if late else "signature"
        moved = [Moved(found.id, signature, job(found.id, target, found.priority).body) for found in jobs]
        self.both("move", source, target, [*moved, Moved("gone", signature, job("gone", target).body)])

    @rule(
        chosen=some_ids,
        queue=queue_names,
        priority=priorities,
        wait=times,
        attempt=st.integers(0, 3),
        crashes=st.integers(0, 2),
        ahead=st.sampled_from([-100_000, -1, 1, 1_000_000]),
        begun=times,
        revive=st.booleans(),
    )
    def restore(
        self,
        chosen: list[str],
        queue: str,
        priority: int,
        wait: float | None,
        attempt: int,
        crashes: int,
        ahead: int,
        begun: float | None,
        revive: bool,
    ) -> None:
        """Bring jobs back from rows that may have seen a later time than the server shows."""
        rest = (self.moment(wait), attempt, crashes, ({"n": 9},), self.model.now + ahead, self.moment(begun))
        rows = [Restored(job_id, job(job_id, queue, priority).body, *rest) for job_id in chosen]
        self.both("restore", rows, revive=revive)

    @rule(verb=st.sampled_from(["drop", "lift", "lift"]), chosen=some_ids, drift=st.sampled_from([-1, 0, 1, 1_000_000]))
    def compare_with_rows(self, verb: str, chosen: list[str], drift: int) -> None:
        """Remove jobs whose rows have ended, or raise them above their rows; some rows are older than the jobs."""
        versions = {job_id: self.model.jobs[job_id].version for job_id in chosen if job_id in self.model.jobs}
        self.both(verb, {job_id: version + drift for job_id, version in versions.items()} or {"gone": START})

    @rule(chosen=some_ids)
    def mend(self, chosen: list[str]) -> None:
        """Look for halves of scripts, of which there are none."""
        self.both("mend", chosen)

    @rule(chosen=some_ids)
    def look(self, chosen: list[str]) -> None:
        self.both("inspect", chosen)
        self.both("missing", chosen)
        self.both("holders", ["e1", "s1"])

    # --- what workers do ---

    @rule(worker=workers, info=st.sampled_from(["{}", '{"host":"x"}']), leave=rarely)
    def come_and_go(self, worker: str, info: str, leave: bool) -> None:
        if leave:
            self.both("leave", worker)
        else:
            self.both("join", worker, info)

    @rule(worker=workers, limit=st.integers(0, 4), which=modes)
    def work(self, worker: str, limit: int, which: tuple[list[str], str]) -> None:
        self.turn(worker, [], limit, *which)

    def _work_on(self, worker: str, jobs: list[str]) -> None:
        """Come back where the lease was lost, and take what is there."""
        if worker not in self.model.leases:
            self.both("join", worker)
        self.both("enqueue", [job(job_id) for job_id in jobs])
        self.turn(worker, [], 3, (), "all")

    # Hypothesis chooses each rule as often as any other: what matters most is there more than once.
    _working = rule(worker=workers, jobs=few_ids)
    work_on, work_more, work_most = _working(_work_on), _working(_work_on), _working(_work_on)

    @precondition(lambda self: self.leases)
    @rule(
        chosen=st.lists(st.tuples(numbers, rarely, endings, delays), min_size=1, max_size=4),
        limit=st.integers(0, 2),
        which=modes,
    )
    def end(
        self,
        chosen: list[tuple[int, bool, tuple[State, bool], float]],
        limit: int,
        which: tuple[list[str], str],
    ) -> None:
        """End attempts of the worker that has the first of them; of the others some are not its own, some are over."""
        worker, _ = self.lease(*chosen[0][:2])
        ended: list[Ending] = []
        for number, late, ending, delay in chosen:
            _, lease = self.lease(number, late)
            unique = head.unique_of(lease.body)
            ended.append(Ending(lease.id, lease.token, *ending, delay, "why", NOTE, unique))
        self.turn(worker, ended, limit, *which)

    def _end_one(self, number: int, late: bool, ending: tuple[State, bool], delay: float, worker: str | None) -> None:
        holder, lease = self.lease(number, late)
        self.turn(worker or holder, [Ending(lease.id, lease.token, *ending, delay)], 0, (), "all")

    _ending_late = rule(number=numbers, late=st.just(True), ending=endings, delay=delays, worker=workers)
    _ending = rule(number=numbers, late=rarely, ending=endings, delay=delays, worker=st.none())
    _running = precondition(lambda self: self.running())
    end_one, end_more = _running(_ending(_end_one)), _running(_ending(_end_one))
    end_late = precondition(lambda self: self.leases)(_ending_late(_end_one))

    def turn(self, worker: str, ended: list[Ending], limit: int, queues: list[str] | tuple[()], mode: str) -> None:
        turn = self.both("turn", worker, ended, limit, queues, mode)
        self.leases += [(worker, lease) for lease in turn.leases]

    @precondition(lambda self: self.leases)
    @rule(number=numbers, late=rarely, worker=st.none() | workers)
    def ask(self, number: int, late: bool, worker: str | None) -> None:
        holder, lease = self.lease(number, late)
        self.both("is_mine", worker or holder, lease.id, lease.token)

    @precondition(lambda self: self.leases)
    @rule(number=numbers, late=rarely, worker=st.none() | workers, done=st.integers(0, 2))
    def show(self, number: int, late: bool, worker: str | None, done: int) -> None:
        holder, lease = self.lease(number, late)
        self.both("show", [Shown(worker or holder, lease.id, lease.token, f'[{done},2,"a|b\\u0001",1.5]')])

    @rule(chosen=st.lists(workers, max_size=2, unique=True))
    def stop(self, chosen: list[str]) -> None:
        self.both("stopping", chosen)

    @rule(worker=workers)
    def repair(self, worker: str) -> None:
        self.both("held", worker)
        self.both("asked", worker)

    @precondition(lambda self: self.running())
    @rule(number=numbers, reason=st.sampled_from(["", "enough"]))
    def ask_to_cancel(self, number: int, reason: str) -> None:
        """Have a running job cancelled; often what it holds ends next."""
        chosen = self.running()[number % len(self.running())]
        self.both("cancel", [chosen.id], reason)
        self.both("asked", chosen.worker)

    @rule(started=st.dictionaries(workers, st.lists(ids, unique=True, max_size=4), min_size=1))
    def renew(self, started: dict[str, list[str]]) -> None:
        self.both("renew", started)

    @rule(worker=workers, begun=few_ids)
    def die(self, worker: str, begun: list[str]) -> None:
        self.both("bury", worker, begun)

    @precondition(lambda self: self.running())
    @rule(number=numbers)
    def kill(self, number: int) -> None:
        """Let a job kill its worker."""
        chosen = self.running()[number % len(self.running())]
        self.both("bury", chosen.worker, [chosen.id])

    @rule(which=modes)
    def listen(self, which: tuple[list[str], str]) -> None:
        """Use up a marker where there is one; where there is none, waiting would only take time."""
        queues, mode = which
        named = queues if mode == "only" else sorted(self.model.queues - {*queues})
        markers = [f"k:{queue}" for queue in named] if queues else ["k"]
        markers += ["kn"] if queues and mode == "all" else []
        found = next((marker for marker in markers if marker in self.model.markers), None)
        if found is not None:
            assert woken(Listener(self.broker, queues, mode, longest=1.0), 1.0)  # type: ignore[arg-type]
            self.model.markers.remove(found)

    # --- what the mirror does ---

    @rule(limit=st.integers(1, 8), offset=st.sampled_from([0, 0, 2]))
    def take(self, limit: int, offset: int) -> None:
        self.snapshots = self.both("take", limit, offset)

    @precondition(lambda self: self.snapshots)
    @rule(drift=st.sampled_from([0, 0, 0, 1, -1]))
    def done(self, drift: int) -> None:
        """Un-mark what was taken some time ago, so that some of it has changed since."""
        self.both("done", {snapshot.id: snapshot.version + drift for snapshot in self.snapshots})

    @rule(identity=st.sampled_from(["one", "another"]))
    def keep(self, identity: str) -> None:
        self.both("keep", identity)

    # --- what time does ---

    @rule(interval=st.sampled_from([0.0, 0.9]), milliseconds=st.sampled_from([0, 1, 900, 4000, 10_000, 10_001]))
    def tick(self, interval: float, milliseconds: int) -> None:
        self.set_clock(self.model.now + milliseconds)
        self.both("tick", interval)

    @rule(milliseconds=st.sampled_from([1, 5, 31_000, 3_600_000, -1, -4000, -5001]))
    def jump(self, milliseconds: int) -> None:
        self.set_clock(self.model.now + milliseconds)

    @precondition(lambda self: self.moments())
    @rule(number=numbers, drift=st.sampled_from([-1, 0, 0, 1]), tick=st.booleans())
    def wait_until(self, number: int, drift: int, tick: bool) -> None:
        """Go to a time at which something changes, or a millisecond off."""
        moments = self.moments()
        self.set_clock(moments[number % len(moments)] + drift)
        if tick:
            self.both("tick", 0.0)

    @rule(beats=st.integers(1, 7), silent=st.none() | workers)
    def live(self, beats: int, silent: str | None) -> None:
        """Let time go by while the workers renew their leases, but perhaps for one."""
        for _ in range(beats):
            self.set_clock(self.model.now + BEAT)
            self.both("renew", {worker: [] for worker in WORKERS if worker != silent})
            self.both("tick", 0.9)

    def moments(self) -> list[int]:
        """Return the times at which something changes, from now on."""
        last = self.model.last_tick or 0
        found = [job.waits_until for job in self.model.jobs.values() if job.waits_until is not None]
        found += [*self.model.leases.values(), *self.model.tombstones.values(), *self.model.expiring.values()]
        found += [until for _, until in self.model.keys.values()]
        found += [version + OVER for version in self.model.over.values()]
        found += [round(pause.until * 1000) for pause in self.model.pauses.values() if pause.until is not None]
        found += [*self.model.looks.values(), *map(round, self.model.full.values()), *self.model.held_limits.values()]
        found += [last + 900, last + LEASE * 2 // 3]
        return sorted({moment for moment in found if moment >= self.model.now})

    def moment(self, seconds: float | None) -> float | None:
        return None if seconds is None else self.model.now / 1000 + seconds

    def set_clock(self, now: int) -> None:
        self.broker.now = self.model.now = now

    # --- what must be so ---

    def lease(self, number: int, late: bool) -> tuple[str, Lease]:
        """Return a lease that stands, or a late one of those that were ever given."""
        running = {(job.id, job.token) for job in self.running()}
        standing = [lease for lease in self.leases if (lease[1].id, lease[1].token) in running]
        among = standing if standing and not late else self.leases[-8:]
        return among[number % len(among)]

    def running(self) -> list[Job]:
        """Return the jobs that run."""
        return [job for job in self.model.jobs.values() if job.state == "R"]

    def both(self, verb: str, *arguments: Any, **named: Any) -> Any:
        found, expected = (getattr(side, verb)(*arguments, **named) for side in (self.broker, self.model))
        assert plain(found) == plain(expected), f"{verb}{arguments} answered {found}, not {expected}"
        return found

    @invariant()
    def a_unique_key_has_one_job(self) -> None:
        """Invariant I5; who reads this need not believe the reference."""
        ids = self.broker.client.hkeys(self.broker.keys["b"])
        keys: list[str] = []
        for snapshot in self.broker.inspect(ids).values():
            key, record = head.unique_of(snapshot.body).partition("|")[0], snapshot.record
            has_started = record.first_started is not None or record.attempt > 0
            keys += [key] if key and not record.state.is_final and not (key[0] == "s" and has_started) else []
        assert len(keys) == len({*keys}), f"one of {keys} has two jobs"

    @invariant()
    def no_more_jobs_of_a_key_run_than_may(self) -> None:
        """Invariant I6; who reads this need not believe the reference."""
        broker = self.broker
        ids = [job_id for worker in WORKERS for job_id in broker.client.hkeys(broker.keys.held(worker))]
        for key, most in (("c1", 2), ("c2", 1), ("c3", 3)):
            running = [job_id for job_id in ids if LIMITS.get(job_id, "").startswith(key)]
            assert len(running) <= most, f"{running} run, which are more than {most}"

    @invariant()
    def they_look_alike(self) -> None:
        found, expected = view(self.broker, QUEUES, WORKERS, LIMIT_KEYS, LINES), self.model.view()
        for name, value in expected.items():
            assert found[name] == value, f"{name} are {found[name]}, not {value}"
