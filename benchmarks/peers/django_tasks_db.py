"""django-tasks-db: jobs in the database, no Redis."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import django

from benchmarks import bodies, databases, load

if django.VERSION >= (6, 0):
    from django.tasks import task
else:
    from django_tasks import task


@task
def noop() -> None:
    """See ``bodies``."""
    bodies.noop()


@task
def stamp(sent: float) -> None:
    """See ``bodies``."""
    bodies.stamp(sent)


@task
def number(value: int) -> None:
    """See ``bodies``."""
    bodies.number(value)


tasks = {"noop": noop, "stamp": stamp, "number": number}


def settings(load: load.Load) -> str:
    """Say how django-tasks-db is set."""
    if load.kind == "noop":
        return "default settings, no lines of log; two processes: two workers"
    return "default settings (a poll each second)"


def workers(load: load.Load) -> list[list[str]]:
    """Return the command lines of the workers."""
    quiet = ["--verbosity", "0"] if load.kind == "noop" else []
    return [[sys.executable, "-m", "django", "db_worker", *quiet]] * load.count


def enqueue(body: str, *arguments: object) -> None:
    """Make a job."""
    tasks[body].enqueue(*arguments)


def enqueue_many(body: str, calls: Sequence[tuple[object, ...]]) -> None:
    """Make many, one by one."""
    for call in calls:
        enqueue(body, *call)


VERBS = databases.VERBS
