"""The broker as it is meant: a plain reference in Python, without Redis, that is easy to see through.

It has the verbs of ``RedisBroker``, takes the same arguments and gives the same answers. Times are milliseconds; the
clock is ``now``, which the tests move as they like.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django_backie.broker import replies
from django_backie.broker.redis import MOST_UNMIRRORED
from django_backie.broker.replies import (
    Answer,
    Arrival,
    Duplicate,
    Ending,
    Lease,
    Moved,
    Pause,
    Record,
    Request,
    Snapshot,
    Ticked,
    Turn,
)
from django_backie.broker.sent import Restored, Shown
from django_backie.core import head
from django_backie.core.job import Packed

START = 1_790_000_000_000
LEASE = 15_000
CRASH_DELAY = 30_000
CRASH_LIMIT = 3
ASIDE = 1000
# How often one claim looks for more jobs; how long nobody looks for room where nothing was released.
ROUNDS, PATIENCE = 20, 10_000
# How many jobs are let in at once.
MOST_LET_IN = 500
# Behind all priorities: where those of a queue stand whose group has had its turn.
NOT_DUE = 1000
TOMBSTONE = 3_600_000
OVER = 600_000
MOST_NOTES = 50
DAY = 86_400_000
KEEP = {"D": 7 * DAY, "F": 30 * DAY, "C": 30 * DAY}
ENDED = {"D", "F", "C"}


@dataclass
class Job:
    """One job. ``place`` is where it stands, or stood last, among the ready ones of its queue."""

    id: str
    queue: str
    priority: int
    body: str
    place: tuple[int, int] = (0, 0)
    state: str = "Q"
    tried: bool = False
    version: int = 0
    attempt: int = 0
    crashes: int = 0
    worker: str = ""
    first: int | None = None
    started: int | None = None
    finished: int | None = None
    due: int | None = None
    reason: str = ""
    notes: list[dict[str, Any]] = field(default_factory=list)
    keeps_place: bool = False
    # Until when it stands aside, though it is ready: its worker has a dangerous job already.
    aside: int | None = None
    token: int = 0
    # What the worker's hold says: "0" taken, "1" begun (or suspected to be), "2" has killed two workers already.
    begun: str = "0"
    # The key without room with which it waits.
    parked_with: str | None = None
    # When the attempt began whose progress was shown last, and what was shown.
    shown: tuple[int | None, str] | None = None

    @property
    def waits_until(self) -> int | None:
        return self.due if self.state in {"S", "Y"} else self.aside

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def is_asked(self) -> bool:
        """Tell whether it was asked to cancel while it runs."""
        return self.state == "R" and self.due is not None

    def give_up(self, now: int) -> None:
        self.state, self.finished, self.due = "C", now, None

    @property
    def unique(self) -> tuple[str, int]:
        """Return the key that the job has to itself, and for how long in any case."""
        key, *rest = head.unique_of(self.body).split("|")
        return key, int(rest[0]) if rest and rest[0].isdigit() else 0

    @property
    def conflict(self) -> str:
        """Return the letter of what it does to the job that has its key."""
        return head.unique_of(self.body)[-1:] if head.unique_of(self.body)[-2:-1] == "|" else ""

    @property
    def is_untouched(self) -> bool:
        """Tell whether no attempt has begun; a blocked job was looked at only."""
        return not self.ended and not self.attempt and (self.first is None or self.state == "B")

    @property
    def keeps_key(self) -> bool:
        """Tell whether no other job may have its key: it has not ended, or not been started."""
        key, _ = self.unique
        has_started = self.first is not None or self.attempt > 0
        return bool(key) and not self.ended and not (key.startswith("s") and has_started)

    @property
    def limits(self) -> list[tuple[str, float, int]]:
        """Return its limits: key, milliseconds for a token (0 of slots), how many at most (slots: at first)."""
        found = []
        for part in head.limits_of(self.body).split():
            key, *numbers = part.split("|")
            is_rate = key.startswith("r")
            found.append((key, float(numbers[0]) if is_rate else 0.0, int(numbers[1 if is_rate else 0])))
        return found

    @property
    def bounds(self) -> tuple[int, int] | None:
        """Return the least and the most slots of its limit, if that finds its own measure."""
        for part in head.limits_of(self.body).split():
            key, *numbers = part.split("|")
            if key.startswith("c") and len(numbers) > 1:
                return int(numbers[1]), int(numbers[2])
        return None

    @property
    def task(self) -> str:
        """Return its task, or nothing."""
        return str(json.loads(self.body.split("\n", 4)[4]).get("t", ""))

    @property
    def line(self) -> tuple[str, int]:
        """Return the name of the line of its group, and how many of it are due; without a group there is no name."""
        group, _, weight = head.group_of(self.body).partition("|")
        return (f"{self.priority}|{group}|{self.queue}" if group else ""), int(weight or 1)

    @property
    def ageing(self) -> int:
        """Return how many places a priority is worth; 0: priorities are exact."""
        return int(json.loads(self.body.split("\n", 4)[4]).get("p", 0))

    def place_of(self, number: int) -> tuple[int, int]:
        """Return the place of the job, were it the one with a number in the order of coming."""
        return (0, number - self.priority * self.ageing) if self.ageing else (-self.priority, number)

    @property
    def is_due(self) -> bool:
        return self.place[0] < NOT_DUE

    def turn_away(self, holder: str, now: int) -> None:
        self.state, self.reason, self.finished, self.due = "C", f"duplicate of {holder}", now, None

    def note(self, note: dict[str, Any]) -> None:
        self.notes = [*self.notes, note][-MOST_NOTES:]

    def record(self) -> Record:
        """Return what a reader of Redis is told."""
        if not self.tried:
            return Record(replies.STATES[self.state], due=_seconds(self.due))
        return Record(
            state=replies.STATES[self.state],
            version=self.version,
            attempt=self.attempt,
            crashes=self.crashes,
            worker=self.worker,
            first_started=_seconds(self.first),
            started=_seconds(self.started),
            finished=_seconds(self.finished),
            due=_seconds(self.due),
            reason=self.reason,
            attempts=tuple(self.notes),
        )

    def progress(self) -> str:
        """Return the progress that was shown last, as a reader of Redis is told."""
        return f"{self.shown[0]}|{self.shown[1]}" if self.shown else ""

    def lease(self) -> Lease:
        """Return the right to run the attempt that goes on."""
        first = (self.first or 0) / 1000
        return Lease(self.id, self.token, self.attempt, self.crashes, self.body, first, replies.history(self.notes))


class Reference:
    """Queues, leases and job records of one namespace, as they should be."""

    def __init__(
        self, *, mirrored: bool = True, bounds: Mapping[str, int] | None = None, most_unmirrored: int = MOST_UNMIRRORED
    ) -> None:
        self.mirrored = mirrored
        self.bounds = bounds or {}
        self.most_unmirrored = most_unmirrored
        self.now = START
        self.number = 0
        self.jobs: dict[str, Job] = {}
        self.leases: dict[str, int] = {}
        self.infos: dict[str, str] = {}
        self.stopping_workers: set[str] = set()
        self.marks: dict[str, int] = {}
        self.expiring: dict[str, int] = {}
        self.tombstones: dict[str, int] = {}
        self.over: dict[str, int] = {}
        self.queues: set[str] = set()
        self.markers: set[str] = set()
        self.askings: dict[str, int] = {}
        self.last_tick: int | None = None
        self.epoch: str | None = None
        self.pauses: dict[str, Pause] = {}
        # Unique key -> the job that has it, and until when in any case.
        self.keys: dict[str, tuple[str, int]] = {}
        # Job -> key of its slot; key -> when its bucket is full again; limit -> until when nothing starts.
        self.slots: dict[str, str] = {}
        # Key of an adaptive limit -> thousandths of a slot, when they were halved, least, most.
        self.measures: dict[str, tuple[int, int, int, int]] = {}
        self.measured: dict[str, int] = {}
        self.full: dict[str, float] = {}
        self.held_limits: dict[str, int] = {}
        # Key -> places of jobs that were parked with it, some of which may be elsewhere by now; when to look for room.
        self.lines: dict[str, dict[str, tuple[int, int]]] = {}
        self.looks: dict[str, int] = {}
        # Line of a group -> who stands in it, by number; when to look at those in which not all are due.
        self.groups: dict[str, dict[str, int]] = {}
        self.fair_looks: dict[str, int] = {}

    # --- what callers do ---

    def enqueue(self, jobs: Sequence[Packed]) -> list[Answer]:
        replaced: list[Job] = []
        answers = [self._add(job, replaced) for job in jobs]
        for former in replaced:
            self._leave_line(former)
        return answers

    def _add(self, packed: Packed, replaced: list[Job]) -> Answer:
        if packed.id in self.jobs or packed.id in self.tombstones or packed.id in self.over:
            return Arrival.PRESENT
        bound = self.bounds.get(packed.queue, self.bounds.get("*"))
        due = None if packed.run_after is None else round(packed.run_after * 1000)
        is_later = due is not None and due > self.now
        job = Job(packed.id, packed.queue, packed.priority, packed.body)
        holder = self._other_holder(job)
        former = self._former(job, holder) if holder else None
        if holder and not former:
            self._move_to(job, holder, due)
            self.jobs[job.id] = job
            job.turn_away(holder, self.now)
            self._write(job)
            return Duplicate(holder)
        in_the_way = [other for other in self._ready(packed.queue) if other is not former]
        if bound is not None and len(in_the_way) >= bound and not is_later:
            return Arrival.FULL
        if former:
            self._stop(former, f"replaced by {job.id}")
            replaced.append(former)
        self.jobs[job.id] = job
        self._take_key(job, job.unique[1])
        self._know(job.queue)
        if is_later:
            job.state, job.due = "S", due
            self._wake(job.queue)
        else:
            self._append(job)
        self._mark(job, self.now)
        return Arrival.ADDED

    def cancel(self, ids: Sequence[str], reason: str = "") -> list[str]:
        def cancel(job: Job) -> str:
            if job.ended:
                return "ENDED"
            if job.is_asked:
                return "ASKED"
            if job.state == "R":
                self.askings[job.worker] = max(self.askings.get(job.worker, 0) + 1, self.now)
                job.due, job.reason = self.now, reason
                self._write(job)
                return "ASKED"
            self._leave_line(job)
            self._stop(job, reason)
            self._give_up_key(job)
            return "OK"

        return self._each(ids, cancel)

    def _stop(self, job: Job, reason: str) -> None:
        job.keeps_place, job.aside, job.reason, job.parked_with = False, None, reason, None
        job.give_up(self.now)
        self._write(job)

    def hasten(self, ids: Sequence[str]) -> list[str]:
        def hasten(job: Job) -> str:
            if job.state == "R" or job.ended:
                return "RUNNING" if job.state == "R" else "ENDED"
            if job.state == "Q" and job.aside is None:
                return "READY"
            job.keeps_place, job.aside = False, None
            is_new = job.state == "B" and not job.unique[0].startswith("s")
            job.first = None if is_new else job.first
            self._append(job)
            self._write(job)
            return "OK"

        return self._each(ids, hasten)

    def _each(self, ids: Sequence[str], change: Callable[[Job], str]) -> list[str]:
        return [change(self.jobs[job_id]) if job_id in self.jobs else "GONE" for job_id in ids]

    def pause(self, queue: str, pause: Pause) -> None:
        self.pauses[queue] = pause

    def resume(self, queue: str) -> bool:
        was_paused = self.pauses.pop(queue, None) is not None
        if queue.startswith("\n"):
            self._let_in(f"t{queue[1:]}", None)
        else:
            self._pass_on([queue])
        return was_paused

    def move(self, source: str, target: str, jobs: Sequence[Moved]) -> list[bool]:
        return [self._move(source, target, moved) for moved in jobs]

    def _move(self, source: str, target: str, moved: Moved) -> bool:
        aside = [job for job in self.jobs.values() if job.parked_with and (job.state, job.queue) == ("Q", source)]
        job = next((job for job in [*self._ready(source), *aside] if job.id == moved.id), None)
        if job is None or job.body.split("\n")[3] != moved.signature:
            return False
        job.parked_with = None
        has_left_a_line = self._step_out(job) is not None
        number = job.place[1] + job.priority * job.ageing
        job.queue, job.body = target, moved.body
        job.place = job.place_of(number)
        if has_left_a_line:
            self.number += 1
            self._line_up(job, self.number)
        self._know(target)
        self._wake(target)
        self._write(job)
        return True

    def restore(self, jobs: Sequence[Restored], *, revive: bool = False) -> list[int]:
        return [self._restore(job, revive=revive) for job in jobs]

    def _restore(self, row: Restored, *, revive: bool) -> int:
        job = self.jobs.get(row.id)
        if job and not (revive and job.ended and job.version <= row.version):
            return 0
        if row.id in self.tombstones or self.over.get(row.id, 0) > row.version:
            return 0
        _, queue, priority, *_ = row.body.split("\n")
        job = job or Job(row.id, queue, int(priority), row.body)
        first = job.first
        if not revive and first is None and row.first_started is not None:
            first = round(row.first_started * 1000)
        revived = replace(job, queue=queue, priority=int(priority), body=row.body, state="Q", attempt=row.attempt)
        revived.first = first
        holder = self._other_holder(revived)
        if holder and revive:
            return -1
        job.queue, job.priority, job.body = queue, int(priority), row.body
        job.attempt, job.crashes, job.finished = row.attempt, row.crashes, None
        job.version = max(job.version, row.version)
        job.notes = job.notes or list(row.attempts)
        job.first = first
        self.jobs[job.id] = job
        job.state = "Q"
        if not holder:
            self._take_key(job)
        self.expiring.pop(job.id, None)
        self._know(queue)
        due = None if row.due is None else round(row.due * 1000)
        if holder:
            job.turn_away(holder, self.now)
        elif due is not None and due > self.now:
            job.state, job.due, job.reason = "S", due, ""
        else:
            self._append(job)
            # A row's time is told on, even if it has passed.
            job.due = due
        self._write(job)
        return job.version

    def erase(self, ids: Sequence[str]) -> int:
        if not ids:
            return 0
        count = 0
        for job_id in ids:
            count += job_id in self.jobs
            if job_id in self.jobs:
                self._give_up_key(self.jobs[job_id])
                self._leave_line(self.jobs[job_id])
            self._remove(job_id)
            self.tombstones[job_id] = self.now + TOMBSTONE
        self._release(ids)
        return count

    def drop(self, versions: Mapping[str, int]) -> int:
        """Remove what is older than its row; a job that was never tried is older than any."""
        old = [job for job in self.jobs.values() if job.id in versions and job.version < versions[job.id]]
        for job in old:
            self._leave_line(job)
            self._remove(job.id)
        self._release([job.id for job in old])
        return len(old)

    # --- what workers do ---

    def join(self, worker: str, info: str = "{}") -> None:
        self.leases[worker] = self.now + LEASE
        self.infos[worker] = info

    def leave(self, worker: str) -> bool:
        if self._held_by(worker):
            return False
        self._forget(worker)
        return True

    def turn(
        self,
        worker: str,
        endings: Sequence[Ending] = (),
        limit: int = 0,
        queues: Sequence[str] = (),
        mode: str = "all",
    ) -> Turn:
        answers, over = [], dict[str, Ending]()
        for ending in endings:
            answers.append("DUP" if ending.id in over else self._end(worker, ending))
            over |= {ending.id: ending} if answers[-1] == "OK" else {}
        self._release([*over], over)
        for ending in endings:
            if ending.unique:
                self._forget_if_void(ending.unique.partition("|")[0])
        served = list(queues) if mode == "only" else sorted(self.queues - set(queues))
        served = [queue for queue in served if queue not in self.pauses or self._is_over(self.pauses[queue])]
        if limit > 0 and (worker not in self.leases or worker in self.stopping_workers):
            self._pass_on(served)
            limit = 0
        if worker not in self.leases:
            return Turn(True, answers, [], 0, None)
        leases, is_cut_short = [], False
        slow = limit > 0 and len(self.marks) > self.most_unmirrored
        if limit > 0 and not slow:
            self._promote()
            leases, is_more = self._claim(worker, limit, served, strict=mode == "only")
            self._pass_on(served if is_more else [])
            is_cut_short = is_more and len(leases) < limit
        waiting = [due - self.now for due in [*(due for due, _, _ in self._waiting()), *self.looks.values()]]
        next_due = 0.2 if slow else max(0, min(waiting)) / 1000 if waiting else None
        next_due = 0.0 if is_cut_short else next_due
        return Turn(False, answers, leases, len(self._held_by(worker)), next_due, slow)

    def _end(self, worker: str, ending: Ending) -> str:
        job = self.jobs.get(ending.id)
        if job is None or job.worker != worker:
            return "STALE"
        if job.state != "R" or job.token != ending.token:
            return "DUP" if job.ended else "STALE"
        state, reason = replies.LETTERS[ending.state], ending.reason
        if job.is_asked and state not in {"D", "F"}:
            state, reason = "C", reason if state == "C" and reason else job.reason
        job.state, job.reason, job.due = state, reason, None
        job.attempt -= ending.refund
        if ending.note:
            job.note(*replies.notes(ending.note))
        if state == "Q":
            self._wake(job.queue)
        elif state in {"S", "Y"}:
            job.due = self.now + round(ending.delay * 1000)
            job.keeps_place = ending.refund
        elif job.ended:
            job.finished = self.now
        self._write(job)
        return "OK"

    def _claim(self, worker: str, limit: int, queues: Sequence[str], *, strict: bool) -> tuple[list[Lease], bool]:
        """Hand out the first jobs, strictly queue by queue or as if all were one; tell whether there may be more."""
        leases: list[Lease] = []
        without: dict[str, int] = {}
        wanted = limit
        for _ in range(ROUNDS):
            part = self._pop(wanted, queues, strict=strict)
            found, parked, has_let_in = self._claim_part(worker, part, without)
            leases += found
            if len(part) < wanted and not has_let_in:
                return leases, False
            if not parked:
                break
            wanted -= len(part) - parked
        return leases, True

    def _pop(self, most: int, queues: Sequence[str], *, strict: bool) -> list[Job]:
        """Return the first that are due, one after the other; each is followed by the next of its group."""
        found: list[Job] = []
        while len(found) < most:
            heads = [job for queue in queues for job in self._ready(queue) if job.is_due and job not in found]
            if not heads:
                break
            job = heads[0] if strict else min(heads, key=lambda head: head.place)
            found.append(job)
            name, _ = job.line
            if self._step_out(job) is not None and not self._call_up_next(job):
                self.fair_looks.pop(name, None)
        return found

    def _claim_part(self, worker: str, part: Sequence[Job], without: dict[str, int]) -> tuple[list[Lease], int, bool]:
        """Hand out some jobs; return besides how many were parked, and whether others may have come in their place."""
        leases, parked, has_let_in = [], 0, False
        dangerous = any(job.begun == "2" for job in self._held_by(worker))
        for job in part:
            left, look = self._room_of_task(job.task)
            if left < 1:
                self._park(job, f"t{job.task}", look)
                parked += 1
                # A job of a paused task leaves its room under limits to others.
                for limit, _, _ in job.limits:
                    self._let_in(limit, 1)
                    has_let_in = True
                continue
            if key := self._key_without_room(job, without):
                self._park(job, key, without[key])
                parked += 1
                others = [limit for limit, _, _ in job.limits if limit != key]
                has_let_in |= sum(self._let_in(other, 1) for other in others if other not in without) > 0
                continue
            if job.crashes >= 2 and dangerous:
                job.aside, job.keeps_place = self.now + ASIDE, True
                continue
            self._take_room(job)
            dangerous |= job.crashes >= 2
            suspect = job.crashes == 1 or job.reason == "recovered"
            job.begun = "2" if job.crashes >= 2 else "1" if suspect else "0"
            job.state, job.worker, job.attempt = "R", worker, job.attempt + 1
            job.started, job.finished, job.due = self.now, None, None
            job.first = self.now if job.first is None else job.first
            self._write(job)
            job.token = job.version
            leases.append(job.lease())
        return leases, parked, has_let_in

    def is_mine(self, worker: str, job_id: str, token: int) -> bool:
        return any(job.id == job_id and job.token == token for job in self._held_by(worker))

    def show(self, attempts: Sequence[Shown]) -> list[bool]:
        return [self._show(attempt) for attempt in attempts]

    def _show(self, attempt: Shown) -> bool:
        if not self.is_mine(attempt.worker, attempt.id, attempt.token):
            return False
        job = self.jobs[attempt.id]
        job.shown = job.started, attempt.progress
        return True

    def held(self, worker: str) -> list[Lease]:
        return [job.lease() for job in self._held_by(worker)]

    def asked(self, worker: str) -> list[Request]:
        return [Request(job.id, job.token, job.reason) for job in self._held_by(worker) if job.is_asked]

    def renew(self, started: Mapping[str, Collection[str]]) -> dict[str, bool]:
        for worker in started.keys() & self.leases.keys():
            self.leases[worker] = self.now + LEASE
            for job in self._held_by(worker):
                if job.id in started[worker] and job.begun == "0":
                    job.begun = "1"
        return {worker: worker in self.leases for worker in started}

    def stopping(self, workers: Sequence[str]) -> int:
        known = [worker for worker in workers if worker in self.leases]
        self.stopping_workers |= set(known)
        return len(known)

    def bury(self, worker: str, started: Iterable[str] = ()) -> int:
        return self._recover(worker, set(started))

    def tick(self, interval: float = 0.9) -> Ticked:
        every = round(interval * 1000)
        last = self.now - every if self.last_tick is None else self.last_tick
        if last <= self.now < last + every:
            return Ticked(0, 0, 0, self.askings)
        self.last_tick = self.now
        hole = self.now - last > LEASE * 2 / 3 or last - self.now > 5000
        late = [] if hole else [worker for worker, end in self.leases.items() if end <= self.now]
        if hole:
            self.leases = dict.fromkeys(self.leases, self.now + LEASE)
        taken = sum(self._recover(worker, None) for worker in late)
        if last - self.now > 5000:
            self.held_limits = {name: until - (last - self.now) for name, until in self.held_limits.items()}
            self.looks = {key: min(look, self.now) for key, look in self.looks.items()}
        promoted = self._promote()
        self._look_at_lines()
        for queue in [queue for queue, pause in self.pauses.items() if self._is_over(pause)]:
            self.resume(queue)
        for job_id in [job_id for job_id, end in self.expiring.items() if end <= self.now]:
            del self.jobs[job_id], self.expiring[job_id]
        self.tombstones = {job_id: end for job_id, end in self.tombstones.items() if end > self.now}
        self.over = {job_id: version for job_id, version in self.over.items() if abs(version - self.now) < OVER}
        for key in [*self.keys]:
            self._forget_if_void(key)
        self.full = {key: full for key, full in self.full.items() if full > self.now}
        self.held_limits = {name: until for name, until in self.held_limits.items() if until > self.now}
        self.measured = {key: at for key, at in self.measured.items() if at > self.now - DAY}
        self.measures = {key: found for key, found in self.measures.items() if key in self.measured}
        asked, self.askings = self.askings, {name: at for name, at in self.askings.items() if name in self.leases}
        return Ticked(len(late), taken, promoted, asked)

    # --- what the mirror does ---

    def take(self, limit: int, offset: int = 0) -> list[Snapshot]:
        longest_first = sorted(self.marks, key=lambda job_id: (self.marks[job_id], job_id))
        chosen = [self.jobs[job_id] for job_id in longest_first[offset : offset + limit]]
        return [Snapshot(job.id, self.marks[job.id], job.body, job.record()) for job in chosen]

    def done(self, versions: Mapping[str, int]) -> list[str]:
        for job_id, version in versions.items():
            if self.marks.get(job_id) == version:
                del self.marks[job_id]
                if self.jobs[job_id].state in {"F", "C"}:
                    self.over[job_id] = version
                if self.jobs[job_id].ended:
                    del self.jobs[job_id]
        return [job_id for job_id in versions if job_id in self.tombstones]

    def missing(self, ids: Sequence[str]) -> list[str]:
        return [job_id for job_id in ids if job_id not in self.jobs]

    def inspect(self, ids: Sequence[str]) -> dict[str, Snapshot]:
        here = [self.jobs[job_id] for job_id in ids if job_id in self.jobs]
        return {job.id: Snapshot(job.id, 0, job.body, job.record(), job.progress()) for job in here}

    def lift(self, versions: Mapping[str, int]) -> int:
        """Raise what is not newer than its row above it."""
        behind = [job for job in self.jobs.values() if job.id in versions and job.version <= versions[job.id]]
        for job in behind:
            job.version = max(versions[job.id], self.now) + 1
            job.tried = True
            self._mark(job, job.version)
        return len(behind)

    def mend(self, ids: Sequence[str]) -> int:
        """Find everything in its place; what is not marked is mirrored once more."""
        for job in [self.jobs[job_id] for job_id in ids if job_id in self.jobs]:
            if job.tried and job.id not in self.marks:
                self._mark(job, job.version)
        return 0

    def keep(self, identity: str) -> None:
        self.epoch = identity

    def hold(self, limits: Sequence[str], seconds: float) -> None:
        for name in limits:
            self.held_limits[name] = max(self.held_limits.get(name, 0), self.now + round(seconds * 1000))

    def token(self, key: str, interval: float, burst: int) -> float:
        left, look = self._room(key, interval * 1000, burst)
        if left < 1:
            return max(1, look - self.now) / 1000
        self._take_token(key, interval * 1000, burst)
        return 0.0

    def holders(self, keys: Sequence[str]) -> list[str]:
        return [self._holder_of(key) or "" for key in keys]

    # --- what they share ---

    def _holder_of(self, key: str) -> str | None:
        """Return the job that has a key: within its window, or one that keeps it."""
        job_id, until = self.keys.get(key, ("", 0))
        job = self.jobs.get(job_id)
        return job_id if until > self.now or (job and job.keeps_key) else None

    def _other_holder(self, job: Job) -> str | None:
        holder = self._holder_of(job.unique[0]) if job.keeps_key else None
        return None if holder == job.id else holder

    def _former(self, job: Job, holder: str) -> Job | None:
        """Return the job whose place another may take."""
        former = self.jobs.get(holder)
        may = job.conflict == "r" and former and former.is_untouched and job.id[:13] >= holder[:13]
        return former if may else None

    def _move_to(self, job: Job, holder: str, due: int | None) -> None:
        """Let a job that waits for its time wait for a later call's."""
        moved = self.jobs.get(holder)
        if job.conflict != "x" or due is None or not moved or moved.state != "S" or not moved.is_untouched:
            return
        mover = moved.reason.removeprefix("moved by ") if moved.reason.startswith("moved by ") else holder
        if job.id[:13] >= mover[:13]:
            moved.due, moved.reason = due, f"moved by {job.id}"
            self._write(moved)
            self._wake(moved.queue)

    def _take_key(self, job: Job, window: int = 0) -> None:
        if job.keeps_key:
            self.keys[job.unique[0]] = job.id, self.now + window if window else 0

    def _give_up_key(self, job: Job) -> None:
        if self.keys.get(job.unique[0], ("", 0))[0] == job.id:
            del self.keys[job.unique[0]]

    def _forget_if_void(self, key: str) -> None:
        if self._holder_of(key) is None:
            self.keys.pop(key, None)

    def _recover(self, worker: str, begun: Collection[str] | None) -> int:
        held = self._held_by(worker)
        if worker in self.stopping_workers:
            begun = ()
        for job in held:
            job.attempt -= 1
            if job.id in begun if begun is not None else job.begun != "0":
                self._charge(job)
            elif job.is_asked:
                job.give_up(self.now)
            else:
                # Whose start nobody could know of is a suspect from now on.
                job.state, job.reason = "Q", "recovered" if begun is None else ""
                self._wake(job.queue)
            self._write(job)
        self._forget(worker)
        self._release([job.id for job in held])
        return len(held)

    def _charge(self, job: Job) -> None:
        started = (job.started or 0) / 1000
        note = {"n": job.attempt + 1, "w": job.worker, "s": started, "e": self.now / 1000, "o": "lost"}
        if job.shown and job.shown[0] == job.started:
            note["p"] = json.loads(job.shown[1])
        job.note(note)
        job.crashes += 1
        if job.is_asked:
            job.give_up(self.now)
            return
        job.reason = "recovered"
        if job.crashes >= CRASH_LIMIT:
            job.state, job.finished, job.reason = "F", self.now, "killed its worker 3 times"
        elif job.crashes == 2:
            job.state, job.due, job.keeps_place = "Y", self.now + CRASH_DELAY, True
        else:
            job.state = "Q"
            self._wake(job.queue)

    def _room(self, key: str, interval: float, most: int, bounds: tuple[int, int] | None = None) -> tuple[int, int]:
        """Return how many jobs of a key may start, and when to look again should that be too few."""
        if key.startswith("t"):
            return self._room_of_task(key[1:])
        held = self.held_limits.get(key[1:], 0)
        if held > self.now:
            return 0, held
        if key.startswith("c"):
            most = self.measures.get(key, (most * 1000,))[0] // 1000 if bounds else most
            most = max(bounds[0], min(bounds[1], most)) if bounds else most
            return most - [*self.slots.values()].count(key), self.now + PATIENCE
        full = self._full_at(key, interval, most)
        left = math.floor(most - (full - self.now) / interval + 1e-6)
        after = full + max(left, 0) * interval
        return left, math.ceil(after - (most - 1) * interval - 1e-6)

    def _room_of_task(self, task: str) -> tuple[int, int]:
        pause = self.pauses.get(f"\n{task}")
        if pause is None or self._is_over(pause):
            return MOST_LET_IN, self.now
        soon = self.now + PATIENCE
        return 0, soon if pause.until is None else min(round(pause.until * 1000), soon)

    def _key_without_room(self, job: Job, without: dict[str, int]) -> str | None:
        for key, interval, most in job.limits:
            if key not in without:
                left, look = self._room(key, interval, most, job.bounds)
                if left < 1:
                    without[key] = look
            if key in without:
                return key
        return None

    def _take_room(self, job: Job) -> None:
        for key, interval, start in job.limits:
            if key.startswith("c"):
                self.slots[job.id] = key
                if job.bounds:
                    least, most = job.bounds
                    size, halved, *_ = self.measures.get(key, (start * 1000, 0))
                    self._measure(key, max(least * 1000, min(most * 1000, size)), halved, least, most)
            else:
                self._take_token(key, interval, start)

    def _full_at(self, key: str, interval: float, burst: int) -> float:
        return min(max(self.full.get(key, 0.0), float(self.now)), self.now + burst * interval)

    def _take_token(self, key: str, interval: float, burst: int) -> None:
        self.full[key] = float(f"{self._full_at(key, interval, burst) + interval:.3f}")

    def _park(self, job: Job, key: str, look: int) -> None:
        job.parked_with = key
        self.lines.setdefault(key, {})[job.id] = job.place
        self.looks.setdefault(key, look)

    def _let_in(self, key: str, most: int | None) -> int:
        """Make parked jobs ready at their places: ``most``, or where nobody knows, as many as there is room for."""
        left: int | None = None
        count = 0
        look = self.now
        line = self.lines.get(key, {})
        for job_id in sorted(line, key=lambda name: (line[name], name)):
            job = self.jobs.get(job_id)
            if job and job.parked_with == key:
                if left is None:
                    limit = next((limit for limit in job.limits if limit[0] == key), (key, 0.0, 0))
                    left, look = self._room(*limit, job.bounds)
                    left = left if most is None else min(left, most)
                if left < 1:
                    break
                pause = self.pauses.get(job.queue)
                # Who waits for the end of a pause takes nobody's room.
                left -= 0 if pause and not self._is_over(pause) else 1
                count += 1
                job.parked_with = None
                self._wake(job.queue)
            del line[job_id]
        if not line:
            self.lines.pop(key, None)
            self.looks.pop(key, None)
        elif most is None:
            self.looks[key] = look
        return count

    def _release(self, ids: Sequence[str], endings: Mapping[str, Ending] | None = None) -> None:
        keys = {job_id: self.slots[job_id] for job_id in ids if job_id in self.slots}
        freed, taken = Counter(keys.values()), Counter(self.slots.values())
        for job_id, key in keys.items():
            freed[key] += self._adapt(key, self.jobs[job_id], endings[job_id], taken[key]) if endings else 0
        for job_id in keys:
            del self.slots[job_id]
        for key, count in freed.items():
            self._let_in(key, count)

    def _adapt(self, key: str, job: Job, ending: Ending, taken: int) -> int:
        """Measure an adaptive limit by the end of an attempt; return how many slots there are more."""
        size, halved, least, most = self.measures.get(key, (0, 0, 0, 0))
        if size and job.state in {"F", "Y"} and (halved > self.now or ending.token > halved + 1):
            self._measure(key, max(least * 1000, size // 2), self.now, least, most)
        elif size and job.state == "D" and taken >= size // 1000:
            larger = min(most * 1000, size + max(1, 1000 // (size // 1000)))
            self._measure(key, larger, halved, least, most)
            return larger // 1000 - size // 1000
        return 0

    def _measure(self, key: str, *found: Any) -> None:
        self.measures[key], self.measured[key] = found, self.now

    def _promote(self) -> int:
        for key in [key for key, look in self.looks.items() if look <= self.now]:
            self._let_in(key, None)
        due = [job for when, _, job in self._waiting() if when <= self.now]
        for job in due:
            if job.keeps_place:
                job.state, job.due, job.reason, job.keeps_place = "Q", None, "", False
                self._wake(job.queue)
            else:
                self._append(job)
            job.aside = None
            self._write(job)
        return len(due)

    def _append(self, job: Job) -> None:
        """Make a job ready, behind all others of its priority."""
        self.number += 1
        self._line_up(job, self.number)
        job.state, job.due, job.reason = "Q", None, ""
        self._wake(job.queue)

    def _line_up(self, job: Job, number: int) -> None:
        """Give a job its place: at the end of its priority, or behind all others where its group has had its turn."""
        job.place = job.place_of(number)
        name, weight = job.line
        if name:
            line = self.groups.setdefault(name, {})
            line[job.id] = number
            if len(line) > weight:
                job.place = (NOT_DUE, number)
                self.fair_looks.setdefault(name, 0)

    def _step_out(self, job: Job) -> int | None:
        """Take a job out of its line; answer the number that it had there, or None where it is in none."""
        line = self.groups.get(job.line[0], {})
        number = line.pop(job.id, None)
        if not line:
            self.groups.pop(job.line[0], None)
        return number

    def _leave_line(self, job: Job) -> None:
        if self._step_out(job) is not None and self._call_up_next(job):
            self._wake(job.queue)

    def _call_up_next(self, job: Job) -> bool:
        """Let the next of a job's line be due; tell whether there was one who was not."""
        name, weight = job.line
        line = self.groups.get(name, {})
        first = sorted(line, key=lambda name: line[name])[:weight]
        found = [self.jobs[job_id] for job_id in first if not self.jobs[job_id].is_due]
        for late in found:
            self.number += 1
            late.place = late.place_of(self.number)
        return bool(found)

    def _look_at_lines(self) -> None:
        for name in [name for name, look in self.fair_looks.items() if look <= self.now]:
            line = self.groups.get(name, {})
            any_of = next((self.jobs[job_id] for job_id in line), None)
            if any_of and self._call_up_next(any_of):
                self._wake(any_of.queue)
            if any_of and len(line) >= any_of.line[1]:
                self.fair_looks[name] = self.now + PATIENCE
            else:
                del self.fair_looks[name]

    def _write(self, job: Job) -> None:
        """Give a job its next version and mark it. Of one that was never tried, only the mark bore a version."""
        job.version = max(job.version, self.now) + 1
        job.tried = True
        self._mark(job, job.version)
        if job.ended and not self.mirrored:
            self.expiring[job.id] = self.now + KEEP[job.state]

    def _mark(self, job: Job, version: int) -> None:
        if self.mirrored:
            self.marks[job.id] = version

    def _know(self, queue: str) -> None:
        if queue not in self.queues:
            self.queues.add(queue)
            self.markers.add("kn")

    def _wake(self, queue: str) -> None:
        self.markers |= {"k", f"k:{queue}"}

    def _forget(self, worker: str) -> None:
        self.leases.pop(worker, None)
        self.infos.pop(worker, None)
        self.stopping_workers.discard(worker)

    def _remove(self, job_id: str) -> None:
        for keeper in (self.jobs, self.marks, self.expiring):
            keeper.pop(job_id, None)

    def _pass_on(self, queues: Sequence[str]) -> None:
        for queue in queues:
            if self._ready(queue):
                self._wake(queue)

    def _is_over(self, pause: Pause) -> bool:
        return pause.until is not None and round(pause.until * 1000) <= self.now

    def _ready(self, queue: str) -> list[Job]:
        ready = [job for job in self.jobs.values() if job.state == "Q" and job.queue == queue]
        ready = [job for job in ready if job.aside is None and job.parked_with is None]
        return sorted(ready, key=lambda job: job.place)

    def _waiting(self) -> list[tuple[int, str, Job]]:
        """Return the jobs that wait for their time, in the order of their times."""
        return sorted((job.waits_until, job.id, job) for job in self.jobs.values() if job.waits_until is not None)

    def _held_by(self, worker: str) -> list[Job]:
        return [job for job in self.jobs.values() if job.state == "R" and job.worker == worker]

    # --- what the tests compare ---

    def view(self) -> dict[str, Any]:
        """Return everything that is to be found in Redis, in the form of ``clocked.view``."""
        running = [job for job in self.jobs.values() if job.state == "R"]
        return {
            "bodies": {job.id: job.body for job in self.jobs.values()},
            "records": {job.id: job.record() for job in self.jobs.values() if job.tried},
            "ready": {queue: [job.id for job in self._ready(queue)] for queue in self.queues if self._ready(queue)},
            "waiting": {job_id: due for due, job_id, _ in self._waiting()},
            "own places": {job.id for job in self.jobs.values() if job.keeps_place},
            "held": {job.id: (job.worker, job.token, job.begun) for job in running},
            "leases": self.leases,
            "infos": self.infos,
            "stopping": self.stopping_workers,
            "marks": self.marks,
            "progress": {job.id: job.progress() for job in self.jobs.values() if job.shown},
            "expiring": self.expiring,
            "tombstones": self.tombstones,
            "over": self.over,
            "queues": self.queues,
            "markers": self.markers,
            "askings": self.askings,
            "last tick": self.last_tick,
            "epoch": self.epoch,
            "pauses": {queue: replies.pause(pause.text()) for queue, pause in self.pauses.items()},
            "keys": self.keys,
            "slots": self.slots,
            "slots by key": {
                key: {name for name in self.slots if self.slots[name] == key} for key in self.slots.values()
            },
            "measures": self.measures,
            "measured": self.measured,
            "buckets": self.full,
            "held limits": self.held_limits,
            "parked": {job.id: job.parked_with for job in self.jobs.values() if job.parked_with},
            "lines": {key: {*line} for key, line in self.lines.items()},
            "looks": self.looks,
            "groups": {name: sorted(line, key=lambda name: line[name]) for name, line in self.groups.items()},
            "fair looks": self.fair_looks,
        }


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
