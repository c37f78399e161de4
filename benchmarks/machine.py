"""The machine: its cores, and what its processes use. Linux, as it reads ``/proc``."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
KIB_IN_GIB = 1024 * 1024
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores that are used, the first of them by the server and the driver."""

    all: tuple[int, ...]

    @property
    def server(self) -> frozenset[int]:
        """Return the cores of the Redis server and of the driver, which only watches."""
        return frozenset(self.all[:1])

    def work(self, processes: int | None) -> frozenset[int]:
        """Return the cores of a client or a worker: one for each process, or all where there are not enough."""
        if processes is None or len(self.all) <= processes:
            return frozenset(self.all)
        return frozenset(self.all[1 : 1 + processes])


def cores() -> Cores:
    """Return the cores that this process may use."""
    return Cores(tuple(sorted(os.sched_getaffinity(0))))


@dataclass(frozen=True, slots=True)
class Process:
    """A line of ``/proc/PID/stat``; CPU in seconds, with that of its children that have ended."""

    pid: int
    state: str
    parent: int
    session: int
    cpu: float

    @classmethod
    def read(cls, pid: int) -> Process | None:
        """Return the process, or None if there is none (any more)."""
        try:
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return cls(pid, fields[0], int(fields[1]), int(fields[3]), sum(map(int, fields[11:15])) / TICKS)


def tree(roots: Collection[int]) -> list[Process]:
    """Return living processes and their descendants, parents first."""
    everybody = [process for pid in _pids() if (process := Process.read(pid)) and process.state != "Z"]
    found = [process for process in everybody if process.pid in roots]
    for parent in found:
        found += [process for process in everybody if process.parent == parent.pid]
    return found


def kill(roots: Collection[int]) -> None:
    """Kill processes, their descendants, and whatever else is in their sessions, with SIGKILL."""
    doomed = [process.pid for process in tree(roots)]
    _kill_all(doomed)
    for pid in _pids():
        process = Process.read(pid)
        if process is not None and process.session in roots:
            _kill_all([pid])


def _kill_all(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(path.name) for path in PROC.iterdir() if path.name.isdigit()]


def proportional_memory(processes: Sequence[Process]) -> int:
    """Return the bytes of memory of processes, pages that are shared divided among those who share them (PSS)."""
    return sum(_pss(process.pid) for process in processes)


def _pss(pid: int) -> int:
    with suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def threads(pid: int) -> int:
    """Return the number of threads of a process."""
    with suppress(OSError):
        return len(list((PROC / str(pid) / "task").iterdir()))
    return 0


def describe(cores: Cores) -> dict[str, str]:
    """Return what a reader should know of the machine."""
    model = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "processor": model[0] if model else platform.machine(),
        "cores": f"{len(cores.all)} cores",
        "memory": f"{memory[0] / KIB_IN_GIB:.0f} GiB" if memory else "",
        "system": f"{platform.system()} {platform.release()}",
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
