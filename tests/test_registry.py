"""Task names and the tasks they stand for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from django_backie import registry
from django_backie.exceptions import UnknownTask

# An app's tasks are registered when its module is first imported: that must not happen in a registry of one test.
discovered = registry.discover()


def first() -> None: ...


def second() -> None: ...


def task_of(func: Any, queue: str = "default") -> SimpleNamespace:
    return SimpleNamespace(func=func, queue_name=queue)


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_tasks", {})
    monkeypatch.setattr(registry, "_rivals", {})


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """Return an importable module that is forgotten afterwards."""
    made = ModuleType("surprising_jobs")
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


def test_a_task_is_found_by_its_name() -> None:
    task = task_of(first)
    registry.register("shop.first", task)

    assert registry.get("shop.first") is task
    assert registry.names() == ["shop.first"]


def test_an_unknown_name_names_the_nearest() -> None:
    registry.register("shop.tasks.send_mail", task_of(first))

    with pytest.raises(
        UnknownTask, match=r"registered as 'shop.tasks.send_mial', did you mean 'shop.tasks.send_mail'\?"
    ):
        registry.get("shop.tasks.send_mial")


def test_a_name_like_no_other_has_no_nearest() -> None:
    with pytest.raises(UnknownTask, match=r"registered as 'nothing'$"):
        registry.get("nothing")


def test_the_first_of_two_functions_stays_and_both_are_told() -> None:
    task = task_of(first)
    registry.register("send", task)
    registry.register("send", task_of(second))

    assert registry.get("send") is task
    assert registry.duplicates() == {"send": [f"{__name__}.first", f"{__name__}.second"]}


def test_registering_the_same_task_twice_is_no_duplicate() -> None:
    task = task_of(first)
    registry.register("send", task)
    registry.register("send", task)

    assert registry.duplicates() == {}


def test_a_variant_of_the_same_function_does_not_replace_the_task() -> None:
    task = task_of(first)
    registry.register("send", task)
    registry.register("send", task_of(first, queue="other"))

    assert registry.get("send") is task
    assert registry.duplicates() == {}


def test_the_newest_definition_counts_when_a_module_is_loaded_again() -> None:
    def again() -> None: ...

    again.__qualname__ = "first"
    registry.register("send", task_of(first))
    newest = task_of(again)
    registry.register("send", newest)

    assert registry.get("send") is newest
    assert registry.duplicates() == {}


def test_every_named_queue_is_told_once() -> None:
    registry.register("a", task_of(first, queue="mail"))
    registry.register("b", task_of(second, queue="mail"))
    registry.register("c", task_of(second, queue="default"))

    assert registry.queues() == ["default", "mail"]


def test_tasks_of_installed_apps_are_discovered() -> None:
    assert "tests.app.tasks.add" in discovered


def test_further_modules_are_imported(module: ModuleType) -> None:
    assert registry.discover(["surprising_jobs"]) == registry.names()


def test_a_further_module_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        registry.discover(["no_such_module_anywhere"])
