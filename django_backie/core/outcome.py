"""What an attempt ended in, and the one function that decides what follows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, NamedTuple

from . import retry
from .job import Job
from .progress import Reported
from .states import State

_ENCODER = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception as text; it is never rebuilt from data. ``kinds`` are the paths of its class and of its bases."""

    class_path: str
    message: str
    traceback: str
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The task returned; ``result`` is its return value as JSON text."""

    result: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The task raised.

    ``final`` marks what no retry can heal, ``insists`` what is to be retried though ``retry_for`` does not name it;
    ``after`` is the exact number of seconds to wait.
    """

    failure: Failure
    final: bool = False
    insists: bool = False
    after: float | None = None


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The attempt ran longer than its timeout. ``after`` and ``final`` as in ``Failed``."""

    failure: Failure
    after: float | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The worker stops; the attempt does not count."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """The job cannot be run (yet), or does not want to: it goes back with a delay, the attempt does not count."""

    reason: str
    delay: float


@dataclass(frozen=True, slots=True)
class Parked:
    """The job cannot be read or run until a person looks at it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The job is not needed any more: its task says so, or its time is over. ``began`` tells whether the task ran."""

    reason: str
    began: bool = True


Outcome = Succeeded | Failed | TimedOut | Interrupted | Postponed | Parked | Dropped


class Transition(NamedTuple):
    """The way out of RUNNING: the next state, and what to write down.

    ``refund`` gives the attempt back; ``delay`` is seconds until a waiting state is due.
    """

    state: State
    outcome: str = ""
    result: str = ""
    failure: Failure | None = None
    delay: float = 0.0
    refund: bool = False
    reason: str = ""

    def record(
        self, *, number: int, worker: str, started: float, finished: float, progress: Reported | None = None
    ) -> dict[str, Any]:
        """Return the attempt as the mirror and the result handle read it; times as epoch seconds."""
        record: dict[str, Any] = {"n": number, "w": worker, "s": started, "e": finished, "o": self.outcome}
        if self.failure is not None:
            record.update(c=self.failure.class_path, m=self.failure.message, t=self.failure.traceback)
        if self.state is State.RETRYABLE:
            record["r"] = finished + self.delay
        if self.result:
            record["v"] = self.result
        if progress is not None:
            record["p"] = progress
        return record

    def note(
        self, *, number: int, worker: str, started: float, finished: float, progress: Reported | None = None
    ) -> str:
        """Return ``record`` as JSON text."""
        if self.failure is None and self.state is State.SUCCESSFUL:
            # By hand: so nearly all attempts end, and an encoder takes ten times as long to get going.
            end = f',"v":{quoted(self.result)}}}' if self.result else "}"
            if progress is not None:
                end = f',"p":{progress.text()}{end}'
            start = f'{{"n":{number},"w":{quoted(worker)},"s":{started!r},"e":{finished!r}'
            return f'{start},"o":{quoted(self.outcome)}{end}'
        record = self.record(number=number, worker=worker, started=started, finished=finished, progress=progress)
        return _ENCODER.encode(record)


def decide(job: Job, attempt: int, outcome: Outcome, dice: float) -> Transition:  # noqa: PLR0911 - one an outcome
    """Return what follows from an outcome; the only place where this is decided, but for a cancellation (``heed``).

    ``attempt`` counts from 1 and does not include attempts that were handed back or lost in a crash.
    """
    match outcome:
        case Succeeded(result):
            return Transition(State.SUCCESSFUL, "succeeded", result=result)
        case Failed():
            return _failed(job, attempt, outcome, "failed", dice)
        case TimedOut(failure, after, final):
            return _failed(job, attempt, Failed(failure, final=final, after=after), "timed_out", dice)
        case Interrupted():
            return Transition(State.READY, refund=True)
        case Postponed(reason, delay):
            return Transition(State.SCHEDULED, delay=delay, refund=True, reason=reason)
        case Parked(reason):
            return Transition(State.BLOCKED, refund=True, reason=reason)
        case Dropped(reason, began):
            return Transition(State.CANCELLED, "cancelled" if began else "", refund=not began, reason=reason)


def _failed(job: Job, attempt: int, failed: Failed, outcome: str, dice: float) -> Transition:
    failure, options = failed.failure, job.options
    if not (failed.insists or failed.final) and retry.is_moot(options, failure.kinds):
        reason = f"discarded: {failure.class_path}: {failure.message}"
        return Transition(State.CANCELLED, outcome, failure=failure, reason=reason)
    if failed.final or not may_retry(job, attempt, failed):
        return Transition(State.FAILED, outcome, failure=failure)
    delay = retry.delay(options.backoff, attempt, dice) if failed.after is None else failed.after
    return Transition(State.RETRYABLE, outcome, failure=failure, delay=delay)


def heed(transition: Transition, reason: str) -> Transition:
    """Return what follows where the job was asked to cancel meanwhile: it ends, one way or another."""
    if transition.state is State.CANCELLED:
        return transition if transition.reason else transition._replace(reason=reason)
    if transition.state.is_final:
        return transition
    return transition._replace(state=State.CANCELLED, delay=0.0, reason=reason)


def may_retry(job: Job, attempt: int, failed: Failed | TimedOut) -> bool:
    """Tell whether a job has an attempt left, and its exception is one that another attempt may heal."""
    if attempt >= job.options.max_attempts:
        return False
    if isinstance(failed, Failed) and failed.insists:
        return True
    kinds = failed.failure.kinds
    return retry.is_wanted(job.options, kinds) and not retry.is_moot(job.options, kinds)
