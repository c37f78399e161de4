"""A project in a directory of its own, whose workers are real processes."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from django_backie.broker.connection import command_client

ROOT = Path(__file__).parents[2]


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for a condition and return its value; fail after the given time, which is a bound and not a measure."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    pytest.fail(f"not within {seconds} s")


class WorkerProcess:
    """A ``runworker`` with its output."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self._log.read_text()

    def children(self) -> list[int]:
        """Return the pids of the children, in the order of their birth: duties first."""
        listing = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True, text=True, check=False
        )
        return sorted(int(pid) for pid in listing.stdout.split())

    def workers(self) -> list[int]:
        """Return the pids of the worker children."""
        return self.children()[1:]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 40.0) -> int:
        return self.process.wait(timeout=seconds)

    def kill_tree(self) -> None:
        """Kill parent and children, so that nobody is left to clean up."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


class Project:
    """A Django project with its own database file and namespace."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.marks = directory / "marks.txt"
        self.marks.touch()
        self._started: list[WorkerProcess] = []
        self._numbers = itertools.count()
        self.environment = {
            **os.environ,
            "BACKIE_LIFECYCLE_DIR": str(directory),
            "DJANGO_SETTINGS_MODULE": "tests.lifecycle.settings",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{directory}",
            "PYTHONUNBUFFERED": "1",
        }

    def manage(self, *arguments: str) -> str:
        """Run a management command to its end and return its output."""
        done = subprocess.run(
            [sys.executable, "-m", "django", *arguments], env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, code: str) -> Any:
        """Run code in the project; return the JSON of its last printed line."""
        setup = (
            "import django, json; django.setup()\nfrom tests.app.tasks import *\nfrom django_backie.models import *\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", setup + code],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.strip().splitlines()
        return json.loads(lines[-1]) if lines else None

    def worker(self, *arguments: str) -> WorkerProcess:
        """Start a worker in a process group of its own and wait until it says that it is ready."""
        # Some are started at the same time: "x" because two that wrote to one file would erase each other's lines.
        log = self.directory / f"worker-{next(self._numbers)}.log"
        with log.open("x") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "django", "runworker", *(arguments or ["--no-reload"])],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        worker = WorkerProcess(process, log)
        self._started.append(worker)
        until(lambda: "ready" in worker.output or process.poll() is not None)
        return worker

    def marked(self) -> list[str]:
        """Return the lines that jobs have written."""
        return self.marks.read_text().split()

    def states(self) -> dict[str, int]:
        """Return how many rows are in each state."""
        code = (
            "from django.db.models import Count\n"
            "print(json.dumps(dict(Job.objects.values_list('state').annotate(n=Count('id')).order_by())))"
        )
        return dict(self.run(code))

    def end(self) -> None:
        """Kill what is left."""
        for worker in self._started:
            worker.kill_tree()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Path:
    """Return a database file with all tables, made once."""
    directory = tmp_path_factory.mktemp("migrated")
    Project(directory).manage("migrate", "-v0")
    return directory / "project.sqlite3"


@pytest.fixture
def project(
    tmp_path_factory: pytest.TempPathFactory, migrated: Path, redis_url: str, namespace: str
) -> Iterator[Project]:
    """Return a project with empty tables."""
    directory = tmp_path_factory.mktemp(namespace, numbered=False)
    (directory / "project.sqlite3").write_bytes(migrated.read_bytes())
    project = Project(directory)
    yield project
    project.end()
    client = command_client(redis_url)
    keys = list(client.scan_iter(f"{directory.name}:*", count=1000))
    if keys:
        client.delete(*keys)
