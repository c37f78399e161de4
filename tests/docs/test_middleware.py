"""The page about middleware says what happens."""

from __future__ import annotations

import copy
from types import ModuleType
from typing import Any

import pytest

from django_backie import compat
from django_backie.core.states import State
from tests.app.tasks import add, echo
from tests.helpers import drain

from .pages import load

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


class Statistics:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float, str]] = []

    def timing(self, name: str, seconds: float, task: str) -> None:
        self.told.append((name, seconds, task))


@pytest.fixture
def statistics() -> Statistics:
    return Statistics()


@pytest.fixture
def page(statistics: Statistics) -> ModuleType:
    return load("how-to/middleware", statistics=statistics)


@pytest.fixture
def wrapped(settings: Any, backend: Any, page: ModuleType) -> Any:
    tasks = copy.deepcopy(settings.TASKS)
    tasks["default"]["OPTIONS"]["MIDDLEWARE"] = ["docs_middleware.RequestId", "docs_middleware.Durations"]
    settings.TASKS = tasks
    return compat.get_backend("default")


def test_durations_are_told(wrapped: Any, statistics: Statistics) -> None:
    results = [echo.delay()]
    drain(wrapped)
    results[0].refresh()

    assert results[0].state is State.SUCCESSFUL
    assert [(name, task) for name, _, task in statistics.told] == [
        ("queued_for", "tests.app.tasks.echo"),
        ("ran_for", "tests.app.tasks.echo"),
    ]
    assert all(0 <= seconds < 60 for _, seconds, _ in statistics.told)


def test_the_id_of_the_request_travels_and_is_not_an_argument_of_the_task(wrapped: Any, page: ModuleType) -> None:
    token = page.request_id.set("abc")
    try:
        result = echo.delay(1)
    finally:
        page.request_id.reset(token)
    (snapshot,) = wrapped.broker.take(10)
    drain(wrapped)
    result.refresh()

    assert wrapped.unpack(snapshot.id, snapshot.body).kwargs == {"request_id": "abc"}
    assert result.return_value == {"args": [1], "kwargs": {}}


def test_a_task_that_does_not_take_what_travels_refuses_it_in_the_caller(wrapped: Any) -> None:
    with pytest.raises(TypeError, match="request_id"):
        add.delay(1, 2)
