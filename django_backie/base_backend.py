"""What all our task backends share: the options of an alias, and how jobs are made."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from inspect import isfunction
from types import SimpleNamespace
from typing import Any, Literal, cast

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.signals import setting_changed

from . import cleansing, compat, conf, registry
from .calls import Call, group_of, limits_of, lock_of, named_arguments
from .clock import SYSTEM
from .core import codec, ids
from .core.cancellation import Cancellation
from .core.job import Job
from .core.options import Durability
from .core.signer import Signer
from .core.unique import Unique
from .exceptions import InvalidArguments, UnknownTask, UnreadableBody
from .middleware import Make, Middleware, around_making
from .middleware import load as load_middleware
from .outbox import Entry
from .plan import Plan, adopted, moment_of, plan_of
from .result import TaskResult
from .task_definition import CLASS_FORM, Task

LONGEST_QUEUE_NAME = 100
# How many tasks a backend remembers: those that using() makes for one call come and go.
MOST_PLANS = 256


class BackieBackend(compat.BaseTaskBackend):
    """What our backends share: our ``Task``, our options, jobs made the same way."""

    task_class = Task
    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True
    uses_redis = False

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        # Runs while a project's tasks.py is imported: no models, no database, no network, no error for wrong options.
        super().__init__(alias, params)
        # Django's default is ["default"]; ours is any name, as the worker serves every queue by default.
        self.queues = set(params.get("QUEUES", ()))
        self._plans: dict[int, Plan] = {}

    @functools.cached_property
    def config(self) -> conf.Config:
        """Return the options of this alias, validated.

        Raises:
            ConfigurationError: an option is wrong; ``manage.py check`` tells all of them.
        """
        return conf.parse(self.alias, self.options)

    @functools.cached_property
    def middleware(self) -> tuple[Middleware, ...]:
        """Return the project's own code around jobs, the outermost first.

        Raises:
            ConfigurationError: one cannot be loaded; ``manage.py check`` tells.
        """
        return load_middleware(self.config.middleware)

    @functools.cached_property
    def _around_making(self) -> Make | None:
        return around_making(self.middleware)

    @property
    def signer(self) -> Signer:
        """Return the signer of job bodies, made of SECRET_KEY and SECRET_KEY_FALLBACKS."""
        return _signer()

    def unpack(self, job_id: str, body: str) -> Job:
        """Return the job of a body; see ``codec.unpack``."""
        return codec.unpack(job_id, body, self.signer)

    def without_expiry(self, job_id: str, body: str) -> str:
        """Return a body that does not expire; one that cannot be read, or does not expire, as it is."""
        try:
            job = self.unpack(job_id, body)
        except UnreadableBody:
            return body
        if job.expires is None:
            return body
        return codec.pack(job._replace(expires=None), self.signer, sys.maxsize).body

    def validate_task(self, task: Any) -> None:
        """Refuse a task that could not run, in django.tasks' words and order.

        Raises:
            InvalidTask: names the rule that is broken.
        """
        if _cannot_be_named(task.func):
            msg = f"Task function must be defined at a module level, {task.func.__qualname__!r} is not."
            raise compat.InvalidTask(msg)
        queue = task.queue_name
        if problem := queue_problem(queue):
            raise compat.InvalidTask(problem)
        if not isinstance(task.run_after, datetime | timedelta | None):
            msg = f"run_after must be a datetime or a timedelta, {task.run_after!r} is not."
            raise compat.InvalidTask(msg)
        super().validate_task(_with_absolute_time(task))

    def submit(self, task: Task[..., Any], calls: Sequence[Call]) -> list[TaskResult[Any]]:
        """Make one job of each call and take them in as one; see ``Task.delay_many``."""
        return self._take_in(task, calls, self._durability(task))

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> TaskResult[Any]:
        """Make a job by django.tasks' interface; ``ENQUEUE_ON_COMMIT: False`` makes it take effect at once."""
        task = adopted(task)
        durability = self._durability(task)
        if not self.config.enqueue_on_commit and not task.atomic:
            durability = "now"
        return self._take_in(task, [(tuple(args), dict(kwargs))], durability)[0]

    def _durability(self, task: Task[..., Any]) -> Durability:
        # The end of an atomic job is written to its row, so the row must be there.
        return "outbox" if task.atomic else task.durability or self.config.durability

    def check(self, **_: Any) -> list[CheckMessage]:
        """Return what is wrong with the options of this alias."""
        return configuration_messages(self.alias, self.options)

    def _take_in(self, task: Task[..., Any], calls: Sequence[Call], durability: Any) -> list[TaskResult[Any]]:
        raise NotImplementedError

    def cancel(self, job_id: str, reason: str = "") -> Cancellation:
        """Cancel a job; see ``TaskResult.cancel``."""
        raise NotImplementedError

    def submit_as(self, task: Task[..., Any], calls: Sequence[Call], keys: Sequence[str]) -> None:
        """Make one job of each call under a given id."""
        raise NotImplementedError

    def push_as(self, task: Task[..., Any], calls: Sequence[Call], keys: Sequence[str]) -> None:
        """Do the same without a database."""
        raise NotImplementedError

    def make_entries(
        self, task: Task[..., Any], calls: Sequence[Call], *, for_rows: bool = False, keys: Iterable[str] | None = None
    ) -> list[Entry]:
        """Return the jobs of calls, options resolved (call > task > settings) and bodies signed.

        Args:
            for_rows: the entries will be written to rows, so they need the arguments that people may read.
            keys: the ids of the jobs; by default new ones.

        Raises:
            InvalidArguments, UnserializableValue, PayloadTooLarge: before anything has been enqueued.
        """
        plan, signer, limit = self._plan(task), self.signer, self.config.max_payload
        now = SYSTEM.now()
        run_after = moment_of("run_after", task.run_after, now)
        expires = moment_of("expires", task.expires, now)
        entries = []
        around = self._around_making
        unique = cast("Unique | Literal[False]", task.unique)
        is_limited = task.concurrency is not None or task.concurrency_key is not False or task.rate_limit is not None
        is_fair = task.fair_by is not False
        may_age = self.config.ageing is not None
        next_key = ids.new_key if keys is None else iter(keys).__next__
        for args, kwargs in calls:
            named = named_arguments(task, args, kwargs)
            key = next_key()
            job = Job(
                key, plan.task, plan.queue, plan.priority, list(args), kwargs,
                now, run_after, plan.options, plan.database, self.alias, expires,
            )  # fmt: skip
            if unique:
                job = job._replace(unique=lock_of(task, unique, (args, kwargs), named))
            if is_limited:
                job = job._replace(limits=limits_of(task, (args, kwargs), named))
            if is_fair:
                job = job._replace(group=group_of(task, (args, kwargs), named))
            if around is not None:
                job = around(job)
                named = named_arguments(task, job.args, job.kwargs)
            if may_age and job.priority:
                job = job._replace(ageing=self.config.ageing_of(job.queue))
            packed = codec.pack(job, signer, limit)
            entries.append(Entry(job, packed, readable(task, named, self.config) if for_rows else {}))
        return entries

    def _plan(self, task: Task[..., Any]) -> Plan:
        """Return what the jobs of a task have in common; made once, for a task is frozen and so are the settings."""
        plan = self._plans.get(id(task))
        if plan is None:
            self.validate_task(task)
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            plan = self._plans[id(task)] = plan_of(task, self.config)
        return plan


def queue_problem(name: object) -> str:
    """Return what is wrong with the name of a queue, empty where it is a good one."""
    if isinstance(name, str) and 0 < len(name) <= LONGEST_QUEUE_NAME and name.isprintable():
        return ""
    return f"Queue name must be 1 to {LONGEST_QUEUE_NAME} printable characters, not {name!r}."


def readable(task: Task[..., Any], named: dict[str, Any], config: conf.Config) -> dict[str, Any]:
    """Return named arguments with secrets replaced: what the job table and the admin may hold."""
    return cleansing.cleanse(named, sensitive_of(task, config))


def describe(job: Job, config: conf.Config) -> dict[str, Any]:
    """Return the readable arguments of a job; what cannot be named is hidden, for it might be a secret."""
    try:
        task = registry.get(job.task)
        return readable(task, named_arguments(task, job.args, job.kwargs), config)
    except (UnknownTask, InvalidArguments):
        hidden = {"args": [cleansing.STARS] * len(job.args)} if job.args else {}
        return {**hidden, **cleansing.cleanse(job.kwargs, sensitive=True)}


def sensitive_of(task: Task[..., Any], config: conf.Config) -> bool | tuple[str, ...]:
    """Return the argument names to hide beyond Django's pattern, or True for all."""
    return task.sensitive if task.sensitive is True else (*(task.sensitive or ()), *config.sensitive)


@functools.cache
def _signer() -> Signer:
    return Signer.of((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


def _forget_signer(*, setting: str, **_: object) -> None:
    if setting in {"SECRET_KEY", "SECRET_KEY_FALLBACKS"}:
        _signer.cache_clear()


setting_changed.connect(_forget_signer, dispatch_uid="django_backie.base_backend")


def configuration_messages(alias: str, options: dict[str, Any]) -> list[CheckMessage]:
    """Return the options' problems as check messages."""
    where = f"TASKS[{alias!r}]['OPTIONS']"
    return [
        Error(f"{where}: {problem.message}.", hint=problem.hint, id=f"django_backie.E{problem.number:03}")
        for problem in conf.problems(options)
    ]


def _cannot_be_named(func: Any) -> bool:
    """Tell whether a worker could not find a function that django.tasks accepts: a lambda, or one in a class body."""
    name = getattr(func, "__qualname__", "")
    if "<locals>" in name or hasattr(func, CLASS_FORM):
        return False
    return "<lambda>" in name or (isfunction(func) and "." in name)


def _with_absolute_time(task: Any) -> Any:
    """Return what django.tasks validates of a task, without a relative time, which its check does not expect."""
    if not isinstance(task.run_after, timedelta):
        return task
    return SimpleNamespace(
        func=task.func,
        priority=task.priority,
        queue_name=task.queue_name,
        run_after=None,
        takes_context=task.takes_context,
    )
