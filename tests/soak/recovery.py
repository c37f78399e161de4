"""How long it takes until a dead worker's job has begun again, with default settings.

A job writes the wall clock when it begins. What is measured is from the kill until the second beginning: one mark
before the signal is sent, one as the job's first act. Several victims of one round are killed at staggered moments, so
that their leases stand at different ages; nearly all of the time everybody sleeps, so they do not disturb each other.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.lifecycle.conftest import WorkerProcess, until

from .hosts import PATIENCE, Site, freeze_tree, kill_parent, kill_tree, sites, thaw_tree
from .marks import events, release
from .report import Figure, Report, spread

CHILD_BOUND, TREE_BOUND, LONE_BOUND = 1.0, 20.0, 35.0
AT_ONCE = 5
LONGEST_STAGGER = 1.5


def run(kills: int, kinds: Sequence[str]) -> Report:
    """Measure the given kinds of death (``KINDS``)."""
    report = Report(f"recovery, {kills} kills of each kind")
    for kind in kinds:
        KINDS[kind](report, kills)
    return report


def measure_children(report: Report, kills: int, processes: int) -> None:
    """Kill the child that runs a job; its parent gives the job to another child, or to the one that takes its place."""
    with sites() as (site,):
        site.project.worker("--no-reload", "--processes", str(processes))
        names = [f"job-{number}" for number in range(kills)]
        seconds = [_kill_child(site, name) for name in names]
        beside = "another beside it" if processes > 1 else "none beside it"
        _report(report, f"child killed, {beside}", seconds, CHILD_BOUND)
        _require_runs(report, site, names, 2)


def _kill_child(site: Site, name: str) -> float:
    site.enqueue([name])
    victim = site.begun(name)
    killed = time.time()
    os.kill(victim.pid, signal.SIGKILL)
    again = site.begun(name, 2)
    release(site.directory, name)
    site.ended([name])
    return again.at - killed


def measure_hosts(report: Report, kills: int, title: str, kill: Callable[[WorkerProcess], None]) -> None:
    """Kill hosts while another worker is alive and has room."""
    with sites() as (site,):
        rescuer = Rescuer(site)
        seconds: list[float] = []
        for number, size in _rounds(kills):
            victims = _start_victims(site, size)
            names = [f"{number}-{place}" for place in range(size)]
            seconds += _strike(site, rescuer, victims, names, kill)
            _release(site, names)
            for victim in victims:
                victim.kill_tree()
        _report(report, title, seconds, TREE_BOUND)
        _require_runs(report, site, rescuer.bystanders, 1)


def measure_frozen_hosts(report: Report, kills: int) -> None:
    """Freeze hosts; when they go on, their results have to be refused."""
    with sites() as (site,):
        rescuer = Rescuer(site)
        victims = _start_victims(site, min(AT_ONCE, kills))
        seconds: list[float] = []
        for number, size in _rounds(kills):
            names = [f"{number}-{place}" for place in range(size)]
            seconds += _strike(site, rescuer, victims[:size], names, freeze_tree)
            _require_refusal(report, site, victims[:size], names)
        _report(report, "whole tree frozen, another worker alive", seconds, TREE_BOUND)
        _require_runs(report, site, rescuer.bystanders, 1)


def _require_refusal(report: Report, site: Site, victims: list[WorkerProcess], names: list[str]) -> None:
    """Let the victims end their runs first: what counts has to be the other run's result."""
    before = {victim: _refusals(victim) for victim in victims}
    for victim in victims:
        thaw_tree(victim)
    for name in names:
        release(site.directory, name, site.of("begin", name)[0].pid)
    site.ended(names)
    deadline = time.monotonic() + PATIENCE
    while (silent := [victim for victim in victims if _refusals(victim) == before[victim]]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.1)
    for victim in silent:
        report.require(False, f"a worker that was frozen has not noticed it:\n{victim.output[-3000:]}")
    report.require(not set(names) & set(site.results()), "the result of a frozen host was accepted")
    _release(site, names)
    until(lambda: set(names) <= set(site.results()), PATIENCE)
    for name in names:
        first, second = (event.pid for event in site.of("begin", name))
        report.require(site.results()[name] == second != first, f"{name}: the result is the frozen host's")


def _refusals(worker: WorkerProcess) -> int:
    return worker.output.count("has lapsed") + worker.output.count("is refused")


def measure_lone_workers(report: Report, kills: int) -> None:
    """Kill workers that have nobody beside them, and start others later: each has a namespace of its own."""
    moments = random.Random(1)
    with sites(min(AT_ONCE, kills)) as lonely, ThreadPoolExecutor(len(lonely)) as pool:
        seconds: list[float] = []
        for number, size in _rounds(kills):
            # Up to more than a lease, so that the new worker comes before and after the end of the old one's.
            pauses = [moments.uniform(0, 20) for _ in range(size)]
            work = [
                pool.submit(_kill_lone, site, f"job-{number}", pause)
                for site, pause in zip(lonely, pauses, strict=False)
            ]
            seconds += [each.result() for each in work]
        _report(report, "lone worker killed, from the start of its successor", seconds, LONE_BOUND)


def _kill_lone(site: Site, name: str, pause: float) -> float:
    victim = site.project.worker("--no-reload")
    site.enqueue([name])
    site.begun(name)
    victim.kill_tree()
    time.sleep(pause)
    started = time.time()
    successor = site.project.worker("--no-reload")
    again = site.begun(name, 2)
    _release(site, [name])
    successor.signal(signal.SIGTERM)
    successor.wait()
    return again.at - started


class Rescuer:
    """The worker that stays alive. While victims take their jobs it has no room; a bystander of its own runs on."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.bystanders: list[str] = []
        site.project.worker("--no-reload", "--queues", "rescuer,jobs", "--threads", str(AT_ONCE + 1))

    def fill(self, name: str) -> list[str]:
        """Occupy every thread; return the jobs to release."""
        fillers = [f"{name}-filler-{number}" for number in range(AT_ONCE)]
        bystander = f"{name}-bystander"
        self.bystanders += [*fillers, bystander]
        self._site.enqueue([*fillers, bystander], "rescuer")
        for each in (*fillers, bystander):
            self._site.begun(each)
        return fillers


def _start_victims(site: Site, count: int) -> list[WorkerProcess]:
    words = ("--no-reload", "--queues", "jobs", "--threads", "1")
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda _: site.project.worker(*words), range(count)))


def _strike(
    site: Site, rescuer: Rescuer, victims: list[WorkerProcess], names: list[str], kill: Callable[[WorkerProcess], None]
) -> list[float]:
    """Give each victim one job, make room elsewhere, strike, and return how long each job took to begin again."""
    fillers = rescuer.fill(names[0])
    site.enqueue(names, "jobs")
    victim_of = {site.begun(name).parent: name for name in names}
    _release(site, fillers)
    struck: dict[str, float] = {}
    for victim in victims:
        time.sleep(random.uniform(0, LONGEST_STAGGER))
        struck[victim_of[victim.pid]] = time.time()
        kill(victim)
    seconds = [site.begun(name, 2).at - struck[name] for name in names]
    _release(site, [f"{names[0]}-bystander"])
    return seconds


def _release(site: Site, names: Iterable[str]) -> None:
    for name in names:
        release(site.directory, name)
    site.ended(list(names))


def _rounds(kills: int) -> list[tuple[int, int]]:
    return [(number, min(AT_ONCE, kills - start)) for number, start in enumerate(range(0, kills, AT_ONCE))]


def _report(report: Report, title: str, seconds: list[float], bound: float) -> None:
    report.add(Figure(f"{title}: the slowest", max(seconds), bound, "s", spread(seconds)))


def _require_runs(report: Report, site: Site, names: list[str], runs: int) -> None:
    """Require that jobs have run so many times: what is on a live worker runs once."""
    began = [event.name for event in events(site.directory) if event.kind == "begin"]
    for name in names:
        report.require(began.count(name) == runs, f"{name} began {began.count(name)} times, not {runs}")


KINDS: dict[str, Callable[[Report, int], None]] = {
    "child": lambda report, kills: measure_children(report, kills, 1),
    "child-of-two": lambda report, kills: measure_children(report, kills, 2),
    "parent": lambda report, kills: measure_hosts(report, kills, "parent killed, another worker alive", kill_parent),
    "tree": lambda report, kills: measure_hosts(report, kills, "whole tree killed, another worker alive", kill_tree),
    "frozen": measure_frozen_hosts,
    "lone": measure_lone_workers,
}
