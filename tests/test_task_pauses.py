"""What people do with a task: pause it and let it go on, in whatever queues its jobs are."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from django_backie import pauses, queues, task_pauses
from django_backie.broker import inspect
from django_backie.broker.redis import RedisBroker
from django_backie.exceptions import BrokerUnavailable, InvalidOption
from django_backie.models import Pause as Row
from tests.app.tasks import add, echo
from tests.helpers import drain, empty

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

ADD = "tests.app.tasks.add"


def away(*arguments: Any, **named: Any) -> Any:
    raise BrokerUnavailable("Redis is away")


def said(*words: str) -> str:
    output = StringIO()
    call_command("backie", *words, stdout=output)
    return output.getvalue()


@pytest.mark.parametrize("task", [add, ADD, add.using(queue_name="mail")])
def test_a_paused_task_waits_in_all_queues_and_others_do_not(backend: Any, task: Any) -> None:
    waiting = [add.delay(1, 2), add.using(queue_name="mail").delay(3, 4)]
    other = echo.delay("here")
    task_pauses.pause(task)
    drain(backend)
    for result in (*waiting, other):
        result.refresh()
    assert [result.is_finished for result in (*waiting, other)] == [False, False, True]

    assert task_pauses.resume(task) is True
    drain(backend)
    for result in waiting:
        result.refresh()
    assert [result.return_value for result in waiting] == [3, 7]
    assert task_pauses.resume(task) is False


def test_a_burst_goes_on_behind_many_that_are_set_aside(backend: Any) -> None:
    task_pauses.pause(add)
    add.delay_many([(number, 1) for number in range(150)])
    behind = echo.delay("here")
    drain(backend)
    behind.refresh()

    assert (behind.is_finished, inspect.parked(backend.broker)) == (True, 150)


def test_all_about_a_pause_is_told_and_kept_in_a_row(backend: Any) -> None:
    task_pauses.pause(add, until=timedelta(minutes=5), reason=" provider\nis down ", by="ann")
    found = task_pauses.paused()[ADD]

    assert (found.reason, found.by) == ("provider is down", "ann")
    assert found.until - found.since == pytest.approx(300, abs=1)
    row = Row.objects.get()
    assert (row.queue, row.task, str(row), row.reason) == ("", ADD, ADD, "provider is down")
    assert queues.paused() == {}


def test_a_queue_and_a_task_of_the_same_name_are_paused_apart(backend: Any) -> None:
    queues.pause(ADD)
    task_pauses.pause(ADD)
    queues.resume(ADD)

    assert queues.paused() == {}
    assert task_pauses.paused().keys() == {ADD}
    assert Row.objects.get().task == ADD


def test_a_second_pause_changes_the_first(backend: Any) -> None:
    task_pauses.pause(add, reason="one")
    since = task_pauses.paused()[ADD].since
    task_pauses.pause(add, reason="two")

    assert task_pauses.paused()[ADD].reason == "two"
    assert task_pauses.paused()[ADD].since == since


@pytest.mark.parametrize("name", ["", "a" * 201, "a|b", 'a"b', "a\nb", "a\\b"])
def test_what_is_no_name_of_a_task_is_refused(backend: Any, name: str) -> None:
    with pytest.raises(InvalidOption, match="a task that is to be paused"):
        task_pauses.pause(name)


def test_an_end_in_the_past_is_refused(backend: Any) -> None:
    with pytest.raises(InvalidOption, match="until must be in the future"):
        task_pauses.pause(add, until=timedelta(seconds=-1))


def test_it_takes_effect_with_the_commit(backend: Any) -> None:
    with transaction.atomic():
        task_pauses.pause(add)
        assert task_pauses.paused() == {}
    assert task_pauses.paused().keys() == {ADD}


def test_an_emptied_redis_gets_it_back(backend: Any) -> None:
    task_pauses.pause(add, reason="provider is down")
    before = task_pauses.paused()
    empty(backend)

    assert pauses.restore(backend) == 1
    assert task_pauses.paused() == before
    assert pauses.restore(backend) == 0


def test_what_was_resumed_while_redis_was_away_goes_on_later(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task_pauses.pause(add)
    with monkeypatch.context() as patched:
        patched.setattr(RedisBroker, "resume", away)
        with pytest.raises(BrokerUnavailable):
            task_pauses.resume(add)
    assert task_pauses.paused().keys() == {ADD}

    assert pauses.restore(backend) == 1
    assert task_pauses.paused() == {}


def test_the_async_twins_do_the_same(backend: Any) -> None:
    async def work() -> None:
        await task_pauses.apause(add, reason="why")
        assert (await task_pauses.apaused())[ADD].reason == "why"
        assert await task_pauses.aresume(add) is True
        assert await task_pauses.apaused() == {}

    asyncio.run(work())


def test_the_command_pauses_and_resumes(backend: Any) -> None:
    add.delay(1, 2)
    assert said("pause", "--task", ADD, "--reason", "why", "--for", "5m") == f"{ADD} is paused\n"
    drain(backend)
    (line,) = [line for line in said("stats").splitlines() if line.startswith(ADD)]
    assert " 1 aside  paused since " in line
    assert line.endswith(": why")
    assert "waiting for room under a limit           0" in said("stats")
    found = json.loads(said("stats", "--json"))
    assert found["paused_tasks"][ADD]["waiting"] == 1
    assert found["parked"] == 0
    assert found["paused"] == {}

    assert said("resume", "--task", ADD) == f"{ADD} goes on\n"
    assert said("resume", "--task", ADD) == f"{ADD} was not paused\n"


def test_the_command_tells_of_a_task_that_nobody_knows(backend: Any) -> None:
    assert f"no task is named '{ADD}s'" in said("pause", "--task", f"{ADD}s")
    assert task_pauses.paused().keys() == {f"{ADD}s"}


@pytest.mark.parametrize("words", [["pause"], ["pause", "mail", "--task", ADD], ["resume"]])
def test_the_command_takes_a_queue_or_a_task(backend: Any, words: list[str]) -> None:
    with pytest.raises(CommandError):
        said(*words)
