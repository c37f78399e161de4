"""What becomes of the jobs when a worker is killed with SIGKILL."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

from .. import machine
from ..bodies import NUMBER, WAIT
from ..load import Load
from ..measures import Sample
from ..peers import OURS
from ..samples import Column
from ..stage import Scene, Worker
from .base import Act, Case, Plan, Section, Table, cases_of_all

JOBS = 200
POLL = 0.01
PATIENCE = 90.0
COLUMNS = (
    Column("finished", f"finished of {JOBS}"),
    Column("repeated", "finished twice"),
    Column("seconds", "s to the last", 1, better="less"),
)


def _sections(plan: Plan) -> list[Section]:
    ours = [
        Case("django-backie, one child killed", OURS, Load(), _measure(_kill_child, PATIENCE)),
        Case("django-backie, whole worker killed", OURS, Load(), _measure(_kill_worker, PATIENCE)),
    ]
    others = cases_of_all(plan.peers, plan, Load(), lambda peer: _measure(_kill_worker, plan.kill_wait))
    return [
        Section("django-backie", _note(PATIENCE), COLUMNS, ours),
        Section("the others, whole worker killed", _note(plan.kill_wait), COLUMNS, others, together=True),
    ]


def _note(patience: float) -> str:
    return (
        f"{JOBS} jobs of {WAIT * 1000:.0f} ms; when half are done, processes are killed with SIGKILL. After the whole "
        f"worker a new one starts at once. Counted when all are done, at the latest after {patience:.0f} s. Default "
        "settings."
    )


def _measure(strike: Callable[[Scene, Worker], None], patience: float) -> Act:
    def measure(scene: Scene) -> Sample:
        scene.client.ask("fill", "number", JOBS)
        worker = scene.start_worker()
        scene.wait(JOBS // 2, NUMBER.size)
        # Otherwise it would always be the moment after some have ended.
        time.sleep(WAIT * random.random())
        struck = time.monotonic()
        strike(scene, worker)
        seconds = _last_change(scene, struck, patience)
        done = _finished(scene)
        return {"finished": len(set(done)), "repeated": len(done) - len(set(done)), "seconds": seconds}

    return measure


def _kill_worker(scene: Scene, worker: Worker) -> None:
    worker.kill()
    scene.start_worker()


def _kill_child(scene: Scene, worker: Worker) -> None:
    """Kill the child that runs the jobs: of the parent's children it is the one with the most threads."""
    children = [process.pid for process in worker.tree() if process.pid not in worker.roots]
    os.kill(max(children, key=machine.threads), signal.SIGKILL)


def _last_change(scene: Scene, since: float, patience: float) -> float:
    """Wait until all are done or the patience ends; return when the last one was, in seconds."""
    last, done = since, _finished(scene)
    while len(set(done)) < JOBS and time.monotonic() - since < patience:
        time.sleep(POLL)
        if len(now_done := _finished(scene)) > len(done):
            last, done = time.monotonic(), now_done
    return last - since


def _finished(scene: Scene) -> list[int]:
    """Return the numbers of the jobs that have ended, as often as they have."""
    return [value for (value,) in NUMBER.iter_unpack(scene.marks.read_bytes())]


TABLE = Table("kill", "kill -9", "In the middle of the work, with default settings.", _sections, rounds=1)
