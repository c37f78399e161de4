"""What Django's own logger says of a job in a worker."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from django_backie.broker.replies import Ending
from django_backie.core.job import Job
from django_backie.core.outcome import Failure, Transition
from django_backie.core.states import State
from django_backie.worker.attempt import Finished
from django_backie.worker.failures import failure_of
from django_backie.worker.lines import MachineFormatter, PrettyFormatter
from django_backie.worker.report import DJANGOS, configure_logging, log_finished
from tests.app.tasks import add, pay


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Configure as a worker does whose project has configured logging; take the filters away again."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.NullHandler()])
    configure_logging("pretty", logging.INFO)
    yield
    for name in DJANGOS:
        logging.getLogger(name).filters.clear()


def logged(task: Any, backend: Any, **kwargs: Any) -> logging.LogRecord:
    """Let Django log a failed job, and return the record that its handlers get."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    djangos = logging.getLogger(DJANGOS[0])
    djangos.addHandler(handler)
    try:
        raise ValueError("hunter2")
    except ValueError as error:
        job = Job("1", task.job_name, "default", kwargs=kwargs)
        failure_of(task, job, backend.config, error)
        djangos.error("failed", exc_info=sys.exc_info())
    finally:
        djangos.removeHandler(handler)
    return records[0]


def test_the_exception_of_a_job_with_secrets_is_not_logged_uncleansed(backend: Any) -> None:
    assert logged(pay, backend, amount=1, pin="hunter2").exc_info is None


def test_the_exception_of_a_job_without_secrets_is_logged_for_error_trackers(backend: Any) -> None:
    record = logged(add, backend, a=1, b=2)
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "hunter2"


FIELDS = {
    "event": "failed",
    "task": "t",
    "id": "01234567-89ab-7def-8123-456789abcdef",
    "run_ms": 1.0,
    "error": "ValueError",
    "message": "a\x1b[2Jb\x9bc\rd",
    "traceback": "line\n\tnext\x1b]0;x\x07",
    "attempt": 1,
    "max_attempts": 1,
}


def record_of(fields: dict[str, Any]) -> logging.LogRecord:
    record = logging.LogRecord("django_backie.jobs", logging.ERROR, "", 0, "m", None, None)
    record.backie = fields
    return record


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_what_an_exception_says_cannot_drive_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    line = PrettyFormatter(Terminal()).format(record_of(FIELDS))
    assert line[13:].startswith("\x1b[31m✗\x1b[0m ")
    assert not {"\x1b", "\x9b", "\r", "\x07"} & set(line[24:])
    assert r"a\x1b[2Jb\x9bc" in line
    assert "line\n\tnext" in line


@pytest.mark.parametrize("as_json", [True, False])
def test_a_machine_readable_line_is_one_line_without_control_characters(as_json: bool) -> None:
    line = MachineFormatter(as_json=as_json).format(record_of(FIELDS))
    assert not {"\x1b", "\r", "\n", "\x07"} & set(line)


class Stream(io.StringIO):
    """Counts its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Stream:
    """Configure as a worker does whose project has configured nothing, with a stream that can be read."""
    stream = Stream()
    ours = logging.getLogger("django_backie")
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    for logger in [ours, *map(logging.getLogger, DJANGOS)]:
        monkeypatch.setattr(logger, "handlers", [])
        monkeypatch.setattr(logger, "propagate", logger.propagate)
        monkeypatch.setattr(logger, "level", logger.level)
    monkeypatch.setattr(sys, "stdout", stream)
    configure_logging("pretty", logging.INFO)
    return stream


def leave_alone(console: Stream) -> None:
    """Take away pytest's handlers, which it adds when a test begins."""
    ours = logging.getLogger("django_backie")
    ours.handlers[:] = [handler for handler in ours.handlers if getattr(handler, "stream", None) is console]


def finished(state: State) -> Finished:
    failure = None if state is State.SUCCESSFUL else Failure("ValueError", "boom", "Traceback")
    transition = Transition(state, "succeeded" if failure is None else "failed", failure=failure)
    job = Job(FIELDS["id"], "shop.tasks.send", "default")
    return Finished(Ending(job.id, 1, state), "w", job, 1, 0.0, 0.0, transition)


def test_the_successes_of_a_batch_are_one_write(console: Stream) -> None:
    leave_alone(console)
    log_finished([finished(State.SUCCESSFUL)] * 3)
    assert console.writes == 1
    assert console.getvalue().count("shop.tasks.send") == 3


def test_no_write_is_longer_than_what_a_pipe_takes_at_once(console: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    monkeypatch.setattr(console, "write", texts.append)
    leave_alone(console)
    log_finished([finished(State.SUCCESSFUL)] * 100)
    assert sum(text.count("shop.tasks.send") for text in texts) == 100
    assert all(text.endswith("\n") and len(text.encode()) <= 4096 for text in texts)
    assert len(texts) < 10


def test_a_letter_that_the_terminal_does_not_know_costs_no_line(
    console: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    leave_alone(console)
    (handler,) = logging.getLogger("django_backie").handlers
    monkeypatch.setattr(handler, "stream", ascii_only)
    job = Job(FIELDS["id"], "shop.tasks.sänd", "default")
    log_finished([finished(State.SUCCESSFUL)._replace(job=job), finished(State.SUCCESSFUL)])
    ascii_only.seek(0)
    assert [line.split()[2] for line in ascii_only.read().splitlines()] == ["shop.tasks.s\\xe4nd", "shop.tasks.send"]


def test_lines_stand_in_the_order_in_which_the_jobs_ended(console: Stream) -> None:
    leave_alone(console)
    log_finished([finished(State.SUCCESSFUL), finished(State.FAILED), finished(State.SUCCESSFUL)])
    marks = [line.split()[1] for line in console.getvalue().splitlines() if "shop.tasks.send" in line]
    assert marks == ["+", "x", "+"]


def test_a_line_is_the_same_with_and_without_a_log_record(console: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_alone(console)
    log_finished([finished(State.SUCCESSFUL)])
    direct = console.getvalue()
    seen: list[logging.LogRecord] = []
    other = logging.Handler()
    monkeypatch.setattr(other, "emit", seen.append)
    monkeypatch.setattr(logging.getLogger("django_backie.jobs"), "handlers", [other])
    log_finished([finished(State.SUCCESSFUL)])
    assert len(seen) == 1  # whoever else listens gets a record
    assert console.getvalue()[len(direct) :].split()[1:] == direct.split()[1:]


def test_below_the_level_no_line_is_made(console: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_alone(console)
    monkeypatch.setattr(logging.getLogger("django_backie"), "level", logging.WARNING)
    logging.getLogger().manager._clear_cache()  # type: ignore[attr-defined]
    log_finished([finished(State.SUCCESSFUL)])
    assert console.getvalue() == ""


def test_djangos_own_lines_about_successes_are_not_made_where_nobody_reads_them(console: Stream) -> None:
    assert not logging.getLogger(DJANGOS[0]).isEnabledFor(logging.INFO)
    assert logging.getLogger(DJANGOS[0]).isEnabledFor(logging.ERROR)


def test_a_stream_that_is_gone_does_not_stop_the_worker(console: Stream, capsys: pytest.CaptureFixture[str]) -> None:
    leave_alone(console)
    console.close()
    log_finished([finished(State.SUCCESSFUL)])
    assert "could not be written" in capsys.readouterr().err
