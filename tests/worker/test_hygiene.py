"""What is done for a thread's database connections around a job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection, connections
from django.utils import translation

from django_backie.compat import IMPLICIT_ALIAS, get_backend, task_backends
from django_backie.worker import hygiene

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def in_a_thread(work: Callable[[], Any]) -> Any:
    """Run some work in a thread of its own, whose connections are closed at its end; return its answer."""
    answers: list[Any] = []

    def run() -> None:
        answers.append(work())
        hygiene.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return answers[0]


@pytest.fixture(autouse=True)
def _can_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a connection to a database in memory be closed, as those to others are."""
    if connection.vendor == "sqlite":
        monkeypatch.setattr(type(connections["default"]), "is_in_memory_db", lambda _: False)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the aliases of the connections that were looked at."""
    aliases: list[str] = []
    kind = type(connections["default"])
    plain = kind.close_if_unusable_or_obsolete

    def looking(self: Any) -> None:
        aliases.append(self.alias)
        plain(self)

    monkeypatch.setattr(kind, "close_if_unusable_or_obsolete", looking)
    return aliases


def test_a_job_that_used_no_database_has_no_connection_looked_at(looked_at: list[str]) -> None:
    def work() -> None:
        hygiene.before()
        hygiene.after("job")

    in_a_thread(work)
    assert looked_at == []


def test_only_the_connections_that_a_job_opened_are_looked_at(looked_at: list[str]) -> None:
    def work() -> None:
        connection.ensure_connection()
        hygiene.after("job")

    in_a_thread(work)
    assert looked_at == ["default"]


def test_a_connection_that_is_closed_is_not_looked_at_again(looked_at: list[str]) -> None:
    def work() -> None:
        connection.ensure_connection()
        connection.close()
        hygiene.after("job")
        hygiene.before()

    in_a_thread(work)
    assert looked_at == ["default"]


def test_a_connection_that_may_live_on_is_looked_at_before_each_job(
    looked_at: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work() -> None:
        monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", None)
        connection.ensure_connection()
        hygiene.after("job")
        hygiene.before()

    in_a_thread(work)
    assert looked_at == ["default", "default"]


def test_a_transaction_that_was_left_open_is_rolled_back() -> None:
    def work() -> tuple[bool, bool]:
        connection.set_autocommit(False)
        hygiene.after("job")
        return connection.connection is None, connection.get_autocommit()

    assert in_a_thread(work) == (True, True)


def test_a_thread_makes_its_caches_and_task_backends_once() -> None:
    def kept() -> tuple[Any, Any]:
        return caches["default"], task_backends["default"]

    def work() -> list[tuple[Any, Any]]:
        return [hygiene.context().run(kept) for _ in range(2)]

    first, second = in_a_thread(work)
    assert all(one is other for one, other in zip(first, second, strict=True))
    (another, _), _ = in_a_thread(work)
    assert another is not first[0], "many caches are not for several threads"


def test_a_thread_makes_the_backend_once_that_needs_no_setting(settings: Any) -> None:
    settings.TASKS = {}

    def work() -> list[Any]:
        return [hygiene.context().run(get_backend, IMPLICIT_ALIAS) for _ in range(2)]

    first, second = in_a_thread(work)
    assert first is second


def test_what_an_attempt_sets_ends_with_it() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)

    def work() -> tuple[int, str]:
        hygiene.context().run(variable.set, 1)
        hygiene.context().run(translation.activate, "de")
        return hygiene.context().run(lambda: (variable.get(), translation.get_language()))

    assert in_a_thread(work) == (0, "en-us")
