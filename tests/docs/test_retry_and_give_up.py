"""The page about retries says what happens."""

from __future__ import annotations

from collections import Counter
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from django_backie.core.states import State
from django_backie.exceptions import TaskTimeout
from django_backie.result import TaskResult
from tests.helpers import drain

from .pages import load

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class Gone(Exception):
    """The order is not there."""


class Declined(Exception):
    """The bank has said no."""


class Busy(Exception):
    """The warehouse has said not now."""

    seconds = 300


class World:
    """Stands for a model, a bank and a warehouse: what happens is what a test has set."""

    DoesNotExist, CardDeclined, Busy = Gone, Declined, Busy
    withdrawn = shipped = False
    opened = True
    written = ""
    raises: type[Exception] | None = None

    @property
    def objects(self) -> World:
        return self

    def get(self, pk: int) -> World:
        return self

    def is_open(self) -> bool:
        return self.opened

    def charge(self, order: World) -> str:
        if self.raises:
            raise self.raises("boom")
        return "done"

    ship = print = charge

    def write(self, text: str) -> None:
        self.written = text


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def page(world: World) -> ModuleType:
    services = {"bank": world, "warehouse": world, "printer": world, "support": world}
    return load("how-to/retry-and-give-up", Order=world, counters=Counter(), **services)


def after(backend: Any, result: TaskResult[Any]) -> tuple[State, int]:
    """Run an attempt and return the state of its job, and the attempts that have counted."""
    drain(backend)
    result.refresh()
    return result.state, result.attempts


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        ({}, (State.SUCCESSFUL, 1)),
        ({"withdrawn": True}, (State.CANCELLED, 1)),
        ({"shipped": True}, (State.CANCELLED, 1)),
        ({"opened": False}, (State.SCHEDULED, 0)),
        ({"raises": Busy}, (State.RETRYABLE, 1)),
    ],
)
def test_a_task_says_what_becomes_of_its_job(
    backend: Any, page: ModuleType, world: World, happens: dict[str, Any], expected: tuple[State, int]
) -> None:
    vars(world).update(happens)

    assert after(backend, page.ship.delay(7)) == expected


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ConnectionResetError, State.RETRYABLE),
        (TaskTimeout, State.RETRYABLE),
        (Declined, State.FAILED),
        (Gone, State.CANCELLED),
    ],
)
def test_the_table_of_errors_is_true(
    backend: Any, page: ModuleType, world: World, error: type[Exception], state: State
) -> None:
    world.raises = error

    assert after(backend, page.charge.delay(7)) == (state, 1)


def test_what_follows_follows(backend: Any, page: ModuleType, world: World) -> None:
    world.raises = OSError
    result = page.print_label.delay(7)
    for _ in range(3):
        drain(backend)
        backend.broker.hasten([result.id])

    assert page.counters == {"print_label": 3}
    assert world.written == f"the label of job {result.id} could not be printed"


@pytest.mark.parametrize(("attempts", "asked", "seconds"), [(1, 7, 7), (5, 7, 7), (1, None, 60), (2, None, None)])
def test_the_function_waits_as_its_docstring_says(
    page: ModuleType, attempts: int, asked: int | None, seconds: int | None
) -> None:
    error = ValueError()
    error.retry_after = asked  # type: ignore[attr-defined]

    assert page.as_the_service_says(error, SimpleNamespace(attempts=attempts)) == seconds
