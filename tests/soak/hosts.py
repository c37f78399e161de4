"""Workers that stand for hosts, and the jobs by which one sees who runs what."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.lifecycle.conftest import Project, WorkerProcess, until
from tests.servers import Server, binary

from .marks import Event, events

PATIENCE = 90.0


class Site:
    """A project and a server of its own; in it, workers with default settings."""

    def __init__(self, directory: Path, server: Server) -> None:
        self.project = Project(directory)
        self.project.environment |= {
            "BACKIE_LIFECYCLE_REDIS": server.url,
            "BACKIE_LIFECYCLE_MODULES": "tests.soak.tasks",
        }
        self.project.manage("migrate", "-v0")
        self.directory = directory
        self.server = server

    def enqueue(self, names: list[str], queue: str = "default") -> None:
        """Enqueue held jobs."""
        code = f"held.using(queue_name={queue!r}).delay_many([(name,) for name in {names!r}])"
        self.project.run(f"from tests.soak.tasks import *\n{code}")

    def begun(self, name: str, times: int = 1) -> Event:
        """Wait until a job has begun so many times; return the latest beginning."""
        until(lambda: len(self.of("begin", name)) >= times, PATIENCE)
        return self.of("begin", name)[-1]

    def ended(self, names: list[str]) -> None:
        """Wait until jobs have ended."""
        wanted = set(names)
        until(lambda: wanted <= {event.name for event in events(self.directory) if event.kind == "end"}, PATIENCE)

    def of(self, kind: str, name: str) -> list[Event]:
        """Return the beginnings or ends of a job."""
        return [event for event in events(self.directory) if (event.kind, event.name) == (kind, name)]

    def states(self) -> dict[str, int]:
        """Return how many rows are in each state."""
        with closing(sqlite3.connect(self.directory / "project.sqlite3", timeout=20)) as database:
            return dict(database.execute("SELECT state, COUNT(*) FROM django_backie_job GROUP BY state").fetchall())

    def results(self) -> dict[str, int]:
        """Return, of the successful jobs, the process that the accepted result names."""
        with closing(sqlite3.connect(self.directory / "project.sqlite3", timeout=20)) as database:
            found = database.execute("SELECT arguments, result FROM django_backie_job WHERE state = 'SUCCESSFUL'")
            return {json.loads(arguments)["name"]: int(json.loads(result)) for arguments, result in found}


def kill_tree(worker: WorkerProcess) -> None:
    """Kill a worker's parent and children at one moment, as a host's loss does."""
    os.killpg(worker.pid, signal.SIGKILL)


def freeze_tree(worker: WorkerProcess) -> None:
    """Stop them."""
    os.killpg(worker.pid, signal.SIGSTOP)


def thaw_tree(worker: WorkerProcess) -> None:
    """Let them go on."""
    os.killpg(worker.pid, signal.SIGCONT)


def kill_parent(worker: WorkerProcess) -> None:
    """Kill the parent only."""
    os.kill(worker.pid, signal.SIGKILL)


@contextmanager
def sites(count: int = 1) -> Iterator[list[Site]]:
    """Give sites on one server, and end everything afterwards."""
    # Not a long name: a socket's path may have about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="backie-soak-", ignore_cleanup_errors=True) as directory:
        server = Server(Path(directory), binary())
        server.start()
        made: list[Site] = []
        try:
            for number in range(count):
                place = Path(directory, f"site-{number}")
                place.mkdir()
                made.append(Site(place, server))
            yield made
        finally:
            for site in made:
                site.project.end()
            server.stop()
