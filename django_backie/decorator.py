"""The decorator that makes a task of a function."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, Unpack, overload

from . import compat
from .core.options import TaskOptions
from .task_definition import OTHERS, Task
from .task_options import refuse_unknown

P = ParamSpec("P")
R = TypeVar("R")


@overload
def task(function: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, R]: ...
@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    priority: int = ...,
    queue_name: str = ...,
    backend: str | None = ...,
    takes_context: Literal[True],
    **options: Unpack[TaskOptions],
) -> Callable[[Callable[Concatenate[Any, P], R]], Task[P, R]]: ...
@overload
def task(
    *,
    priority: int = ...,
    queue_name: str = ...,
    backend: str | None = ...,
    takes_context: Literal[False] = ...,
    **options: Unpack[TaskOptions],
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    priority: int = 0,
    queue_name: str = compat.DEFAULT_TASK_QUEUE_NAME,
    backend: str | None = None,
    takes_context: bool = False,
    **options: Unpack[TaskOptions],
) -> Any:
    """Make a task of a function.

    Args:
        priority: -100 (last) to 100 (first).
        backend: an alias of TASKS; by default the first that django-backie serves.
        takes_context: hand the function a ``TaskContext`` as its first argument, ``context``.
        max_attempts: how often to try, the first time included; 5 by default.
        backoff: seconds before the first retry, doubling (15 by default); a list of seconds; or a function of the
            exception and the task result that returns seconds, or None for no further attempt.
        retry_for: exception classes after which to try again; by default all.
        discard_for: exception classes that say that the job is not needed any more; it ends as cancelled.
        timeout: seconds or timedelta until ``TaskTimeout`` is raised in an attempt; one hour by default.
        hard_timeout: the same until the process of an attempt is killed, whatever it does; never by default.
        schedule: make a job at certain times: a cron expression, ``every(...)``, ``cron(...)`` or a timedelta.
        expose: let people name the task in schedules that they write as rows; never by default.
        expires: seconds or timedelta from the enqueueing on, after which the job is cancelled unless it has begun.
        durability: ``"outbox"`` (default), ``"commit"`` or ``"now"``.
        atomic: run in one transaction with the job's own end: effects in its database happen exactly once.
        sensitive: argument names to hide from people, or True for all.
        coalesce: make one job of all calls of a transaction with the same arguments, or with the same of those named,
            or for which a function of the arguments returns the same. ``unique``: of all such calls while it is there.
        concurrency, concurrency_key: how many jobs may run at once, of the task or of each key: arguments by name, a
            function of them, or ``Shared`` with other tasks. ``rate_limit``, ``rate_key``: how many may start in a
            time, such as ``"100/m"``.
        fair_by, fair_weight: whose jobs take turns in their queue, as a tenant's by ``"tenant_id"``, and how many of
            them in a turn; 1 by default.
        on_success, on_failure, on_exhausted: what follows when the job has succeeded, when an attempt has failed, when
            no attempt is left: a task, which gets the job's id, or a function, which gets its ``TaskResult``.

    Raises:
        InvalidOption: an option does not exist or has a wrong value.
        InvalidTask: the function cannot be a task: nested, a lambda, a method.
    """
    refuse_unknown(getattr(function, "__name__", "@task"), options, OTHERS)

    def decorate(func: Callable[..., Any]) -> Task[..., Any]:
        return Task(
            func=func,
            priority=priority,
            queue_name=queue_name,
            backend=backend or compat.default_alias(),
            takes_context=takes_context,
            native=True,
            **options,  # type: ignore[arg-type]
        )

    return decorate if function is None else decorate(function)
