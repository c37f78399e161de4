"""How a wish to cancel a job is answered, and how the row of a running job bears it."""

from __future__ import annotations

from enum import StrEnum

from .states import State

# Rows of running jobs have no other reason that begins so; it is for people, too.
_ASKED = "asked to cancel"


class Cancellation(StrEnum):
    """What has become of the wish to cancel a job.

    DONE: it will not run. ASKED: it runs, and was asked to end. REFUSED: it has ended, or is not to be found.
    """

    DONE = "done"
    ASKED = "asked"
    REFUSED = "refused"


def as_asked(reason: str) -> str:
    """Return the reason that the row of a running job bears which was asked to cancel."""
    return f"{_ASKED}: {reason}" if reason else _ASKED


def wish_of(state: str, reason: str) -> str | None:
    """Return why a row's job, which runs, was asked to cancel; None where it was not."""
    asked, _, why = reason.partition(": ")
    return why if state == State.RUNNING and asked == _ASKED else None
