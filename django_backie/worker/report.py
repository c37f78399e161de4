"""What a worker says: one line per finished job, a summary line.

Pretty for people, JSON or logfmt for machines.
"""

from __future__ import annotations

import itertools
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.outcome import Transition
from ..core.states import State
from .attempt import Finished
from .failures import may_tell_secrets
from .lines import Console, MachineFormatter, PrettyFormatter

logger = logging.getLogger("django_backie.jobs")

# Under these names Django's own receivers log each job once more.
DJANGOS = ("django.tasks", "django_tasks")
FORMATS = ("pretty", "json", "logfmt")
LEVELS = {
    State.FAILED: logging.ERROR,
    State.BLOCKED: logging.ERROR,
    State.SUCCESSFUL: logging.INFO,
    State.CANCELLED: logging.INFO,
}
EVENTS = {
    State.SUCCESSFUL: "succeeded",
    State.RETRYABLE: "retried",
    State.FAILED: "failed",
    State.SCHEDULED: "postponed",
    State.CANCELLED: "cancelled",
}


def log_finished(batch: Sequence[Finished]) -> None:
    """Log one line for each attempt that has ended; a failure bears its traceback.

    Where nobody but our own handler would see them, successes go to it as lines, all of a batch in one write.
    """
    console = _sole_handler()
    if console is None:
        for finished in batch:
            _log(finished)
        return
    for are_successes, group in itertools.groupby(batch, _is_success):
        if are_successes:
            console.write([_fields(finished, finished.transition) for finished in group if finished.transition])
        else:
            for finished in group:
                _log(finished)


def _is_success(finished: Finished) -> bool:
    return finished.transition is not None and finished.transition.state is State.SUCCESSFUL


def _sole_handler() -> Console | None:
    """Return our handler where no other, and no filter, would get to see a success."""
    ours = logging.getLogger("django_backie")
    handler = ours.handlers[0] if len(ours.handlers) == 1 else None
    if not isinstance(handler, Console) or ours.propagate or not logger.isEnabledFor(logging.INFO):
        return None
    return None if logger.handlers or logger.filters or handler.filters or not logger.propagate else handler


def _log(finished: Finished) -> None:
    transition = finished.transition
    if transition is None or transition.state is State.READY:
        return
    level = LEVELS.get(transition.state, logging.WARNING)
    if not logger.isEnabledFor(level):
        return
    logger.log(
        level,
        "%s %s %s",
        finished.job.task if finished.job else "?",
        finished.ending.id,
        _event(transition),
        extra={"backie": _fields(finished, transition)},
    )


def _event(transition: Transition) -> str:
    return EVENTS.get(transition.state, "parked")


def _fields(finished: Finished, transition: Transition) -> dict[str, Any]:
    """Return the fixed, documented keys of a machine-readable line."""
    job, failure = finished.job, transition.failure
    fields: dict[str, Any] = {
        "event": _event(transition),
        "task": job.task if job else "?",
        "id": finished.ending.id,
        "queue": job.queue if job else "?",
        "attempt": finished.attempt,
        "max_attempts": job.options.max_attempts if job else 0,
        "wait_ms": round(finished.waited * 1000, 1),
        "run_ms": round(finished.ran * 1000, 1),
        "worker": finished.worker,
    }
    if failure is not None:
        fields |= {"error": failure.class_path, "message": failure.message, "traceback": failure.traceback}
    if transition.delay:
        fields["retry_in"] = round(transition.delay, 1)
    if transition.reason:
        fields["reason"] = transition.reason
    return fields


class WithoutSecrets(logging.Filter):
    """Takes the exception of a job with secrets out of what Django logs; our own line has it cleansed."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        if record.exc_info and may_tell_secrets(record.exc_info[1]):
            record.exc_info = record.exc_text = None
        return True


_WITHOUT_SECRETS = WithoutSecrets()


def configure_logging(kind: str, level: int) -> bool:
    """Send our log lines to standard output, unless the project has configured logging; tell whether it was done."""
    for name in DJANGOS:
        logging.getLogger(name).addFilter(_WITHOUT_SECRETS)
    ours = logging.getLogger("django_backie")
    if ours.handlers or logging.getLogger().handlers:
        return False
    formatter = PrettyFormatter(sys.stdout) if kind == "pretty" else MachineFormatter(as_json=kind == "json")
    ours.addHandler(Console(sys.stdout, formatter))
    ours.setLevel(level)
    ours.propagate = False
    for name in DJANGOS:
        theirs = logging.getLogger(name)
        if not theirs.handlers:
            theirs.addHandler(logging.NullHandler())
            theirs.propagate = False
            # Nobody would read them; errors still pass, for trackers that listen in on all loggers.
            theirs.setLevel(logging.WARNING)
    return True


class Summary:
    """A line a minute about all processes."""

    def __init__(self, interval: float, now: float) -> None:
        self._interval = interval
        self._last = now
        self._before: dict[str, int] = {}

    def beat(self, totals: Mapping[str, int], now: float, slots: int) -> None:
        """Log the line when its time has come and something has happened."""
        if not self._interval or now - self._last < self._interval:
            return
        new = {name: totals[name] - self._before.get(name, 0) for name in ("succeeded", "retried", "failed")}
        if any(new.values()):
            minutes = (now - self._last) / 60
            logger.info(
                "%d/min  ok %d  retry %d  failed %d  busy %d/%d",
                round(sum(new.values()) / minutes),
                *new.values(),
                totals["busy"],
                slots,
            )
        self._last, self._before = now, dict(totals)
