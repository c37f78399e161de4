"""What a line about an attempt looks like, and the handler that writes many of them at once."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, Any

from ..core.ids import short
from ..core.states import State

# What could move a terminal's cursor, or forge a line.
CONTROL = re.compile(r"[^\S\n\t ]|[\x00-\x08\x0e-\x1f\x7f-\x9f]")
# Bytes that a pipe takes as one (PIPE_BUF of Linux; POSIX promises 512).
MOST_AT_ONCE = 4096
_JSON = json.JSONEncoder(default=str, ensure_ascii=False)
MARKS = {
    State.SUCCESSFUL: ("✓", "+", "32"),
    State.RETRYABLE: ("↻", "~", "33"),
    State.FAILED: ("✗", "x", "31"),
    State.READY: ("↩", "<", "36"),
    State.SCHEDULED: ("…", ".", "36"),
    State.BLOCKED: ("■", "#", "31"),
    State.CANCELLED: ("⊘", "o", "36"),
}
_STATES = {
    "succeeded": State.SUCCESSFUL,
    "retried": State.RETRYABLE,
    "failed": State.FAILED,
    "postponed": State.SCHEDULED,
    "cancelled": State.CANCELLED,
}


def _state(fields: Mapping[str, Any]) -> State:
    return _STATES.get(fields["event"], State.BLOCKED)


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode()


class PrettyFormatter(logging.Formatter):
    """One aligned line for people; colour and typographic marks only where the terminal has them."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._second, self._clock = 0, ""
        self._colour = stream.isatty() and "NO_COLOR" not in os.environ
        self._unicode = (getattr(stream, "encoding", "") or "").lower().replace("-", "") == "utf8"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        fields = getattr(record, "backie", None)
        return self.line(fields, record.created) if fields else f"{self._time(record.created)} {self._other(record)}"

    def line(self, fields: Mapping[str, Any], created: float, level: int = logging.INFO) -> str:
        """Return the line of an attempt, given its fields."""
        return f"{self._time(created)} {self._coloured(self._job(fields), fields)}"

    def _time(self, created: float) -> str:
        if int(created) != self._second:
            self._second, self._clock = int(created), time.strftime("%H:%M:%S", time.localtime(created))
        return f"{self._clock}.{int(created * 1000) % 1000:03}"

    def _coloured(self, text: str, fields: Mapping[str, Any]) -> str:
        return f"\x1b[{MARKS[_state(fields)][2]}m{text[0]}\x1b[0m{text[1:]}" if self._colour else text

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
        fields = getattr(record, "backie", None) or {"event": "log", "message": record.getMessage()}
        if record.exc_info:
            fields = {**fields, "traceback": self.formatException(record.exc_info)}
        return self.line(fields, record.created, record.levelno)

    def line(self, fields: Mapping[str, Any], created: float, level: int = logging.INFO) -> str:
        """Return the line of some fields."""
        stamp = datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds")
        fields = {"ts": stamp, "level": logging.getLevelName(level).lower(), **fields}
        if self._as_json:
            return _JSON.encode(fields)
        return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())


class Console(logging.StreamHandler[IO[str]]):
    """Our handler; it writes the lines of a batch at once, without a log record for each."""

    def __init__(self, stream: IO[str], formatter: PrettyFormatter | MachineFormatter) -> None:
        super().__init__(stream)
        self.formatter: PrettyFormatter | MachineFormatter = formatter

    def write(self, batch: Sequence[Mapping[str, Any]]) -> None:
        """Write a line for each attempt, given its fields."""
        now = time.time()
        try:
            lines = [self.formatter.line(fields, now) + self.terminator for fields in batch]
            with self.lock or contextlib.nullcontext():
                for text in _together(lines):
                    self._write(text)
                    self.flush()
        except Exception:  # noqa: BLE001 - logging's own rule: a line that cannot be written does not stop the work
            self.handleError(logging.makeLogRecord({"msg": f"{len(batch)} line(s) could not be written"}))

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
        except UnicodeEncodeError as error:
            # One letter that a terminal does not know must not cost the lines of others.
            self.stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))


def _together(lines: Iterable[str]) -> Iterator[str]:
    """Join whole lines, as many as a pipe takes at once: longer texts of two processes would mix."""
    text, size = "", 0
    for line in lines:
        length = len(line) if line.isascii() else len(line.encode(errors="replace"))
        if text and size + length > MOST_AT_ONCE:
            yield text
            text, size = "", 0
        text += line
        size += length
    if text:
        yield text


def _note(fields: Mapping[str, Any]) -> str:
    if fields["event"] == "succeeded":
        return f"waited {_duration(fields['wait_ms'])}"
    if "error" not in fields or fields["event"] == "cancelled":
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
