"""django.tasks, or its backport on Django 5.2: the only module that imports either."""

from __future__ import annotations

import contextlib
import logging
import weakref
from typing import Any

import django
from django.core.signals import setting_changed
from django.dispatch import Signal
from django.utils.module_loading import import_string

HAS_CORE = django.VERSION >= (6, 0)  # mypy is told that it is true

try:
    if HAS_CORE:
        from django.tasks import (
            DEFAULT_TASK_BACKEND_ALIAS,
            DEFAULT_TASK_QUEUE_NAME,
            TaskContext,
            TaskResult,
            TaskResultStatus,
            checks,
            task_backends,
        )
        from django.tasks import signals as task_signals
        from django.tasks.backends.base import BaseTaskBackend
        from django.tasks.base import TASK_REFRESH_ATTRS, Task, TaskError
        from django.tasks.exceptions import (
            InvalidTask,
            InvalidTaskBackend,
            TaskResultDoesNotExist,
            TaskResultMismatch,
        )
    else:
        from django_tasks import (
            DEFAULT_TASK_BACKEND_ALIAS,
            DEFAULT_TASK_QUEUE_NAME,
            TaskContext,
            TaskResult,
            TaskResultStatus,
            checks,
            task_backends,
        )
        from django_tasks import signals as task_signals
        from django_tasks.backends.base import BaseTaskBackend
        from django_tasks.base import (
            TASK_REFRESH_ATTRS,
            Task,
            TaskError,
        )
        from django_tasks.exceptions import (
            InvalidTaskBackendError as InvalidTaskBackend,
        )
        from django_tasks.exceptions import (
            InvalidTaskError as InvalidTask,
        )
        from django_tasks.exceptions import (
            TaskResultDoesNotExist,
            TaskResultMismatch,
        )
except ModuleNotFoundError as error:  # pragma: no cover - seen only without the backport
    if error.name != "django_tasks":
        raise
    msg = (
        "Django before 6.0 has no django.tasks; install its backport: "
        "pip install 'django-backie[backport]' (or django-tasks)."
    )
    raise ModuleNotFoundError(msg, name="django_tasks") from error

__all__ = [
    "DEFAULT_TASK_BACKEND_ALIAS",
    "DEFAULT_TASK_QUEUE_NAME",
    "TASK_REFRESH_ATTRS",
    "BaseTaskBackend",
    "InvalidTask",
    "InvalidTaskBackend",
    "Task",
    "TaskContext",
    "TaskError",
    "TaskResult",
    "TaskResultDoesNotExist",
    "TaskResultMismatch",
    "TaskResultStatus",
    "checks",
    "configured_aliases",
    "default_alias",
    "get_backend",
    "has_receivers",
    "is_heard",
    "task_backends",
    "task_signals",
]

IMPLICIT_ALIAS = "backie"
# django.tasks logs each of its signals through a receiver of its own, to its package's logger.
_OWN_RECEIVERS = 1
LOGGER = logging.getLogger("django.tasks" if HAS_CORE else "django_tasks")
BACKEND_PATH = "django_backie.backend.RedisBackend"

# Serves the alias that exists without any TASKS setting. The backport's handler reads an empty mapping as "not set",
# hence a handler of our own with explicit settings.
_implicit = type(task_backends)({IMPLICIT_ALIAS: {"BACKEND": BACKEND_PATH, "QUEUES": []}})


def is_heard(signal: Signal, level: int) -> bool:
    """Tell whether anybody would notice one of django.tasks' signals, given the level at which Django logs it."""
    return LOGGER.isEnabledFor(level) or has_receivers(signal)


def has_receivers(signal: Signal) -> bool:
    """Tell whether a signal has receivers besides django.tasks' own."""
    receivers = signal.receivers
    return len(receivers) > _OWN_RECEIVERS or (bool(receivers) and not _is_djangos(receivers[0][1]))


def _is_djangos(receiver: Any) -> bool:
    function = receiver() if isinstance(receiver, weakref.ReferenceType) else receiver
    return getattr(function, "__module__", "") == task_signals.__name__


def configured_aliases() -> dict[str, dict[str, Any]]:
    """Return the TASKS setting in force, Django's default included."""
    return dict(task_backends.settings)


def get_backend(alias: str) -> Any:
    """Return the task backend of an alias; the implicit alias needs no TASKS setting.

    Raises:
        InvalidTaskBackend: no such alias, or its backend cannot be imported.
    """
    if alias == IMPLICIT_ALIAS and alias not in task_backends.settings:
        return _implicit[alias]
    return task_backends[alias]


def default_alias() -> str:
    """Return the first alias of TASKS whose backend is one of ours, else the implicit alias."""
    return next(iter(_ours()), IMPLICIT_ALIAS)


def own_aliases() -> list[str]:
    """Return every alias that django-backie serves through Redis; the implicit one if TASKS names none of ours."""
    ours = _ours()
    return [alias for alias, uses_redis in ours.items() if uses_redis] if ours else [IMPLICIT_ALIAS]


def _ours() -> dict[str, bool]:
    """Return the aliases whose backend is a class of ours or derived from one, and whether it uses Redis."""
    found = {}
    for alias, params in configured_aliases().items():
        try:
            uses_redis = getattr(import_string(params.get("BACKEND", "")), "uses_redis", None)
        except ImportError:
            continue  # django.tasks tells of it when the alias is used
        if uses_redis is not None:
            found[alias] = bool(uses_redis)
    return found


def _forget_implicit(*, setting: str, **_: object) -> None:
    if setting in {"TASKS", "SECRET_KEY", "DATABASES"}:
        _implicit.__dict__.pop("settings", None)
        with contextlib.suppress(AttributeError):
            del _implicit[IMPLICIT_ALIAS]


setting_changed.connect(_forget_implicit, dispatch_uid="django_backie.compat")
