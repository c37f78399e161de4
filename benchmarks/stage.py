"""Give each measurement a system with an empty server, an empty database and nothing done yet."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

from . import environments, machine
from .load import Load
from .machine import Cores
from .peers import ROOT, Peer
from .server import Figures, Server

Database = Literal["sqlite", "postgresql"]
POLL = 0.002
PATIENCE = 60.0
LONGEST_ANSWER = 600.0
MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory


class Trouble(Exception):
    """A system did not do what it was asked to do; with the end of its log."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What all measurements share; ``postgres`` is how to reach a server and a database that exists, if any."""

    server: Server
    cores: Cores
    directory: Path
    postgres: dict[str, str] | None = None

    def scene(self, peer: Peer, load: Load, database: Database = "sqlite", number: int = 0) -> Scene:
        """Return a scene; scenes that are open at the same time need different numbers, at most 15."""
        return Scene(self, peer, load, database, number)


class Scene:
    """One system set for one load. What it starts ends with it."""

    def __init__(self, stage: Stage, peer: Peer, load: Load, database: Database, number: int) -> None:
        self.stage, self.peer, self.load = stage, peer, load
        self.number = number
        memory = MEMORY if MEMORY.is_dir() else stage.directory
        self.marks = memory / f"{stage.directory.name}-{number}"
        self._sqlite = stage.directory / f"{number}.sqlite3"
        self._log = stage.directory / f"{number}.log"
        self._environment = {
            **os.environ,
            **load.as_environment(),
            "PYTHONPATH": str(ROOT),
            "BENCH_PEER": peer.name,
            "BENCH_MARKS": str(self.marks),
            "BENCH_REDIS": stage.server.url_of(number),
            "BENCH_DATABASE": database,
            "BENCH_SQLITE": str(self._sqlite),
        }
        if stage.postgres is not None:
            own = {**stage.postgres, "NAME": f"backie_bench_{os.getpid()}_{number}"}
            self._environment |= {"BENCH_POSTGRES": json.dumps(own), "BENCH_POSTGRES_ADMIN": json.dumps(stage.postgres)}
        if peer.uses_database or load.in_project:
            self._environment["DJANGO_SETTINGS_MODULE"] = "benchmarks.django_settings"

    def __enter__(self) -> Self:
        self._exits = contextlib.ExitStack()
        try:
            self._forget()
            self.client = self.start_client()
            self.facts: dict[str, Any] = self.client.ask("facts")
            if self.peer.uses_database:
                self.facts["versions"] |= self.client.ask("prepare")
                self._exits.callback(self.client.ask, "dismantle")
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        with contextlib.suppress(Trouble):
            self._exits.close()
        for path in (self.marks, *self.stage.directory.glob(f"{self.number}.sqlite3*")):
            path.unlink(missing_ok=True)

    def _forget(self) -> None:
        self.stage.server.empty(self.number)
        for path in self.stage.directory.glob(f"{self.number}.sqlite3*"):
            path.unlink()
        self.marks.write_bytes(b"")
        self._log.write_bytes(b"")

    def start_client(self) -> Client:
        """Start a process that makes jobs, on the cores of the workers."""
        command = [str(environments.python_of(self.peer)), "-m", "benchmarks.inside", self.peer.module]
        process = self._start(command, self.stage.cores.work(1), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return Client(self, process.stdin, process.stdout)

    def start_worker(self) -> Worker:
        """Start the system's worker."""
        cores = self.stage.cores.work(self.load.processes)
        return Worker(self, [self._start(command, cores) for command in self.facts["workers"]])

    def _start(self, command: list[str], cores: frozenset[int], **pipes: int) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self._environment,
                cwd=ROOT,
                stdin=pipes.get("stdin", subprocess.DEVNULL),
                stdout=pipes.get("stdout", log),
                stderr=log,
                start_new_session=True,
            )
        # Before it has started a thread or a child, which inherit it.
        os.sched_setaffinity(process.pid, cores)
        self._exits.callback(_end, process)
        return process

    def done(self, size: int = 1) -> int:
        """Return how many jobs are done that leave marks of so many bytes."""
        return self.marks.stat().st_size // size

    def wait(self, count: int, size: int = 1) -> float:
        """Wait until so many jobs are done; return when that was seen, by the monotonic clock."""
        deadline, before = time.monotonic() + PATIENCE, -1
        while (done := self.done(size)) < count:
            now = time.monotonic()
            if done > before:
                deadline, before = now + PATIENCE, done
            elif now > deadline:
                raise self.trouble(f"stood still at {done:,} of {count:,} jobs for {PATIENCE:.0f} s")
            time.sleep(POLL)
        return time.monotonic()

    def watch(self, worker: Worker, count: int) -> Moment:
        """Wait until so many jobs are done; return what it has cost so far."""
        at = self.wait(count)
        return Moment(at, self.done(), worker.cpu(), self.stage.server.figures())

    def trouble(self, what: str) -> Trouble:
        """Return an error with the end of the log."""
        log = self._log.read_text(errors="replace").strip()[-1500:]
        return Trouble(f"{self.peer.name} {what}" + (f"\n{log}" if log else ""))


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a system was, and what it had used until then; CPU in seconds."""

    time: float
    done: int
    cpu: float
    server: Figures


class Client:
    """A process in the system's environment that does what it is asked to."""

    def __init__(self, scene: Scene, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._scene = scene
        self._requests = requests
        self._answers = answers

    def ask(self, verb: str, *arguments: object) -> Any:
        """Have something done and return the answer."""
        self.begin(verb, *arguments)
        return self.answer()

    def begin(self, verb: str, *arguments: object) -> None:
        """Have something begun."""
        with contextlib.suppress(BrokenPipeError):
            self._requests.write(json.dumps([verb, *arguments]).encode() + b"\n")
            self._requests.flush()

    def is_ready(self) -> bool:
        """Tell whether the answer is there."""
        return bool(select.select([self._answers], [], [], 0)[0])

    def answer(self) -> Any:
        """Wait for the answer to what was begun."""
        if not select.select([self._answers], [], [], LONGEST_ANSWER)[0]:
            raise self._scene.trouble(f"did not answer within {LONGEST_ANSWER:.0f} s")
        line = self._answers.readline()
        if not line:
            raise self._scene.trouble("ended while it was asked for something")
        return json.loads(line)


class Worker:
    """The processes that run the jobs."""

    def __init__(self, scene: Scene, processes: list[subprocess.Popen[bytes]]) -> None:
        self.scene = scene
        self._processes = processes
        self.started = time.monotonic()

    @property
    def roots(self) -> list[int]:
        """Return the processes that were started; the others are their descendants."""
        return [process.pid for process in self._processes]

    def tree(self) -> list[machine.Process]:
        """Return all living processes."""
        return machine.tree(self.roots)

    def cpu(self) -> float:
        """Return the seconds of CPU that all have used."""
        return sum(process.cpu for process in self.tree())

    def kill(self) -> None:
        """Kill all at once, with SIGKILL."""
        machine.kill(self.roots)
        for process in self._processes:
            process.wait()


def _end(process: subprocess.Popen[bytes]) -> None:
    machine.kill([process.pid])
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
