"""The eight states of a job and what django.tasks calls them."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a job stands. The values are stored in Redis and in the database."""

    SCHEDULED = "SCHEDULED"
    BLOCKED = "BLOCKED"
    READY = "READY"
    RUNNING = "RUNNING"
    RETRYABLE = "RETRYABLE"
    SUCCESSFUL = "SUCCESSFUL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing happens to the job any more unless a person asks for it."""
        return self in FINAL

    @property
    def status(self) -> str:
        """Return the name that django.tasks has for this state."""
        return _STATUS[self]


FINAL = frozenset({State.SUCCESSFUL, State.FAILED, State.CANCELLED})
WAITING = frozenset({State.SCHEDULED, State.BLOCKED, State.READY, State.RETRYABLE})
RETRYABLE_BY_HAND = frozenset({State.FAILED, State.CANCELLED})

_STATUS = {
    State.SCHEDULED: "READY",
    State.BLOCKED: "READY",
    State.READY: "READY",
    State.RETRYABLE: "READY",
    State.RUNNING: "RUNNING",
    State.SUCCESSFUL: "SUCCESSFUL",
    State.FAILED: "FAILED",
    State.CANCELLED: "FAILED",
}
