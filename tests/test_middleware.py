"""The project's own code around jobs."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks

from django_backie import compat
from django_backie.core.states import State
from django_backie.exceptions import ConfigurationError
from tests.app import onions
from tests.app.tasks import aadd, add, attempt_of, echo, fail
from tests.helpers import drain, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def wrapped(settings: Any, backend: Any) -> Callable[..., Any]:
    """Return a function that names classes of ``tests.app.onions`` as middleware and returns the backend."""
    onions.seen.clear()

    def wrap(*names: str) -> Any:
        tasks = copy.deepcopy(settings.TASKS)
        tasks["default"]["OPTIONS"]["MIDDLEWARE"] = [f"tests.app.onions.{name}" for name in names]
        settings.TASKS = tasks
        return compat.get_backend("default")

    return wrap


def test_jobs_are_made_and_run_from_the_outside_in(wrapped: Callable[..., Any]) -> None:
    backend = wrapped("Outer", "Inner")
    result = add.delay(1, 2)
    drain(backend)
    result.refresh()

    assert result.return_value == 3
    assert onions.seen == [
        *("outer makes add", "inner makes add"),
        *("outer before", "inner before", "inner after", "outer after"),
    ]


def test_async_tasks_are_run_inside_the_async_twins(wrapped: Callable[..., Any]) -> None:
    backend = wrapped("Outer", "Inner")
    result = aadd.delay(1, 2)
    drain(backend)
    result.refresh()

    assert result.return_value == 3
    assert onions.seen[2:] == ["outer before", "inner before", "inner after", "outer after"]


def test_async_code_makes_jobs_through_the_same_onion(wrapped: Callable[..., Any]) -> None:
    wrapped("Outer")
    asyncio.run(add.adelay(1, 2))

    assert onions.seen == ["outer makes add"]


def test_each_job_of_many_goes_through(wrapped: Callable[..., Any]) -> None:
    wrapped("Outer")
    add.delay_many([(1, 2), (3, 4)])

    assert onions.seen == ["outer makes add"] * 2


def test_a_job_may_be_changed_on_both_ways(wrapped: Callable[..., Any]) -> None:
    backend = wrapped("Doubling")
    result = add.delay(1, 2)
    drain(backend)
    mirror(backend)
    result.refresh()

    assert result.return_value == 12
    assert backend.get_result(result.id).task.queue_name == "doubled"


def test_the_context_stays_the_first_argument(wrapped: Callable[..., Any]) -> None:
    backend = wrapped("Outer")
    result = attempt_of.delay()
    drain(backend)
    result.refresh()

    assert result.return_value == {"attempt": 1, "id": result.id}


def test_what_it_raises_when_a_job_is_made_reaches_the_caller_and_no_job_is_made(wrapped: Callable[..., Any]) -> None:
    backend = wrapped("Forbidding")
    with pytest.raises(PermissionError, match="no secrets"):
        echo.delay_many([("open",), ("secret",)])

    assert backend.broker.take(10) == []


def test_what_it_raises_in_the_worker_is_the_attempt_s_failure(wrapped: Callable[..., Any]) -> None:
    backend = wrapped("Forbidding")
    result = fail.using(max_attempts=1).delay()
    drain(backend)
    result.refresh()

    assert result.state is State.FAILED
    assert result.errors[0].exception_class_path == "builtins.PermissionError"


def test_what_the_task_raises_passes_through_it(wrapped: Callable[..., Any]) -> None:
    backend = wrapped("Outer")
    result = fail.using(max_attempts=1).delay()
    drain(backend)
    result.refresh()

    assert result.errors[0].exception_class_path == "builtins.ValueError"
    assert onions.seen[1:] == ["outer before", "outer after"]


def test_one_that_forgets_the_job_is_named(wrapped: Callable[..., Any]) -> None:
    wrapped("Forgetful")
    with pytest.raises(TypeError, match=r"Forgetful.enqueue\(\) returned None; it must return what call_next"):
        add.delay(1, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"database": "other"}, "Changing.enqueue.. changed database; it may change args, kwargs, queue, priority"),
        ({"id": "x"}, "changed id"),
        ({"task": "tests.app.tasks.echo"}, "changed task"),
        ({"priority": 101}, "queue 'default' and priority 101, of which one cannot be"),
        ({"queue": ""}, "queue '' and priority 0, of which one cannot be"),
    ],
)
def test_what_would_not_work_later_is_refused_now(
    wrapped: Callable[..., Any], changes: dict[str, Any], message: str
) -> None:
    backend = wrapped("Changing")
    onions.Changing.changes = changes
    with pytest.raises((TypeError, ValueError), match=message):
        add.delay(1, 2)
    assert backend.broker.take(10) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Missing", r"MIDDLEWARE names 'tests.app.onions.Missing', which cannot be loaded: .*Missing"),
        ("NeedsArguments", r"'tests.app.onions.NeedsArguments', which cannot be loaded: .*url"),
        ("list.copy", r"which cannot be loaded"),
        ("dict", r"which cannot be loaded"),
    ],
)
def test_what_cannot_be_loaded_is_named(wrapped: Callable[..., Any], name: str, message: str) -> None:
    backend = wrapped(name)
    with pytest.raises(ConfigurationError, match=message):
        add.delay(1, 2)
    assert backend.broker.take(10) == []


def test_a_class_of_another_kind_is_named(settings: Any, wrapped: Callable[..., Any]) -> None:
    wrapped()
    settings.TASKS["default"]["OPTIONS"]["MIDDLEWARE"] = [
        "django.middleware.common.BrokenLinkEmailsMiddleware",
        "builtins.dict",
    ]
    tasks = copy.deepcopy(settings.TASKS)
    tasks["default"]["OPTIONS"]["MIDDLEWARE"] = ["builtins.dict"]
    settings.TASKS = tasks

    with pytest.raises(ConfigurationError, match=r"'builtins.dict', which is no subclass of"):
        add.delay(1, 2)


def checked(settings: Any) -> list[str]:
    """Return the ids and texts of our messages."""
    ours = {"django_backie.E010", "django_backie.W008"}
    return [f"{message.id} {message.msg}" for message in run_checks() if message.id in ours]


def test_manage_py_check_tells_what_cannot_be_loaded(settings: Any, wrapped: Callable[..., Any]) -> None:
    wrapped("Missing")

    (message,) = checked(settings)
    assert message.startswith("django_backie.E010 TASKS['default']['OPTIONS']: MIDDLEWARE names 'tests.app.onions.Mis")


def test_manage_py_check_tells_of_one_that_does_not_see_async_tasks(settings: Any, wrapped: Callable[..., Any]) -> None:
    wrapped("Outer", "Doubling")

    (message,) = checked(settings)
    assert message == (
        "django_backie.W008 TASKS['default']['OPTIONS']: Doubling has run() but not arun(): "
        "it does not see async tasks."
    )
