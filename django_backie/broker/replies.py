"""What the scripts answer, as values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

from ..core.states import State

STATES = {
    "S": State.SCHEDULED,
    "Y": State.RETRYABLE,
    "Q": State.READY,
    "R": State.RUNNING,
    "B": State.BLOCKED,
    "D": State.SUCCESSFUL,
    "F": State.FAILED,
    "C": State.CANCELLED,
}
_decode = json.JSONDecoder().decode
LETTERS = {state: letter for letter, state in STATES.items()}


class Record(NamedTuple):
    """What Redis knows of a job beyond its body. Times are seconds since the epoch.

    ``attempts`` are the ended attempts as ``Transition.record`` wrote them, oldest first.
    """

    state: State
    version: int = 0
    attempt: int = 0
    crashes: int = 0
    worker: str = ""
    first_started: float | None = None
    started: float | None = None
    finished: float | None = None
    due: float | None = None
    reason: str = ""
    attempts: tuple[dict[str, Any], ...] = ()

    @property
    def is_asked_to_cancel(self) -> bool:
        """Tell whether the job runs and was asked to cancel: at the time of ``due``, for the reason of ``reason``."""
        return self.state is State.RUNNING and self.due is not None

    @property
    def last_attempted(self) -> float | None:
        """Return when the last attempt began.

        By the worker's clock once it has ended, before that when it was leased.
        """
        if self.attempts and self.state is not State.RUNNING:
            return float(self.attempts[-1]["s"])
        return self.started

    @property
    def ended(self) -> float | None:
        """Return when the job ended: by the worker's clock where an attempt was its end."""
        if self.attempts and self.state in {State.SUCCESSFUL, State.FAILED}:
            return float(self.attempts[-1]["e"])
        return self.finished


class Lease(NamedTuple):
    """A worker's right to run one attempt of a job."""

    id: str
    token: int
    attempt: int
    crashes: int
    body: str
    first_started: float
    history: str

    def attempts(self) -> tuple[dict[str, Any], ...]:
        """Return the attempts that ended before this one."""
        return notes(self.history)


class Ending(NamedTuple):
    """The end of one attempt, as the scripts take it."""

    id: str
    token: int
    state: State
    refund: bool = False
    delay: float = 0.0
    reason: str = ""
    note: str = ""
    # The key that the job had to itself, where this is its end.
    unique: str = ""

    def arguments(self) -> tuple[Any, ...]:
        """Return the seven arguments of ``lua/include/settle.lua``."""
        delay = round(self.delay * 1000) if self.delay else 0
        return (self.id, self.token, LETTERS[self.state], int(self.refund), delay, self.reason, self.note)


class Arrival(IntEnum):
    """What has become of a job that was enqueued."""

    PRESENT = 0
    ADDED = 1
    FULL = 2


class Duplicate(NamedTuple):
    """A job that was enqueued as cancelled, because another one, ``of``, has its unique key."""

    of: str


Answer = Arrival | Duplicate


def answer(found: int | str) -> Answer:
    """Return what ``enqueue.lua`` says of a job, where some have unique keys."""
    return Duplicate(found) if isinstance(found, str) else Arrival(found)


@dataclass(frozen=True, slots=True)
class Turn:
    """The answer to one round trip of a worker. ``next_due`` is seconds, or None when nothing is scheduled.

    ``slow``: no jobs were given, because too many changes wait for the mirror.
    """

    fenced: bool
    answers: list[str]
    leases: list[Lease]
    held: int
    next_due: float | None
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a queue gives out no jobs, since when, and until when by the server's clock; None: until it is resumed.

    Times are seconds since the epoch.
    """

    since: float
    until: float | None = None
    reason: str = ""
    by: str = ""

    def text(self) -> str:
        """Return the pause as ``lua/include/paused.lua`` reads it."""
        ends = "" if self.until is None else round(self.until * 1000)
        return f"{ends}|{json.dumps([round(self.since * 1000), self.by, self.reason])}"


class Moved(NamedTuple):
    """A job on its way to another queue: what it is now told by, and the body that it is to have."""

    id: str
    signature: str
    body: str


class Snapshot(NamedTuple):
    """A job as Redis has it: ``body`` may be empty where only the record is left.

    ``progress`` is what ``progress.lua`` has written.
    """

    id: str
    version: int
    body: str
    record: Record
    progress: str = ""


class Request(NamedTuple):
    """An attempt that was asked to end: its job is to be cancelled."""

    id: str
    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ticked:
    """What one tick did.

    ``asked`` are the workers of whose jobs some were asked to cancel, each with a number that grows with every asking.
    """

    buried: int
    recovered: int
    promoted: int
    asked: Mapping[str, int] = field(default_factory=dict)


def pause(text: str) -> Pause:
    """Return a pause from its text."""
    ends, _, rest = text.partition("|")
    since, by, reason = _decode(rest)
    return Pause(since / 1000, _seconds(ends), reason, by)


def notes(history: str) -> tuple[dict[str, Any], ...]:
    """Return the attempt records of a history."""
    return tuple(_decode(line) for line in history.split("\n") if line)


def history(attempts: Iterable[Mapping[str, Any]]) -> str:
    """Return attempt records as the scripts keep them: each on a line of its own, behind a line break."""
    return "".join(f"\n{json.dumps(attempt, separators=(',', ':'))}" for attempt in attempts)


def record(text: str, due: str = "") -> Record:
    """Return a record from its text; no text means a job that was never tried."""
    if not text:
        return Record(State.SCHEDULED if due else State.READY, due=_seconds(due))
    head, _, history = text.partition("\n")
    state, version, attempt, crashes, worker, first, started, finished, due, reason = head.split("|", 9)
    return Record(
        STATES[state],
        int(version),
        int(attempt),
        int(crashes),
        worker,
        _seconds(first),
        _seconds(started),
        _seconds(finished),
        _seconds(due),
        reason,
        notes(history),
    )


def turn(answer: Sequence[Any]) -> Turn:
    """Return the answer of a round trip."""
    status, answers, flat, held, due = answer
    next_due = int(due) / 1000 if int(due) >= 0 else None
    return Turn(status == "FENCED", answers, leases(flat), int(held), next_due, slow=status == "SLOW")


def leases(flat: Sequence[Any]) -> list[Lease]:
    """Return the jobs of a flat answer."""
    return [
        Lease(job_id, int(token), int(attempt), int(crashes), body, int(first) / 1000, history)
        for job_id, token, attempt, crashes, body, first, history in _rows(flat, 7)
    ]


def requests(flat: Sequence[Any]) -> list[Request]:
    """Return the attempts of ``asked.lua``."""
    return [Request(job_id, int(token), reason) for job_id, token, reason in _rows(flat, 3)]


def ticked(answer: Sequence[Any]) -> Ticked:
    """Return the answer of ``tick.lua``."""
    buried, recovered, promoted, asked = answer
    return Ticked(
        int(buried), int(recovered), int(promoted), {worker: int(float(number)) for worker, number in _rows(asked, 2)}
    )


def snapshots(flat: Sequence[Any]) -> list[Snapshot]:
    """Return the changed jobs of ``take.lua``."""
    return [
        Snapshot(job_id, int(float(version)), body, record(text, due))
        for job_id, version, body, text, due in _rows(flat, 5)
    ]


def inspected(ids: Sequence[str], flat: Sequence[Any]) -> dict[str, Snapshot]:
    """Return the jobs of ``inspect.lua`` that are here."""
    rows = zip(ids, _rows(flat, 4), strict=True)
    return {
        job_id: Snapshot(job_id, 0, body, record(text, due), progress)
        for job_id, (body, text, due, progress) in rows
        if body or text
    }


def _rows(flat: Sequence[Any], width: int) -> Iterator[Sequence[Any]]:
    return (flat[at : at + width] for at in range(0, len(flat), width))


def _seconds(milliseconds: str) -> float | None:
    return float(milliseconds) / 1000 if milliseconds else None
