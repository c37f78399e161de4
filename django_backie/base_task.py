"""The class form of a task: a subclass of ``BaseTask`` with a name and a ``run`` method."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, Unpack, cast

from . import compat
from .core.options import UsingOptions
from .result import TaskResult
from .task_definition import CLASS_FORM, Task
from .task_options import OWN_OPTIONS

P = ParamSpec("P")
R = TypeVar("R")

_DJANGO_OPTIONS = ("priority", "takes_context", "queue_name")


class BaseTask(ABC, Generic[P, R]):
    """A task written as a class: set ``task_name``, write ``run``, call ``delay``.

    Any option of ``@task`` may be a class attribute. Jobs bear ``task_name``, never a module path, so a producer may be
    run as ``__main__``; their queue is named after it too unless ``queue_name`` says otherwise.
    """

    task_name: ClassVar[str] = ""
    _task: ClassVar[Task[..., Any]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.task_name and getattr(cls.run, "__isabstractmethod__", False) is False:
            cls._task = _task_of(cls)

    def __init__(self) -> None:
        if not self.task_name:
            msg = f"{type(self).__qualname__}.task_name should be set"
            raise ValueError(msg)

    @abstractmethod
    def run(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Do the work."""

    @classmethod
    def as_task(cls) -> Task[P, R]:
        """Return the ``Task`` that stands for this class."""
        return cast("Task[P, R]", cls._task)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """See ``Task.delay``."""
        return self.as_task().delay(*args, **kwargs)

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """See ``Task.adelay``."""
        return await self.as_task().adelay(*args, **kwargs)

    def delay_many(self, calls: Iterable[Sequence[Any] | Mapping[str, Any]]) -> list[TaskResult[R]]:
        """See ``Task.delay_many``."""
        return self.as_task().delay_many(calls)

    async def adelay_many(self, calls: Iterable[Sequence[Any] | Mapping[str, Any]]) -> list[TaskResult[R]]:
        """See ``Task.adelay_many``."""
        return await self.as_task().adelay_many(calls)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """See ``Task.enqueue``."""
        return self.as_task().enqueue(*args, **kwargs)

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """See ``Task.aenqueue``."""
        return await self.as_task().aenqueue(*args, **kwargs)

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
        """See ``Task.using``."""
        return self.as_task().using(
            priority=priority,
            queue_name=queue_name,
            run_after=run_after,
            backend=backend,
            database=database,
            **options,
        )

    def get_result(self, result_id: str) -> TaskResult[R]:
        """See ``Task.get_result``."""
        return self.as_task().get_result(result_id)

    async def aget_result(self, result_id: str) -> TaskResult[R]:
        """See ``Task.aget_result``."""
        return await self.as_task().aget_result(result_id)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """See ``Task.call``."""
        return self.as_task().call(*args, **kwargs)


def _task_of(cls: type[BaseTask[..., Any]]) -> Task[..., Any]:
    options = {
        name: _as_function(cls, inspect.getattr_static(cls, name))
        for name in (*_DJANGO_OPTIONS, *OWN_OPTIONS)
        if hasattr(cls, name)
    }
    options.setdefault("queue_name", cls.task_name)
    backend = getattr(cls, "backend", None) or compat.default_alias()
    return Task(func=_function_of(cls), task_name=cls.task_name, backend=backend, native=True, **options)


def _as_function(cls: type[BaseTask[..., Any]], member: Any) -> Any:
    """Return an option that is written as a method as a function, which knows nothing of the instance."""
    if isinstance(member, staticmethod):
        return member.__func__
    if not inspect.isfunction(member) or inspect.iscoroutinefunction(member):
        # An async one is refused where the option is looked at.
        return member

    def call(*args: Any) -> Any:
        return member(cls(), *args)

    signature = inspect.signature(member)
    call.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return call


def _function_of(cls: type[BaseTask[..., Any]]) -> Any:
    """Return a function that runs a new instance, under the name of the class, as django.tasks wants to see one."""
    if inspect.iscoroutinefunction(cls.run):

        async def arun(*args: Any, **kwargs: Any) -> Any:
            return await cls().run(*args, **kwargs)

        return _dressed(arun, cls)

    def run(*args: Any, **kwargs: Any) -> Any:
        return cls().run(*args, **kwargs)

    return _dressed(run, cls)


def _dressed(run: Any, cls: type[BaseTask[..., Any]]) -> Any:
    run.__module__, run.__name__, run.__qualname__ = cls.__module__, cls.__name__, cls.__qualname__
    run.__doc__ = cls.__doc__
    signature = inspect.signature(cls.run)
    run.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
    setattr(run, CLASS_FORM, cls)
    return run
