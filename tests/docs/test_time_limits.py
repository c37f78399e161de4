"""The page about time limits says what happens."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from django_backie.core.states import State
from django_backie.exceptions import HardTimeout, TaskTimeout
from django_backie.worker.board import Board
from django_backie.worker.children import Child, Overrun
from django_backie.worker.overruns import Overruns
from tests.helpers import drain, lease

from .pages import load

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class Films:
    """Stands for a service that takes too long."""

    def __init__(self) -> None:
        self.discarded: list[str] = []

    def convert(self, name: str) -> str:
        raise TaskTimeout

    def discard(self, name: str) -> None:
        self.discarded.append(name)


def page(films: Any = None) -> Any:
    return load("how-to/time-limits", films=films or Films())


def test_a_task_cleans_up_when_its_time_is_up_and_is_retried(backend: Any) -> None:
    films = Films()
    result = page(films).convert.delay("ran")
    drain(backend)
    result.refresh()

    assert films.discarded == ["ran"]
    assert (result.state, result.errors[0].exception_class) == (State.RETRYABLE, TaskTimeout)


def test_a_killed_attempt_counts_and_is_retried(backend: Any) -> None:
    films = Films()
    result = page(films).convert.delay("ran")
    (held,) = lease(backend, "killed.0")
    killed = Child(1, Board(1), name="killed", overruns=(Overrun(result.id, held.token, 0.5, 1.8e9, ""),))
    Overruns(backend, lambda finished: None).settle(killed)
    result.refresh()

    assert films.discarded == []
    assert (result.state, result.attempts, result.crashes) == (State.RETRYABLE, 1, 0)
    assert result.errors[0].exception_class is HardTimeout
    (attempt,) = backend.broker.inspect([result.id])[result.id].record.attempts
    assert attempt["m"] == "ran longer than its hard timeout of 90 s, its worker process was replaced"


def test_one_call_may_have_limits_of_its_own(backend: Any) -> None:
    shop = page()
    shop.convert_at_length("solaris")
    (held,) = lease(backend)
    options = backend.unpack(held.id, held.body).options

    assert (options.timeout, options.hard_timeout) == (7200.0, 7500.0)
    assert shop.limits_of(shop.convert) == (60, 90)


def test_a_sub_process_has_a_limit_below_those_of_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = page()
    given: dict[str, Any] = {}

    def run(command: list[str], **options: Any) -> Any:
        given.update(options)
        return SimpleNamespace(stdout="film")

    monkeypatch.setattr(subprocess, "run", run)
    assert shop.probe.func("solaris.mov") == "film"
    soft, hard = shop.limits_of(shop.probe)
    assert given["timeout"] < soft < hard


def test_tasks_that_hang_have_a_queue_of_their_own() -> None:
    shop = page()
    assert shop.cut.queue_name == "films"
    assert shop.limits_of(shop.cut) == (600, 660)
