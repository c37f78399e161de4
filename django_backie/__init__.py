"""Background jobs for Django: Redis speed with the database's guarantees."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .base_task import BaseTask
    from .core.limits import Adaptive, Rate, Shared
    from .core.timetable import cron, every
    from .core.unique import Unique
    from .decorator import task
    from .exceptions import Cancel, Discard, Retry, Snooze
    from .seed import Broker, Worker
    from .task_definition import Task
    from .worker.context import TaskContext

__version__ = "0.1.0"

__all__ = [
    "Adaptive",
    "BaseTask",
    "Broker",
    "Cancel",
    "Discard",
    "Rate",
    "Retry",
    "Shared",
    "Snooze",
    "Task",
    "TaskContext",
    "Unique",
    "Worker",
    "cron",
    "every",
    "task",
]

# Lazy (PEP 562): a project's settings and tasks.py import from here before the apps are ready.
_HOMES = {
    "Adaptive": ".core.limits",
    "BaseTask": ".base_task",
    "Broker": ".seed",
    "Cancel": ".exceptions",
    "Discard": ".exceptions",
    "Rate": ".core.limits",
    "Retry": ".exceptions",
    "Shared": ".core.limits",
    "Snooze": ".exceptions",
    "Task": ".task_definition",
    "TaskContext": ".worker.context",
    "Unique": ".core.unique",
    "Worker": ".seed",
    "cron": ".core.timetable",
    "every": ".core.timetable",
    "task": ".decorator",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
