"""What Django's own logger says of a job in a worker."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from django_backie.core.job import Job
from django_backie.worker.failures import failure_of
from django_backie.worker.report import DJANGOS, configure_logging
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
