"""What a worker says: a banner, one line per finished job, a summary line.

Pretty for people, JSON or logfmt for machines.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any

from ..core.ids import short
from ..core.outcome import Transition
from ..core.states import State
from .attempt import Finished
from .failures import may_tell_secrets

logger = logging.getLogger("django_backie.jobs")

# Under these names Django's own receivers log each job once more.
DJANGOS = ("django.tasks", "django_tasks")
# What could move a terminal's cursor, or forge a line.
CONTROL = re.compile(r"[^\S\n\t ]|[\x00-\x08\x0e-\x1f\x7f-\x9f]")
FORMATS = ("pretty", "json", "logfmt")
MARKS = {
    State.SUCCESSFUL: ("✓", "+", "32"),
    State.RETRYABLE: ("↻", "~", "33"),
    State.FAILED: ("✗", "x", "31"),
    State.READY: ("↩", "<", "36"),
    State.SCHEDULED: ("…", ".", "36"),
    State.BLOCKED: ("■", "#", "31"),
}


def log_finished(finished: Finished) -> None:
    """Log one line for an attempt that has ended; a failure bears its traceback."""
    transition = finished.transition
    if transition is None or transition.state is State.READY:
        return
    level = {State.FAILED: logging.ERROR, State.BLOCKED: logging.ERROR, State.SUCCESSFUL: logging.INFO}
    logger.log(
        level.get(transition.state, logging.WARNING),
        "%s %s %s",
        finished.job.task if finished.job else "?",
        finished.ending.id,
        _event(transition),
        extra={"backie": _fields(finished, transition)},
    )


def _event(transition: Transition) -> str:
    return {State.SUCCESSFUL: "succeeded", State.RETRYABLE: "retried", State.FAILED: "failed"}.get(
        transition.state, "postponed" if transition.state is State.SCHEDULED else "parked"
    )


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


def _state(fields: Mapping[str, Any]) -> State:
    states = {"succeeded": State.SUCCESSFUL, "retried": State.RETRYABLE, "failed": State.FAILED}
    return states.get(fields["event"], State.SCHEDULED if fields["event"] == "postponed" else State.BLOCKED)


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode()


class PrettyFormatter(logging.Formatter):
    """One aligned line for people; colour and typographic marks only where the terminal has them."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._colour = stream.isatty() and "NO_COLOR" not in os.environ
        self._unicode = (getattr(stream, "encoding", "") or "").lower().replace("-", "") == "utf8"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        clock = f"{time.strftime('%H:%M:%S', time.localtime(record.created))}.{int(record.msecs):03}"
        fields = getattr(record, "backie", None)
        text = self._job(fields) if fields else self._other(record)
        return f"{clock} {self._coloured(text, fields)}"

    def _coloured(self, text: str, fields: Mapping[str, Any] | None) -> str:
        return f"\x1b[{MARKS[_state(fields)][2]}m{text[0]}\x1b[0m{text[1:]}" if fields and self._colour else text

    def _job(self, fields: Mapping[str, Any]) -> str:
        state = _state(fields)
        mark, plain, _ = MARKS[state]
        mark = mark if self._unicode else plain
        line = f"{mark} {fields['task']:<32} {short(fields['id'])}  {_duration(fields['run_ms']):>7}  {_note(fields)}"
        traceback = fields.get("traceback")
        line = f"{line}\n{traceback.rstrip()}" if traceback and state is State.FAILED else line
        return CONTROL.sub(_escaped, line)

    def _other(self, record: logging.LogRecord) -> str:
        mark, plain = ("!", "!") if record.levelno >= logging.WARNING else ("·", "-")
        line = f"{mark if self._unicode else plain} {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class MachineFormatter(logging.Formatter):
    """One JSON object, or one line of ``key=value``, per record."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, Any] = {"ts": stamp, "level": record.levelname.lower()}
        fields |= getattr(record, "backie", None) or {"event": "log", "message": record.getMessage()}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if self._as_json:
            return json.dumps(fields, default=str, ensure_ascii=False)
        return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())


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
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(PrettyFormatter(sys.stdout) if kind == "pretty" else MachineFormatter(as_json=kind == "json"))
    ours.addHandler(handler)
    ours.setLevel(level)
    ours.propagate = False
    for name in DJANGOS:
        theirs = logging.getLogger(name)
        if not theirs.handlers:
            theirs.addHandler(logging.NullHandler())
            theirs.propagate = False
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


def _note(fields: Mapping[str, Any]) -> str:
    if fields["event"] == "succeeded":
        return f"waited {_duration(fields['wait_ms'])}"
    if "error" not in fields:
        return str(fields.get("reason", ""))
    message = fields["message"].splitlines()[0] if fields["message"] else ""
    error = f"{fields['error'].rpartition('.')[2]} {message}".rstrip()
    if fields["event"] == "retried":
        return f"{error}, retry {fields['attempt']}/{fields['max_attempts'] - 1} in {fields.get('retry_in', 0):.0f} s"
    return error


def _duration(milliseconds: float) -> str:
    if milliseconds < 1000:
        return f"{milliseconds:.0f}ms"
    seconds = milliseconds / 1000
    return f"{seconds:.2f}s" if seconds < 60 else f"{int(seconds // 60)}m{int(seconds % 60):02}s"


def _quoted(value: Any) -> str:
    text = str(value)
    if CONTROL.search(text):
        return json.dumps(text)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "=\n\t') else text
