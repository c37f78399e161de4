"""Task: a function plus its default options."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Generic, ParamSpec, TypeVar, Unpack, cast

from asgiref.sync import sync_to_async
from django.utils.module_loading import import_string

from . import compat, registry
from .calls import Call, as_call, refuse_wrong_keys, signature_of
from .core.limits import Adaptive, Rate
from .core.options import (
    BackoffFunction,
    Durability,
    ErrorClasses,
    Hook,
    KeyOption,
    LimitKey,
    UniqueOption,
    UsingOptions,
    Weight,
)
from .core.timetable import Schedule
from .core.unique import By
from .exceptions import InvalidOption
from .result import TaskResult
from .task_options import (
    OFF,
    OWN_OPTIONS,
    checked,
    is_function,
    refuse_functions,
    refuse_late_kill,
    refuse_overlap_beside,
    refuse_unknown,
    refuse_what_cannot_be_atomic,
    refuse_what_needs_arguments,
)

P = ParamSpec("P")
R = TypeVar("R")

# The attribute that marks a function as standing for a class with a run() method.
CLASS_FORM = "django_backie_class"

# Options with a parameter of their own.
OTHERS = ("priority", "backend", "queue_name", "run_after", "takes_context", "database")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(compat.Task, Generic[P, R]):  # type: ignore[type-arg]
    """A function that can be run by a worker, with its default options.

    A subclass of django.tasks' ``Task``: ``enqueue()``, ``using()``, ``get_result()`` and ``call()`` are Django's, with
    more options. An option that is None is taken from the settings when a job is made.
    """

    # Django's own fields again, because Django 6.0 has no defaults for them.
    priority: int = 0
    backend: str = compat.DEFAULT_TASK_BACKEND_ALIAS
    queue_name: str = compat.DEFAULT_TASK_QUEUE_NAME
    run_after: Any = None  # a datetime, or a timedelta from the enqueueing on
    max_attempts: int | None = None
    backoff: float | tuple[float, ...] | BackoffFunction | None = None
    retry_for: ErrorClasses | None = None
    discard_for: ErrorClasses | None = None
    timeout: float | timedelta | None = None
    hard_timeout: float | timedelta | None = None
    expires: float | timedelta | datetime | None = None  # from the enqueueing on; a datetime by using() only
    durability: Durability | None = None
    atomic: bool = False
    sensitive: bool | tuple[str, ...] = False
    coalesce: KeyOption = False
    unique: UniqueOption = False
    concurrency: int | Adaptive | None = None
    concurrency_key: LimitKey = False
    rate_limit: str | Rate | None = None
    rate_key: LimitKey = False
    fair_by: By = False
    fair_weight: Weight | None = None
    on_success: Hook | None = None
    on_failure: Hook | None = None
    on_exhausted: Hook | None = None
    schedule: Schedule | None = None
    expose: bool = False  # Whether people may name the task in schedules that they write.
    database: str | None = None
    task_name: str | None = None
    native: bool = False  # Made by our own decorator, whose jobs are retried by default.

    # No zero-argument super() in here: slots=True rebuilds the class.
    def __post_init__(self) -> None:
        self._normalise_options()
        compat.Task.__post_init__(self)
        registry.register(self.job_name, self)

    def _normalise_options(self) -> None:
        for name in OWN_OPTIONS:
            value = getattr(self, name)
            if value is None or (value is False and name in OFF):
                continue
            if not (name == "expires" and isinstance(value, datetime)):
                object.__setattr__(self, name, checked(self.module_path, name, value))
        refuse_wrong_keys(self)
        refuse_late_kill(self.module_path, self.timeout, self.hard_timeout)
        if self.schedule is not None:
            refuse_what_needs_arguments(self.module_path, self.signature)
            refuse_overlap_beside(self.module_path, self.schedule, self)
        if self.atomic:
            refuse_what_cannot_be_atomic(self.module_path, self.func, self.durability)

    def __reduce__(self) -> Any:
        """Let tasks and results be pickled, as from Django 6.1 on; the function travels as its path."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        kept = {name: value for name, value in values.items() if not is_function(name, value)}
        return _rebuilt, ({**kept, "func": self.module_path},)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now, as if it were not decorated."""
        return cast(R, self.func(*args, **kwargs))

    @property
    def job_name(self) -> str:
        """Return the name under which jobs refer to this task."""
        return self.task_name or self.module_path

    @property
    def signature(self) -> inspect.Signature:
        """Return the signature that a caller must fit: without the context."""
        return signature_of(self.func, self.takes_context)

    def get_backend(self) -> Any:
        """Return the backend of this task's alias."""
        return compat.get_backend(self.backend)

    def using(
        self,
        *,
        priority: int | None = None,
        queue_name: str | None = None,
        run_after: datetime | timedelta | None = None,
        backend: str | None = None,
        database: str | None = None,
        **options: Unpack[UsingOptions],
    ) -> Task[P, R]:
        """Return this task with other options.

        Args:
            run_after: the earliest time to run, or how long after enqueueing.
            expires: when the job is not needed any more unless it has begun, or how long after enqueueing.
            database: the alias whose transaction the jobs belong to, and whose job table holds them.

        Raises:
            InvalidOption: an option does not exist or has a wrong value.
        """
        refuse_unknown(self.job_name, options, OTHERS)
        refuse_functions(self.job_name, options)
        changes: dict[str, Any] = {"priority": priority, "queue_name": queue_name, "run_after": run_after}
        changes |= {"backend": backend, "database": database, **options}
        return replace(self, **{name: value for name, value in changes.items() if value is not None})

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """Make a job of this call; it takes effect when the transaction commits.

        Raises:
            InvalidArguments: the arguments do not fit the signature.
            UnserializableValue, PayloadTooLarge: they cannot travel.
            BrokerUnavailable: Redis is down and the durability is not ``outbox``.
        """
        return cast("TaskResult[R]", self._submit([(args, kwargs)])[0])

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """See ``delay``."""
        return cast("TaskResult[R]", (await _in_thread(self._submit, [(args, kwargs)]))[0])

    def delay_many(self, calls: Iterable[Sequence[Any] | Mapping[str, Any]]) -> list[TaskResult[R]]:
        """Make one job for each call, all in one push.

        Args:
            calls: for each job its positional arguments as a sequence, or its keyword arguments as a mapping.
        """
        return cast("list[TaskResult[R]]", self._submit([as_call(call) for call in calls]))

    async def adelay_many(self, calls: Iterable[Sequence[Any] | Mapping[str, Any]]) -> list[TaskResult[R]]:
        """See ``delay_many``."""
        return cast("list[TaskResult[R]]", await _in_thread(self._submit, [as_call(call) for call in calls]))

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """Make a job of this call, by django.tasks' name; ``ENQUEUE_ON_COMMIT`` says when it takes effect."""
        return cast("TaskResult[R]", self.get_backend().enqueue(self, args, kwargs))

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """See ``enqueue``."""
        return cast("TaskResult[R]", await self.get_backend().aenqueue(self, args, kwargs))

    def get_result(self, result_id: str) -> TaskResult[R]:
        """Return the handle of one of this task's jobs.

        Raises:
            TaskResultDoesNotExist: no such job.
            TaskResultMismatch: the job is another task's.
        """
        return cast("TaskResult[R]", compat.Task.get_result(self, result_id))

    async def aget_result(self, result_id: str) -> TaskResult[R]:
        """See ``get_result``."""
        return cast("TaskResult[R]", await compat.Task.aget_result(self, result_id))

    def call(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function here and now; an async one is run to its end."""
        return cast(R, compat.Task.call(self, *args, **kwargs))

    async def acall(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """See ``call``."""
        return cast(R, await compat.Task.acall(self, *args, **kwargs))

    def _submit(self, calls: list[Call]) -> list[Any]:
        backend = self.get_backend()
        if not hasattr(backend, "submit"):  # Some other backend of TASKS: it knows enqueue() only.
            return [backend.enqueue(self, list(args), kwargs) for args, kwargs in calls]
        return cast("list[Any]", backend.submit(self, calls))


def _rebuilt(values: dict[str, Any]) -> Task[..., Any]:
    found = import_string(values["func"])
    found = found.as_task() if hasattr(found, "as_task") else found
    if not isinstance(found, compat.Task):
        raise InvalidOption(f"{values['func']!r} is not a task")
    return replace(found if isinstance(found, Task) else Task(func=found.func), **{**values, "func": found.func})


_in_thread = sync_to_async(lambda submit, calls: submit(calls), thread_sensitive=True)
