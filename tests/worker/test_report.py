"""What Django's own logger says of a job in a worker."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from django_backie.core.job import Job
from django_backie.worker.failures import failure_of
from django_backie.worker.report import DJANGOS, MachineFormatter, PrettyFormatter, configure_logging
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
