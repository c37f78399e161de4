"""django-ox: jobs in the database, no Redis."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from django_ox.bulk import enqueue_many as enqueue_in_bulk
from django_ox.compat import task

from benchmarks import bodies, databases, load

CHUNK = 1000


@task
def noop() -> None:
    """See ``bodies``."""
    bodies.noop()


@task
def wait() -> None:
    """See ``bodies``."""
    bodies.wait()


@task
def stamp(sent: float) -> None:
    """See ``bodies``."""
    bodies.stamp(sent)


@task
def number(value: int) -> None:
    """See ``bodies``."""
    bodies.number(value)


tasks = {"noop": noop, "wait": wait, "stamp": stamp, "number": number}


def settings(load: load.Load) -> str:
    """Say how django-ox is set."""
    if load.kind == "waits":
        return "--concurrency as many as jobs at once, no lines of log"
    if load.kind == "noop":
        return "default settings (one thread), no lines of log"
    return "default settings (one thread, a poll each second)"


def workers(load: load.Load) -> list[list[str]]:
    """Return the command line of the worker."""
    command = [sys.executable, "-m", "django", "ox_worker"]
    if load.processes and load.processes > 1:
        command += ["--processes", str(load.processes)]
    if load.kind != "default":
        command += ["--concurrency", str(load.width), "--verbosity", "0"]
    return [command]


def enqueue(body: str, *arguments: object) -> None:
    """Make a job."""
    tasks[body].enqueue(*arguments)


def enqueue_many(body: str, calls: Sequence[tuple[object, ...]]) -> None:
    """Make many, a thousand at a time."""
    for start in range(0, len(calls), CHUNK):
        enqueue_in_bulk(tasks[body], [(call, {}) for call in calls[start : start + CHUNK]])


VERBS = databases.VERBS
