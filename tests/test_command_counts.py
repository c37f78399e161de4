"""The number of round trips decides the speed; here they are counted, without a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from django_backie.worker.board import Board
from django_backie.worker.options import WorkerOptions, worker_name
from django_backie.worker.worker import Worker
from tests.app.tasks import add

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def calls(backend: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return a function that tells how many commands this process has sent."""
    sent: list[Any] = []
    client = backend.broker.client
    execute = client.execute_command

    def counting(*args: Any, **options: Any) -> Any:
        sent.append(args[0])
        return execute(*args, **options)

    add.delay(0, 0)  # the scripts are loaded now
    monkeypatch.setattr(client, "execute_command", counting)
    return lambda: len(sent)


def test_a_delay_is_one_command(calls: Callable[[], int]) -> None:
    add.delay(1, 2)
    assert calls() == 1


def test_a_hundred_jobs_of_a_transaction_are_one_command(calls: Callable[[], int]) -> None:
    with transaction.atomic():
        for number in range(100):
            add.delay(number, 1)
        assert calls() == 0
    assert calls() == 1


def test_delay_many_is_one_command(calls: Callable[[], int]) -> None:
    add.delay_many([(number, 1) for number in range(100)])
    assert calls() == 1


def test_draining_a_thousand_jobs_takes_at_most_a_tenth_of_a_command_each(
    backend: Any, calls: Callable[[], int]
) -> None:
    results = add.delay_many([(number, 1) for number in range(1000)])
    before = calls()
    options = WorkerOptions(burst=True)
    Worker(backend, options, worker_name(), Board(108), lambda finished: None).run()
    assert calls() - before <= 100
    assert backend.broker.missing([result.id for result in results]) == []
    assert all(snapshot.record.state.is_final for snapshot in backend.broker.inspect([results[-1].id]).values())
