"""What the broker is told of jobs and attempts, beyond the jobs themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Restored:
    """A job as its row remembers it; ``due`` is seconds since the epoch, ``attempts`` are those that have ended.

    ``first_started``: when it was begun for the first time, in seconds since the epoch; None: it never was.

    Whatever the server's clock says, the job's next version is larger than ``version``.
    """

    id: str
    body: str
    due: float | None = None
    attempt: int = 0
    crashes: int = 0
    attempts: tuple[dict[str, Any], ...] = ()
    version: int = 0
    first_started: float | None = None


class Shown(NamedTuple):
    """How far an attempt is, as one line of JSON, for its worker to show under its token."""

    worker: str
    id: str
    token: int
    progress: str
