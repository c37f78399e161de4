"""A million jobs that do nothing through one worker: does anything grow?"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.lifecycle.conftest import ROOT, WorkerProcess, until

from .hosts import Site, sites
from .report import Figure, Report, say

MIB = 1024 * 1024
SLOPE_BOUND = 1.0
MEMORY_BOUND = 1.0
EVERY = 2.0
WARM_UP = 20_000
SETTLING = 15.0
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What the processes and the server use after so many jobs."""

    done: int
    resident: dict[str, int] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    memory: int = 0
    connections: int = 0


def run(jobs: int) -> Report:
    """Run the jobs and judge what has grown."""
    report = Report(f"soak, {jobs:,} jobs")
    with sites() as (site,):
        site.project.environment["BACKIE_LIFECYCLE_QUIET"] = "1"
        worker = site.project.worker("--no-reload")
        observer = Observer(site, worker)
        observer.feed(WARM_UP)
        before, keys = observer.quiet(), observer.keys()
        began = time.monotonic()
        samples = observer.feed(jobs)
        seconds = time.monotonic() - began
        after = observer.quiet()
        say(f"  {jobs:,} jobs in {seconds:.0f} s, {jobs / seconds:.0f}/s; {len(samples)} samples")
        _judge(report, [*samples, after], before)
        report.require(observer.keys() <= keys, f"keys are left: {observer.keys() - keys}")
        report.require(observer.names() == observer.first_names, "a process was replaced")
        states, wanted = site.states(), {"SUCCESSFUL": jobs + WARM_UP}
        report.require(states == wanted, f"rows are {states}, not {wanted}")
    return report


def _judge(report: Report, samples: list[Sample], before: Sample) -> None:
    after = samples[-1]
    # The fit leaves out the first tenth: caches fill.
    late = [sample for sample in samples if sample.done >= after.done / 10] or samples
    for name in after.resident:
        slope = _slope([sample.done for sample in late], [sample.resident[name] for sample in late])
        note = f"{before.resident[name] / MIB:.1f} MiB at first, {after.resident[name] / MIB:.1f} at the end"
        report.add(Figure(f"resident memory of the {name}, per 100,000 jobs", slope, SLOPE_BOUND, "MiB", note))
    for name, count in after.files.items():
        grown = count - before.files[name]
        report.add(Figure(f"more files open in the {name}", grown, 0, "", f"{count} at the end"))
    grown = (after.memory - before.memory) / MIB
    peak = max(sample.memory for sample in samples) / MIB
    note = f"{before.memory / MIB:.2f} MiB at first, {peak:.1f} at most"
    report.add(Figure("more memory used by Redis", grown, MEMORY_BOUND, "MiB", note))
    report.add(Figure("more connections to Redis", after.connections - before.connections, 0, "", ""))


def _slope(jobs: list[int], sizes: list[int]) -> float:
    if len(set(jobs)) < 2:
        return 0.0
    return statistics.linear_regression(jobs, sizes).slope * 100_000 / MIB


class Observer:
    """Feeds the worker and looks at it meanwhile."""

    def __init__(self, site: Site, worker: WorkerProcess) -> None:
        self._site = site
        self._worker = worker
        self._prefix = f"{site.directory.name}:{{0}}:"
        self._fed = 0
        until(lambda: len(worker.children()) == 2)
        self.first_names = self.names()

    def feed(self, jobs: int) -> list[Sample]:
        """Enqueue jobs and take samples until all have run and are mirrored."""
        samples: list[Sample] = []
        path = self._site.directory / "fed.txt"
        path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.soak.feed", str(self._site.directory), str(jobs)]
        feeder = subprocess.Popen(command, env=self._site.project.environment, cwd=ROOT)
        while feeder.poll() is None or self._in_redis():
            time.sleep(EVERY)
            fed = int(path.read_text() or 0) if path.exists() else 0
            samples.append(self._sample(max(0, fed - self._in_redis())))
        assert feeder.returncode == 0, "the feeder failed"
        self._fed = jobs
        return samples

    def quiet(self) -> Sample:
        """Return a sample after everything has come to rest."""
        until(lambda: not self._in_redis() and not self._client_call("zcard", "d"), PATIENCE)
        # Buffers of clients and half-empty hash tables are given back within seconds; the least of them counts.
        deadline = time.monotonic() + SETTLING
        samples = []
        while time.monotonic() < deadline:
            time.sleep(0.5)
            samples.append(self._sample(self._fed))
        return min(samples, key=lambda sample: (sample.connections, sample.memory))

    def keys(self) -> set[str]:
        """Return the keys of the namespace."""
        with self._site.server.client() as client:
            return {key.decode() for key in client.scan_iter(f"{self._site.directory.name}:*", count=1000)}

    def names(self) -> dict[str, int]:
        """Return the processes."""
        duties, child = self._worker.children()
        return {"parent": self._worker.pid, "duties": duties, "child": child}

    def _sample(self, done: int) -> Sample:
        with self._site.server.client() as client:
            memory = int(client.info("memory")["used_memory"])
            connections = int(client.info("clients")["connected_clients"])
        pids = self.first_names
        resident = {name: _resident(pid) for name, pid in pids.items()}
        files = {name: len(list(Path(f"/proc/{pid}/fd").iterdir())) for name, pid in pids.items()}
        return Sample(done, resident, files, memory, connections)

    def _in_redis(self) -> int:
        return self._client_call("hlen", "b")

    def _client_call(self, verb: str, key: str) -> int:
        with self._site.server.client() as client:
            return int(client.execute_command(verb, self._prefix + key))


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
