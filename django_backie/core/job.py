"""Job: the envelope that travels from the caller to the worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .options import DEFAULT_OPTIONS, Options


@dataclass(frozen=True, slots=True)
class Job:
    """One request to run a task. Times are seconds since the epoch."""

    id: str
    task: str
    queue: str
    priority: int = 0
    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    created: float = 0.0
    run_after: float | None = None
    options: Options = DEFAULT_OPTIONS
    database: str = "default"
    backend: str = "default"


@dataclass(frozen=True, slots=True)
class Packed:
    """A job as the broker takes it: the place it belongs to, and an opaque signed body."""

    id: str
    queue: str
    priority: int
    body: str
    run_after: float | None = None
