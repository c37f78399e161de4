"""Task names and the tasks they stand for. A worker runs what is registered here and nothing else."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from django.utils.module_loading import autodiscover_modules

from .exceptions import UnknownTask, did_you_mean


class Registered(Protocol):
    """What the registry needs to know of a task."""

    @property
    def func(self) -> Callable[..., Any]:
        """Return the task's function."""

    @property
    def queue_name(self) -> str:
        """Return the queue of its jobs."""


_tasks: dict[str, Any] = {}
_rivals: dict[str, set[str]] = {}


def register(name: str, task: Registered) -> None:
    """Add a task under its name. The first definition stays.

    Another function of the same name is noted as its rival.
    """
    known = _tasks.setdefault(name, task)
    if known is not task and _origin(known) != _origin(task):
        _rivals.setdefault(name, {_origin(known)}).add(_origin(task))
    elif known is not task and known.func is not task.func:
        # The module was loaded again: its newest definition counts.
        _tasks[name] = task


def get(name: str) -> Any:
    """Return the task of a name.

    Raises:
        UnknownTask: no task of this name; names the nearest one.
    """
    try:
        return _tasks[name]
    except KeyError:
        msg = f"no task is registered as {name!r}{did_you_mean(name, _tasks)}"
        raise UnknownTask(msg) from None


def names() -> list[str]:
    """Return every registered name, sorted."""
    return sorted(_tasks)


def queues() -> list[str]:
    """Return every queue that a registered task names, sorted."""
    return sorted({task.queue_name for task in _tasks.values()})


def duplicates() -> dict[str, list[str]]:
    """Return the names that more than one function claims, and where these are defined."""
    return {name: sorted(rivals) for name, rivals in sorted(_rivals.items())}


def discover(modules: Iterable[str] = ()) -> list[str]:
    """Import ``tasks.py`` of every installed app and the further modules; return all names.

    An app without ``tasks.py`` is passed over; an error inside one is not.
    """
    autodiscover_modules("tasks")
    for module in modules:
        importlib.import_module(module)
    return names()


def _origin(task: Registered) -> str:
    return f"{task.func.__module__}.{task.func.__qualname__}"
