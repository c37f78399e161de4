"""Middleware of the test project."""

from __future__ import annotations

from typing import Any, ClassVar

from django_backie.core.job import Job
from django_backie.middleware import ARun, Make, Middleware, Run

seen: list[str] = []


class Outer(Middleware):
    """Notes what it sees."""

    name = "outer"

    def enqueue(self, job: Job, call_next: Make) -> Job:
        """Note it."""
        seen.append(f"{self.name} makes {job.task.rpartition('.')[2]}")
        return call_next(job)

    def run(self, job: Job, call_next: Run) -> Any:
        """Note it."""
        seen.append(f"{self.name} before")
        try:
            return call_next(job)
        finally:
            seen.append(f"{self.name} after")

    async def arun(self, job: Job, call_next: ARun) -> Any:
        """Note it."""
        seen.append(f"{self.name} before")
        try:
            return await call_next(job)
        finally:
            seen.append(f"{self.name} after")


class Inner(Outer):
    """Notes what it sees, nearer to the task."""

    name = "inner"


class Doubling(Middleware):
    """Changes jobs."""

    def enqueue(self, job: Job, call_next: Make) -> Job:
        """Make a job of the queue ``doubled``."""
        return call_next(job._replace(queue="doubled"))

    def run(self, job: Job, call_next: Run) -> Any:
        """Double the arguments, and the result."""
        return 2 * call_next(job._replace(args=[2 * value for value in job.args]))


class Forbidding(Middleware):
    """Refuses jobs, when they are made and when they are run."""

    def enqueue(self, job: Job, call_next: Make) -> Job:
        """Refuse a secret."""
        if "secret" in job.args:
            raise PermissionError("no secrets")
        return call_next(job)

    def run(self, job: Job, call_next: Run) -> Any:
        """Refuse all."""
        raise PermissionError("not today")


class Forgetful(Middleware):
    """Returns nothing."""

    def enqueue(self, job: Job, call_next: Make) -> Job:
        """Forget the job."""
        call_next(job)
        return None  # type: ignore[return-value]


class Changing(Middleware):
    """Changes what a test says."""

    changes: ClassVar[dict[str, Any]] = {}

    def enqueue(self, job: Job, call_next: Make) -> Job:
        """Change the job."""
        return call_next(job)._replace(**self.changes)


class NeedsArguments(Middleware):
    """Cannot be made."""

    def __init__(self, url: str) -> None:
        self.url = url
