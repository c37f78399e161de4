"""What follows when attempts and jobs have ended."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError

from django_backie import BaseTask, control, hooks, outbox, task
from django_backie.core.ids import derived_key, is_id, new_key
from django_backie.core.states import State
from django_backie.exceptions import BrokerUnavailable, InvalidOption
from django_backie.models import Job
from django_backie.result import TaskResult
from django_backie.worker.board import Board
from django_backie.worker.children import Child, Overrun
from django_backie.worker.executor import Executor
from django_backie.worker.overruns import Overruns
from tests.app import followed
from tests.helpers import drain, lease, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(autouse=True)
def _nothing_told() -> None:
    followed.told.clear()


def told(backend: Any) -> list[tuple[str, str]]:
    """Run what is there, and return what the hooks that are tasks were told."""
    drain(backend)
    return sorted(followed.told)


def test_a_task_follows_a_success_with_the_job_s_id(backend: Any) -> None:
    result = followed.succeeds.delay()

    assert told(backend) == [("success", result.id)]


def test_each_failed_attempt_is_followed_and_the_last_by_both(backend: Any) -> None:
    result = followed.fails.delay()

    assert told(backend) == [("failure", result.id)]
    backend.broker.hasten([result.id])
    assert told(backend) == [("exhausted", result.id)] + [("failure", result.id)] * 2


def test_what_retry_for_does_not_name_is_exhausted_at_once(backend: Any) -> None:
    result = followed.fails.using(retry_for=KeyError).delay()

    assert told(backend) == [("exhausted", result.id), ("failure", result.id)]


def test_a_function_is_called_with_the_handle_as_it_is_then(backend: Any) -> None:
    result = followed.calls.delay(fail=False)
    drain(backend)
    failed = followed.calls.using(max_attempts=2).delay(fail=True)
    drain(backend)
    backend.broker.hasten([failed.id])
    drain(backend)

    assert followed.told == [
        ("on_success", result.id, State.SUCCESSFUL),
        ("on_failure", failed.id, State.RETRYABLE),
        ("on_failure", failed.id, State.FAILED),
        ("on_exhausted", failed.id, State.FAILED),
    ]


def test_an_async_task_has_hooks_too(backend: Any) -> None:
    result = followed.acalls.delay()
    drain(backend)

    assert followed.told == [("on_success", result.id, State.SUCCESSFUL)]


def test_a_method_of_a_class_is_a_hook(backend: Any) -> None:
    result = followed.Followed().delay()

    assert told(backend) == [("method", result.id)]


def test_a_call_may_have_a_hook_of_its_own(backend: Any) -> None:
    results = [
        followed.plain.using(on_success=followed.after_success).delay(),
        followed.calls.using(on_success=followed.after_success).delay(fail=False),
    ]

    assert told(backend) == sorted(("success", result.id) for result in results), "the task's own gives way"


def test_a_hook_that_fails_changes_nothing(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    result = followed.broken_hook.delay()
    drain(backend)
    result.refresh()

    assert result.state is State.SUCCESSFUL
    assert f"{result.id}: on_success of tests.app.followed.broken_hook failed" in caplog.text


def test_a_cancelled_and_a_snoozed_job_are_not_followed(backend: Any) -> None:
    followed.gives_up.delay("cancel")
    followed.gives_up.delay("snooze")

    assert told(backend) == []


def test_what_a_person_retries_is_followed_once_more(backend: Any) -> None:
    result = followed.fails.using(max_attempts=1).delay()
    drain(backend)
    mirror(backend)
    followed.told.clear()
    control.retry([result.id])

    assert told(backend) == [("exhausted", result.id), ("failure", result.id)]


def test_a_follower_comes_though_the_one_before_the_retry_has_failed(backend: Any) -> None:
    result = followed.fails.using(max_attempts=1, on_exhausted=followed.fails_too).delay()
    for _ in range(2):
        followed.told.clear()
        drain(backend)
        mirror(backend)
        assert ("failed follower", result.id) in followed.told
        control.retry([result.id])


def test_a_follower_waits_in_the_outbox_while_redis_takes_no_jobs(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = followed.succeeds.delay()

    def full(*_: Any) -> Any:
        raise BrokerUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(type(backend.broker), "enqueue", full)
        drain(backend)
    mirror(backend)
    result.refresh()
    assert result.state is State.SUCCESSFUL
    assert outbox.relay("default", "default", backend.broker.enqueue, time.time() + 10) == 1
    assert told(backend) == [("success", result.id)]


def test_a_follower_goes_to_redis_at_once_while_the_database_is_down(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = followed.succeeds.delay()

    def down(*_: Any) -> Any:
        raise OperationalError("down")

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "write", down)
        assert told(backend) == [("success", result.id)]


def test_an_atomic_task_may_follow(backend: Any) -> None:
    result = followed.plain.using(on_success=followed.atomic_follower).delay()

    assert told(backend) == [("atomic", result.id)]
    mirror(backend)
    assert set(Job.objects.values_list("state", flat=True)) == {"SUCCESSFUL"}


def test_a_stop_of_the_worker_during_a_hook_does_not_undo_the_end_of_an_async_job(backend: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()
    calls: list[State] = []

    def slowly(task_result: Any) -> None:
        calls.append(task_result.state)
        begun.set()
        go_on.wait(20)

    job = followed.acalls.delay()
    (held,) = lease(backend)
    executor = Executor(backend)
    attempt = executor.open(held, "w")
    attempt.task = replace(followed.acalls, on_success=slowly)  # type: ignore[union-attr,misc]

    async def stop_meanwhile() -> Any:
        running = asyncio.ensure_future(executor.arun(attempt))  # type: ignore[arg-type]
        while not begun.is_set():
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.sleep(0.05)
        go_on.set()
        return await running

    finished = asyncio.run(stop_meanwhile())

    assert (finished.ending.id, finished.ending.state, calls) == (job.id, State.SUCCESSFUL, [State.SUCCESSFUL])


def test_a_discarded_job_is_not_followed(backend: Any) -> None:
    followed.fails.using(discard_for=ValueError).delay()

    assert told(backend) == []


# Told twice, it comes once.


def test_an_attempt_that_is_run_again_after_a_loss_of_its_end_has_no_second_follower(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.succeeds.delay()
    turn = type(backend.broker).turn
    refused: list[object] = []

    def lost(broker: Any, worker: str, endings: Any = (), *rest: Any, **named: Any) -> Any:
        if endings and not refused:
            refused.append(endings)
            raise BrokerUnavailable
        return turn(broker, worker, endings, *rest, **named)

    monkeypatch.setattr(type(backend.broker), "turn", lost)

    assert len(told(backend)) == 1
    assert refused


def test_the_id_of_a_follower_is_made_of_its_job_s() -> None:
    job_id = new_key()

    assert is_id(derived_key(job_id, "on_success", "1"))
    assert derived_key(job_id, "on_success", "1") == derived_key(job_id, "on_success", "1")
    assert len({derived_key(job_id, *words) for words in (("a", "1"), ("a", "2"), ("b", "1"), ("a1",))}) == 4
    assert derived_key(job_id, "a")[:13] == job_id[:13], "it is as old as the job, for those who sort by id"


# Jobs that kill their workers.


def test_the_burial_of_a_job_that_kills_its_workers_is_followed(backend: Any) -> None:
    result = followed.fails.delay()
    for _ in range(3):
        backend.broker.hasten([result.id])
        (held,) = lease(backend, "victim")
        backend.broker.bury("victim", [held.id])
    mirror(backend)
    mirror(backend)

    assert told(backend) == [("exhausted", result.id)]


def test_the_burial_calls_a_function_too(backend: Any) -> None:
    result = followed.calls.delay(fail=True)
    for _ in range(3):
        backend.broker.hasten([result.id])
        lease(backend, "victim")
        backend.broker.bury("victim", [result.id])
    mirror(backend)

    assert followed.told == [("on_exhausted", result.id, State.FAILED)]


@pytest.mark.parametrize(
    ("attempts", "expected"), [(2, ["failure"]), (1, ["failure", "exhausted"])], ids=["to be tried again", "failed"]
)
def test_an_attempt_whose_process_was_killed_for_its_time_is_followed(
    backend: Any, attempts: int, expected: list[str]
) -> None:
    result = followed.fails.using(hard_timeout=9, max_attempts=attempts).delay()
    overrun(backend, result.id)
    mirror(backend)
    mirror(backend)

    assert sorted(told(backend)) == sorted((event, result.id) for event in expected)


def overrun(backend: Any, job_id: str) -> None:
    """End a job's attempt as a parent does that has killed its process."""
    (held,) = lease(backend, "killed.0")
    assert held.id == job_id
    child = Child(1, Board(1), name="killed", overruns=(Overrun(job_id, held.token, 0.0, 1.8e9, ""),))
    assert Overruns(backend, lambda finished: None).settle(child)


def test_an_unknown_task_is_buried_without_followers(
    backend: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    result = followed.fails.delay()
    for _ in range(3):
        backend.broker.hasten([result.id])
        lease(backend, "victim")
        backend.broker.bury("victim", [result.id])
    with monkeypatch.context() as patch:
        patch.setattr(hooks.registry, "get", _unknown)
        mirror(backend)

    assert followed.told == []
    assert f"{result.id}: whether anything follows its end is not known here" in caplog.text


def _unknown(name: str) -> Any:
    raise hooks.UnknownTask(name)


# Mistakes.


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        ("tasks.alert", "'tasks.alert' cannot be called"),
        (lambda: None, r"it cannot be called with 1 argument\(s\)"),
        (followed.two_arguments, r"it cannot be called with 1 argument\(s\)"),
        (followed.async_function, "it is async"),
    ],
)
def test_what_cannot_follow_is_refused_at_import(hook: Any, message: str) -> None:
    with pytest.raises(
        InvalidOption, match=f"on_failure is .* must be a task or a function of one argument: .*{message}"
    ):
        task(on_failure=hook)(followed.plain.func)


def test_an_async_method_is_refused_at_import() -> None:
    with pytest.raises(InvalidOption, match="it is async"):
        type("Odd", (BaseTask,), {"task_name": "odd", "run": lambda self: None, "on_success": followed.async_method})


def test_tasks_with_functions_can_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(followed.calls)).on_success is followed.calls.on_success  # noqa: S301


def test_a_function_does_not_travel() -> None:
    with pytest.raises(InvalidOption, match="set on_failure on the task, not by using"):
        followed.plain.using(on_failure=print)


def test_a_hook_may_ask_for_the_handle_of_the_job_it_was_told_of(backend: Any) -> None:
    result: TaskResult[Any] = followed.succeeds.delay()
    ((_, job_id),) = told(backend)

    assert backend.get_result(job_id).id == result.id
