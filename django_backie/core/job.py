"""Job: the envelope that travels from the caller to the worker."""

from __future__ import annotations

from typing import Any, NamedTuple

from .options import DEFAULT_OPTIONS, Options


# Tuples, because a worker and a caller make one for every job: a frozen dataclass costs three times as much.
class Job(NamedTuple):
    """One request to run a task. Times are seconds since the epoch."""

    id: str
    task: str
    queue: str
    priority: int = 0
    # Nobody changes the arguments of a job, so those that have none may share them.
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    created: float = 0.0
    run_after: float | None = None
    options: Options = DEFAULT_OPTIONS
    database: str = "default"
    backend: str = "default"
    # When it is not needed any more, unless it has begun.
    expires: float | None = None
    # What no other job has while it keeps it, and for how long (core/unique.py); most have none.
    unique: str = ""
    # What it needs to start (core/limits.py); most need nothing.
    limits: str = ""
    # The group with whose jobs it takes turns, and its weight (core/fair.py); most have none.
    group: str = ""
    # How many places a priority is worth in its queue; 0: priorities are exact.
    ageing: int = 0


class Packed(NamedTuple):
    """A job as the broker takes it: the place it belongs to, and an opaque signed body."""

    id: str
    queue: str
    priority: int
    body: str
    run_after: float | None = None
    unique: str = ""
