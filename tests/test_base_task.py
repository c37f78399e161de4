"""The class form."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from django_backie import BaseTask, Task, compat, registry
from django_backie.exceptions import InvalidArguments, InvalidOption
from django_backie.testing import Capture
from django_backie.testing.plugin import backie
from tests.contract_tasks import SEEN, AsyncGreet, Greet
from tests.helpers import drain

__all__ = ["backie"]


@pytest.fixture(autouse=True)
def _registry(monkeypatch: Any) -> None:
    monkeypatch.setattr(registry, "_tasks", dict(registry._tasks))
    monkeypatch.setattr(registry, "_rivals", {})


def test_jobs_bear_the_task_name_and_never_a_path(backie: Capture) -> None:
    result = Greet().delay("you")
    assert isinstance(result.task, Task)
    assert result.task.job_name == "greet"
    assert registry.get("greet") is Greet.as_task()


def test_the_queue_is_named_after_the_task_unless_told_otherwise() -> None:
    assert Greet.as_task().queue_name == "greet"
    assert AsyncGreet.as_task().queue_name == "greetings"


def test_class_attributes_are_options() -> None:
    mine = AsyncGreet.as_task()
    assert (mine.priority, mine.max_attempts) == (7, 2)


def test_each_job_runs_on_an_instance_of_its_own(backie: Capture) -> None:
    result = Greet().delay("you")
    backie.drain()
    assert result.return_value == "hello you"


def test_run_may_be_a_coroutine(backie: Capture) -> None:
    result = AsyncGreet().delay("you")
    backie.drain()
    assert result.return_value == "hello you"


@pytest.mark.django_db(databases=["default", "other"])
def test_a_worker_runs_both_forms(backend: Any) -> None:
    SEEN.clear()
    results = [kind().using(durability="now").delay("you") for kind in (Greet, AsyncGreet)]
    drain(backend)
    for result in results:
        result.refresh()
    assert [result.return_value for result in results] == ["hello you"] * 2
    assert Greet().get_result(results[0].id).status == "SUCCESSFUL"
    assert SEEN == ["you"]


def test_every_way_to_enqueue_is_there(backie: Capture) -> None:
    greet = Greet()

    async def view() -> list[Any]:
        first = [await greet.adelay("a"), await greet.aenqueue("b"), *await greet.adelay_many([("c",)])]
        return [*first, await greet.aget_result(first[0].id)]

    results = [greet.delay("d"), greet.enqueue("e"), *greet.delay_many([("f",), {"name": "g"}]), *asyncio.run(view())]
    assert len({result.id for result in results}) == 7
    assert len(backie.jobs) == 7
    assert greet.call("you") == "hello you"
    assert greet.using(run_after=dt.timedelta(1), priority=2).delay("x").task.priority == 2


def test_arguments_must_fit_run(backie: Capture) -> None:
    with pytest.raises(InvalidArguments, match=r"greet\(name: "):
        Greet().delay("you", "me")  # type: ignore[call-arg]


def test_a_class_without_a_name_cannot_be_used() -> None:
    class Nameless(BaseTask[[], None]):
        def run(self) -> None: ...

    with pytest.raises(ValueError, match=r"Nameless\.task_name should be set"):
        Nameless()


def test_a_class_without_run_cannot_be_used() -> None:
    class Idle(BaseTask[[], None]):
        task_name = "idle"

    with pytest.raises(TypeError, match="run"):
        Idle()  # type: ignore[abstract]
    with pytest.raises(LookupError):
        registry.get("idle")


def test_a_wrong_option_is_refused_at_definition() -> None:
    with pytest.raises(InvalidOption, match="max_attempts is 0"):

        class Wrong(BaseTask[[], None]):
            task_name = "wrong"
            max_attempts = 0

            def run(self) -> None: ...


def test_time_limits_that_contradict_each_other_are_refused_at_definition() -> None:
    with pytest.raises(InvalidOption, match=r"hard_timeout is 5 and timeout is 60\.0: the hard one must be larger"):

        class Hasty(BaseTask[[], None]):
            task_name = "hasty"
            timeout = dt.timedelta(minutes=1)
            hard_timeout = 5

            def run(self) -> None: ...


def test_a_class_inside_a_function_is_refused() -> None:
    with pytest.raises(compat.InvalidTask, match="module level"):

        class Inner(BaseTask[[], None]):
            task_name = "inner"

            def run(self) -> None: ...


def test_two_classes_of_one_name_are_noted_for_the_checks() -> None:
    class First(BaseTask[[], None]):
        __qualname__ = "First"
        task_name = "same"

        def run(self) -> None: ...

    class Second(BaseTask[[], None]):
        __qualname__ = "Second"
        task_name = "same"

        def run(self) -> None: ...

    assert list(registry.duplicates()) == ["same"]
    assert registry.get("same") is First.as_task()
    assert Second.as_task() is not First.as_task()


def test_a_subclass_with_a_name_of_its_own_is_a_task_of_its_own(backie: Capture) -> None:
    class Loud(Greet):
        __qualname__ = "Loud"
        task_name = "loud"

        def run(self, name: str) -> str:
            return super().run(name).upper()

    result = Loud().delay("you")
    backie.drain()
    assert (result.return_value, result.task.queue_name) == ("HELLO YOU", "loud")
