"""The page about cancelling says what happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from django_backie.core.cancellation import Cancellation
from django_backie.core.states import State
from django_backie.testing import Capture
from tests.helpers import drain, ended, working

from .pages import load


class World:
    """Stands for a ledger, a film and an alarm: each page, or second, waits until the test lets it go on."""

    def __init__(self) -> None:
        self.before_page: Callable[[], object] = lambda: None
        self.began, self.notes, self.deleted = threading.Event(), list[str](), False

    def pages(self, month: str) -> Iterator[World]:
        for _ in range(2000):
            self.began.set()
            self.before_page()
            threading.Event().wait(0.01)
            yield self

    def write(self) -> int:
        return 1

    @contextmanager
    def partial(self, name: str) -> Iterator[World]:
        yield self

    def __iter__(self) -> Iterator[World]:
        return self.pages("")

    def convert(self) -> None:
        pass

    def delete(self) -> None:
        self.deleted = True

    def note(self, text: str) -> None:
        self.notes.append(text)

    def remind(self, order_id: int) -> str:
        return "reminded"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def page(world: World) -> ModuleType:
    return load("how-to/cancel", mail=world, ledger=world, films=world, alarms=world)


def why(result: Any) -> tuple[State, str]:
    return result.state, result.errors[-1].traceback.strip().rpartition("Cancelled: ")[2]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
class TestWithAWorker:
    def test_a_waiting_job_does_not_run_and_one_that_has_ended_refuses(self, backend: Any, page: ModuleType) -> None:
        first, second = page.send_reminder.delay(1), page.send_reminder.delay(2)
        assert page.withdraw(first) is Cancellation.DONE
        drain(backend)
        assert why(first) == (State.CANCELLED, "the customer has withdrawn the order")
        assert ended(second).return_value == "reminded"
        assert page.withdraw(second) is Cancellation.REFUSED

    @pytest.mark.parametrize("name", ["export", "convert"])
    def test_a_sync_task_notices(self, backend: Any, page: ModuleType, world: World, name: str) -> None:
        result = getattr(page, name).delay("x")
        with working(backend):
            assert world.began.wait(20)
            assert page.withdraw(result) is Cancellation.ASKED
            assert why(ended(result)) == (State.CANCELLED, "the customer has withdrawn the order")
        assert world.deleted == (name == "convert")

    def test_an_async_task_is_interrupted(self, backend: Any, page: ModuleType, world: World) -> None:
        sleep = page.asyncio.sleep

        async def seen(seconds: float) -> None:
            world.began.set()
            await sleep(seconds)

        page.asyncio = SimpleNamespace(sleep=seen, CancelledError=page.asyncio.CancelledError)
        result = page.watch.delay("door")
        with working(backend):
            assert world.began.wait(20)
            result.cancel("no more needed")
            assert why(ended(result)) == (State.CANCELLED, "no more needed")
        assert world.notes == ["door: no more needed"]


def test_the_page_s_own_test_passes(page: ModuleType) -> None:
    with Capture().installed() as backie:
        page.test_an_export_stops(backie)
