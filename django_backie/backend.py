"""The django.tasks backend."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from inspect import isfunction
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import connections

from . import cleansing, compat, conf, enqueue, outbox, registry, result
from .broker.redis import RedisBroker, broker_for
from .clock import SYSTEM
from .core import codec, ids
from .core.job import Job
from .core.options import DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS, Durability, Options
from .enqueue import Parcel
from .exceptions import (
    BrokerUnavailable,
    ConfigurationError,
    InvalidArguments,
    InvalidOption,
    UnknownTask,
    UnreadableBody,
)
from .moments import epoch, moment
from .outbox import Entry
from .result import TaskResult
from .task_definition import CLASS_FORM, Call, Task, named_arguments

LONGEST_QUEUE_NAME = 100


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

    @functools.cached_property
    def config(self) -> conf.Config:
        """Return the options of this alias, validated.

        Raises:
            ConfigurationError: an option is wrong; ``manage.py check`` tells all of them.
        """
        return conf.parse(self.alias, self.options)

    @functools.cached_property
    def signer(self) -> codec.Signer:
        """Return the signer of job bodies, made of SECRET_KEY and SECRET_KEY_FALLBACKS."""
        return signer_of((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))

    def unpack(self, job_id: str, body: str) -> Job:
        """Return the job of a body; see ``codec.unpack``."""
        return codec.unpack(job_id, body, self.signer)

    def validate_task(self, task: Any) -> None:
        """Refuse a task that could not run, in django.tasks' words and order.

        Raises:
            InvalidTask: names the rule that is broken.
        """
        if _cannot_be_named(task.func):
            msg = f"Task function must be defined at a module level, {task.func.__qualname__!r} is not."
            raise compat.InvalidTask(msg)
        queue = task.queue_name
        if not isinstance(queue, str) or not 0 < len(queue) <= LONGEST_QUEUE_NAME or not queue.isprintable():
            msg = f"Queue name must be 1 to {LONGEST_QUEUE_NAME} printable characters, not {queue!r}."
            raise compat.InvalidTask(msg)
        super().validate_task(_with_absolute_time(task))

    def submit(self, task: Task[..., Any], calls: Sequence[Call]) -> list[TaskResult[Any]]:
        """Make one job of each call and take them in as one; see ``Task.delay_many``."""
        return self._take_in(task, calls, task.durability or self.config.durability)

    def enqueue(self, task: Any, args: Any, kwargs: Any) -> TaskResult[Any]:
        """Make a job by django.tasks' interface; ``ENQUEUE_ON_COMMIT: False`` makes it take effect at once."""
        task = adopted(task)
        durability = task.durability or self.config.durability
        if not self.config.enqueue_on_commit:
            durability = "now"
        return self._take_in(task, [(tuple(args), dict(kwargs))], durability)[0]

    def check(self, **_: Any) -> list[CheckMessage]:
        """Return what is wrong with the options of this alias."""
        return configuration_messages(self.alias, self.options)

    def _take_in(self, task: Task[..., Any], calls: Sequence[Call], durability: Any) -> list[TaskResult[Any]]:
        raise NotImplementedError

    def make_entries(self, task: Task[..., Any], calls: Sequence[Call]) -> list[Entry]:
        """Return the jobs of calls, options resolved (call > task > settings) and bodies signed.

        Raises:
            InvalidArguments, UnserializableValue, PayloadTooLarge: before anything has been enqueued.
        """
        self.validate_task(task)
        database = self._database(task)
        options = self._options(task)
        now = SYSTEM.now()
        run_after = _run_after(task.run_after, now)
        entries = []
        for args, kwargs in calls:
            named = named_arguments(task, args, kwargs)
            job = Job(
                id=ids.new_key(),
                task=task.job_name,
                queue=task.queue_name,
                priority=int(task.priority),
                args=list(args),
                kwargs=kwargs,
                created=now,
                run_after=run_after,
                options=options,
                database=database,
                backend=self.alias,
            )
            packed = codec.pack(job, self.signer, self.config.max_payload)
            entries.append(Entry(job, packed, readable(task, named, self.config)))
        return entries

    def _options(self, task: Task[..., Any]) -> Options:
        attempts = task.max_attempts or self.config.max_attempts or (DEFAULT_MAX_ATTEMPTS if task.native else 1)
        backoff = task.backoff if task.backoff is not None else self.config.backoff
        timeout = task.timeout if task.timeout is not None else self.config.timeout
        return Options(max_attempts=attempts, backoff=DEFAULT_BACKOFF if backoff is None else backoff, timeout=timeout)

    def _database(self, task: Task[..., Any]) -> str:
        databases = self.config.databases
        if task.database is None:
            return databases[0] if databases else "default"
        if databases and task.database not in databases:
            msg = f"database {task.database!r} of {task.job_name} holds no job table; OPTIONS['DATABASES'] has {databases}"
            raise InvalidOption(msg)
        return task.database


class RedisBackend(BackieBackend):
    """Jobs in Redis, with the database's guarantees."""

    uses_redis = True

    @property
    def broker(self) -> RedisBroker:
        """Return the Redis side of this alias."""
        return broker_for(self.config)

    def get_result(self, result_id: str) -> TaskResult[Any]:
        """Return the handle of a job: from Redis, from the open transaction, or from its row.

        Raises:
            TaskResultDoesNotExist: no such job under this alias.
        """
        found = self._in_redis(result_id) or self._in_transaction(result_id) or self._in_rows(result_id)
        if found is None or found.backend != self.alias:
            raise compat.TaskResultDoesNotExist(result_id)
        return found

    def _take_in(self, task: Task[..., Any], calls: Sequence[Call], durability: Durability) -> list[TaskResult[Any]]:
        self._require_database(task, durability)
        entries = self.make_entries(task, calls)
        if not entries:
            return []
        results = [result.fresh(task, entry.job) for entry in entries]

        def announce() -> None:
            for handle, entry in zip(results, entries, strict=True):
                object.__setattr__(handle, "enqueued_at", moment(entry.job.created))
                compat.task_signals.task_enqueued.send(type(self), task_result=handle)

        enqueue.send(Parcel(self.broker, entries, durability, entries[0].job.database, announce))
        return results

    def _require_database(self, task: Task[..., Any], durability: Durability) -> None:
        if durability != "now" and not self.config.mirrored:
            msg = (
                f"{task.job_name}: durability {durability!r} needs a database, but OPTIONS['DATABASES'] of "
                f"TASKS[{self.alias!r}] is empty; set OPTIONS['DURABILITY'] to 'now'"
            )
            raise ConfigurationError(msg)

    def _in_redis(self, job_id: str) -> TaskResult[Any] | None:
        try:
            snapshot = self.broker.inspect([job_id]).get(job_id)
        except BrokerUnavailable:
            if not self.config.mirrored:
                raise
            return None
        if snapshot is None or not snapshot.body:
            return None
        return self._from_body(job_id, snapshot.body, snapshot.record)

    def _from_body(self, job_id: str, body: str, record: Any) -> TaskResult[Any] | None:
        try:
            job = self.unpack(job_id, body)
        except UnreadableBody:
            return None
        return result.from_record(task_of(job), job, record)

    def _in_rows(self, job_id: str) -> TaskResult[Any] | None:
        if not ids.is_id(job_id):
            return None
        for database in self.config.databases:
            row = outbox.find(job_id, database)
            if row is not None:
                job = self._job_of_row(row)
                return result.from_row(task_of(job), job, row)
        return None

    def _job_of_row(self, row: Any) -> Job:
        """Return the job of a row; one whose body is gone shows its arguments as people may read them."""
        if row.body:
            try:
                return self.unpack(str(row.pk), row.body)
            except UnreadableBody:
                pass
        due = None if row.run_after is None else epoch(row.run_after)
        return Job(
            id=str(row.pk),
            task=row.task,
            queue=row.queue,
            priority=row.priority,
            kwargs=dict(row.arguments),
            created=epoch(row.enqueued_at),
            run_after=due,
            backend=row.backend,
        )

    def _in_transaction(self, job_id: str) -> TaskResult[Any] | None:
        for alias in connections:
            entry = enqueue.waiting(job_id, alias)
            if entry is not None:
                return result.fresh(task_of(entry.job), entry.job)
        return None


def task_of(job: Job) -> Task[..., Any]:
    """Return the task of a job as it was enqueued: with the job's own queue, priority and time.

    Raises:
        TaskResultDoesNotExist: no installed app has a task of this name.
    """
    try:
        task = registry.get(job.task)
    except UnknownTask:
        registry.discover()
        try:
            task = registry.get(job.task)
        except UnknownTask as error:
            raise compat.TaskResultDoesNotExist(f"{job.id}: {error}") from error
    changes = {"queue_name": job.queue, "priority": job.priority, "backend": job.backend}
    changes = {name: value for name, value in changes.items() if getattr(task, name) != value}
    if job.run_after is not None:
        changes["run_after"] = moment(job.run_after)
    return replace(task, **changes) if changes else task


def adopted(task: Any) -> Task[..., Any]:
    """Return our kind of task for one made by another backend's ``task_class`` and moved here by ``using(backend=)``."""
    if isinstance(task, Task):
        return task
    names = ("func", "priority", "backend", "queue_name", "run_after", "takes_context")
    return Task(**{name: getattr(task, name) for name in names})


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
def signer_of(secrets: tuple[str | bytes, ...]) -> codec.Signer:
    """Return the signer of job bodies for SECRET_KEY and its fallbacks."""
    return codec.Signer.of(secrets)


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
    run_after = None if isinstance(task.run_after, timedelta) else task.run_after
    return SimpleNamespace(
        func=task.func,
        priority=task.priority,
        queue_name=task.queue_name,
        run_after=run_after,
        takes_context=task.takes_context,
    )


def _run_after(when: datetime | timedelta | None, now: float) -> float | None:
    if when is None:
        return None
    return now + when.total_seconds() if isinstance(when, timedelta) else epoch(when)
