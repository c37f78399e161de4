"""Secret arguments do not reach what people read: rows, attempts, pages, logs."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import reverse

from django_backie import task
from django_backie.models import Attempt, Job
from django_backie.worker.board import Board
from django_backie.worker.lines import MachineFormatter, PrettyFormatter
from django_backie.worker.options import WorkerOptions, worker_name
from django_backie.worker.report import configure_logging, log_finished
from django_backie.worker.worker import Worker

from .helpers import mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

# Each has a part that stands nowhere else.
PART = "hunter2"
SECRETS = [PART, f"quo'te\"{PART}\\x", f"line\n{PART}", f"\u00e9-{PART}"]


@task(max_attempts=1, sensitive=["pin"])
def tell(pin: str, api_token: str = "", order: Any = None) -> None:
    """Tell everything that it was told, in every way that an exception has."""
    try:
        int(pin)
    except ValueError as first:
        first.add_note(f"with {api_token}")
        raise KeyError(pin, [api_token], order) from first


@task(max_attempts=1, sensitive=True)
async def atell(value: str) -> None:
    """Do the same in the event loop."""
    raise ExceptionGroup(f"all of {value}", [ValueError(value)])


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Return what handlers of a project write that has configured logging itself, in each of our forms and plainly."""
    stream = io.StringIO()
    handlers = [logging.StreamHandler(stream) for _ in range(4)]
    for handler, form in zip(
        handlers,
        [MachineFormatter(as_json=True), MachineFormatter(as_json=False), PrettyFormatter(stream), logging.Formatter()],
        strict=True,
    ):
        handler.setFormatter(form)
        logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    # As the worker does when it starts.
    configure_logging("json", logging.INFO)
    yield stream
    logging.getLogger().setLevel(level)
    for handler in handlers:
        logging.getLogger().removeHandler(handler)


def work(backend: Any) -> None:
    """Run all jobs, and say of each what the worker says."""
    options = WorkerOptions(threads=1, async_concurrency=1, burst=True)
    Worker(backend, options, worker_name(), Board(2), log_finished).run()


@pytest.mark.parametrize("secret", SECRETS)
def test_what_a_task_was_told_in_confidence_is_in_nothing_that_people_read(
    backend: Any, admin_client: Any, log: io.StringIO, secret: str
) -> None:
    tell.delay(secret, api_token=secret, order={"card": {"number": secret}})
    atell.delay(secret)
    work(backend)
    mirror(backend)

    assert Job.objects.filter(state="FAILED").count() == 2
    for row in Job.objects.values("arguments", "error_class", "error_message", "reason", "result"):
        assert PART not in str(row)
    for attempt in Attempt.objects.values("error_class", "error_message", "traceback"):
        assert PART not in str(attempt)
    for job in Job.objects.all():
        page = admin_client.get(reverse("admin:django_backie_job_change", args=[job.pk])).content.decode()
        assert "Traceback" in page
        assert PART not in page
    assert "KeyError" in log.getvalue()
    assert PART not in log.getvalue()
