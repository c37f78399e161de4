"""What is wrong with this configuration, for ``manage.py check``. Every id is explained in docs/reference/checks.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Info, Tags, register
from django.db import connections, router

from . import compat, conf, registry, schedule_settings, tables
from .backend import RedisBackend
from .broker.inspect import server_info
from .core.options import timeouts_problem
from .exceptions import BackieError, did_you_mean
from .middleware import half_covered

DUMMY = "django.db.backends.dummy"
LOOPBACK = {"localhost", "127.0.0.1", "::1", None}


@register()
def check_configuration(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Check the options of every alias and the names of all tasks; touches neither a database nor Redis."""
    messages: list[CheckMessage] = []
    for backend in _own_backends():
        if backend.alias == compat.IMPLICIT_ALIAS:
            messages.append(_implicit_alias())
            messages += backend.check()
        if any(conf.problems(backend.options)):
            continue  # django.tasks' own check has asked the backend for these
        messages += _check_databases(backend)
        messages += _check_middleware(backend)
    return [*messages, *_check_names()]


def _check_middleware(backend: RedisBackend) -> Iterator[CheckMessage]:
    where = f"TASKS[{backend.alias!r}]['OPTIONS']"
    try:
        half = half_covered(backend.middleware)
    except BackieError as error:
        hint = "Name classes that derive from django_backie.middleware.Middleware, by their dotted path."
        yield Error(f"{where}: {error}.", hint=hint, id="django_backie.E010")
        return
    for name in half:
        yield checks.Warning(
            f"{where}: {name} has run() but not arun(): it does not see async tasks.",
            hint="Write arun() too: async def arun(self, job, call_next): return await call_next(job)",
            id="django_backie.W008",
        )


@register(Tags.database)
def check_tables(app_configs: Any = None, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Check that the job tables are there (``check --database default``)."""
    if not apps.is_installed("django_backie"):
        return []
    return [
        # A warning, because an error would keep `migrate`, which runs these checks, from making the table.
        checks.Warning(
            f"the job table {tables.job_table()!r} is missing in database {alias!r}.",
            hint=f"Run: manage.py migrate django_backie --database {alias}",
            id="django_backie.W007",
        )
        for backend in _valid_backends()
        for alias in backend.config.databases
        if alias in (databases or ()) and alias in connections and tables.lacks_jobs(alias)
    ]


@register(Tags.security, deploy=True)
def check_deployment(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    """Check what matters in production: transport, password, eviction, persistence. Asks the server."""
    messages: list[CheckMessage] = []
    for backend in _valid_backends():
        messages += _check_transport(backend.config)
        messages += _check_server(backend)
    return messages


def _own_backends() -> list[RedisBackend]:
    backends = [compat.get_backend(alias) for alias in compat.own_aliases()]
    return [backend for backend in backends if isinstance(backend, RedisBackend)]


def _valid_backends() -> list[RedisBackend]:
    return [backend for backend in _own_backends() if not any(conf.problems(backend.options))]


def _implicit_alias() -> CheckMessage:
    return Info(
        f"TASKS names no backend of django-backie; django_backie.task uses the implicit alias "
        f"{compat.IMPLICIT_ALIAS!r} on REDIS_URL or redis://localhost:6379/0.",
        hint="Add an alias with BACKEND 'django_backie.backend.RedisBackend' to TASKS to choose yourself.",
        id="django_backie.I001",
    )


def _check_databases(backend: RedisBackend) -> Iterator[CheckMessage]:
    config, where = backend.config, f"TASKS[{backend.alias!r}]['OPTIONS']"
    for alias in config.databases:
        if alias not in settings.DATABASES:
            nearest = did_you_mean(alias, settings.DATABASES)
            yield Error(
                f"{where}['DATABASES'] names {alias!r}, which DATABASES does not have{nearest}.",
                hint=f"DATABASES has: {', '.join(sorted(settings.DATABASES)) or 'nothing'}.",
                id="django_backie.E003",
            )
    if config.durability != "now" and not (config.databases and _has_database()):
        yield Error(
            f"{where}: durability {config.durability!r} needs a database.",
            hint="Set DURABILITY to 'now' (and DATABASES to []), or name a database in DATABASES.",
            id="django_backie.E004",
        )
    elif config.databases:
        yield from _check_routers(config, where)


def _has_database() -> bool:
    """Tell whether the project has a database; Django gives one that has none a dummy."""
    return any(database.get("ENGINE") != DUMMY for database in settings.DATABASES.values())


def _check_routers(config: conf.Config, where: str) -> Iterator[CheckMessage]:
    model = apps.get_model("django_backie", "Job")
    for alias in config.databases:
        if alias in settings.DATABASES and not router.allow_migrate_model(alias, model):
            yield checks.Warning(
                f"a database router keeps the job table out of {alias!r}, which {where}['DATABASES'] names.",
                hint="The outbox holds only where the table is beside the caller's data: let the router allow it.",
                id="django_backie.W001",
            )


def _check_names() -> Iterator[CheckMessage]:
    modules = [module for backend in _valid_backends() for module in backend.config.task_modules]
    try:
        registry.discover(modules)
    except Exception as error:  # noqa: BLE001 - whatever a project's module raises is to be shown
        yield Error(
            f"a tasks module cannot be imported: {type(error).__name__}: {error}",
            hint="The worker imports tasks.py of every installed app and would not start.",
            id="django_backie.E008",
        )
    yield from _check_rows()
    yield from _check_schedules()
    yield from _check_timeouts()
    for name, places in registry.duplicates().items():
        yield Error(
            f"two tasks are named {name!r}: {' and '.join(places)}.",
            hint="A job knows its task by name only: rename one of them.",
            id="django_backie.E007",
        )


def _check_rows() -> Iterator[CheckMessage]:
    without_rows = {backend.alias for backend in _valid_backends() if not backend.config.databases}
    for name in registry.names():
        task = registry.get(name)
        if task.atomic and task.backend in without_rows:
            yield Error(
                f"the task {name!r} is atomic, but TASKS[{task.backend!r}]['OPTIONS']['DATABASES'] is empty.",
                hint="Its jobs end in one transaction with their rows: name the database, or take atomic=True away.",
                id="django_backie.E009",
            )
        if task.schedule is not None and task.backend in without_rows:
            yield Error(
                f"the task {name!r} has a schedule, but TASKS[{task.backend!r}]['OPTIONS']['DATABASES'] is empty.",
                hint="What was taken up of a schedule is kept in a table: name the database, or schedule it elsewhere.",
                id="django_backie.E011",
            )


def _check_schedules() -> Iterator[CheckMessage]:
    for backend in _valid_backends():
        where = f"TASKS[{backend.alias!r}]['OPTIONS']"
        if backend.config.schedules and not backend.config.databases:
            yield Error(
                f"{where} has SCHEDULES, but its DATABASES is empty.",
                hint="What was taken up of a schedule is kept in a table: name the database, or schedule it elsewhere.",
                id="django_backie.E011",
            )
        for name, problem in schedule_settings.problems(backend):
            yield Error(
                f"{where}['SCHEDULES'][{name!r}]: {problem}.",
                hint="Correct the entry, or take it out: workers leave it out, and nothing else.",
                id="django_backie.E012",
            )


def _check_timeouts() -> Iterator[CheckMessage]:
    """Warn of tasks that the settings kill before they could end by their own timeout."""
    killed = {backend.alias: backend.config.hard_timeout for backend in _valid_backends()}
    for name in registry.names():
        task = registry.get(name)
        hard = killed.get(task.backend)
        if task.hard_timeout is None and timeouts_problem(task.timeout, hard):
            yield checks.Warning(
                f"the task {name!r} has a timeout of {task.timeout!r} s, but is killed after the {hard!r} s of "
                f"TASKS[{task.backend!r}]['OPTIONS']['HARD_TIMEOUT'].",
                hint="Give the task a hard_timeout of its own, larger than its timeout.",
                id="django_backie.W009",
            )


def _check_transport(config: conf.Config) -> Iterator[CheckMessage]:
    parts = urlsplit(config.url)
    if parts.scheme == "unix" or parts.hostname in LOOPBACK:
        return
    if parts.scheme in {"redis", "valkey"}:
        yield checks.Warning(
            f"jobs travel to {parts.hostname} unencrypted.",
            hint="Use a rediss:// URL.",
            id="django_backie.W002",
        )
    if not parts.password:
        yield checks.Warning(
            f"Redis at {parts.hostname} is used without a password.",
            hint="Put user and password into the URL: whoever reaches Redis can read and delete jobs.",
            id="django_backie.W003",
        )


def _check_server(backend: RedisBackend) -> Iterator[CheckMessage]:
    try:
        info = server_info(backend.broker)
    except BackieError as error:
        yield checks.Warning(str(error), hint="The server could not be checked.", id="django_backie.W004")
        return
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield checks.Warning(
            f"Redis at {backend.broker.address} evicts jobs when memory is short (policy {policy!r}).",
            hint="Set maxmemory-policy to noeviction.",
            id="django_backie.W005",
        )
    if not info.get("aof_enabled"):
        yield checks.Warning(
            f"Redis at {backend.broker.address} keeps no append-only file.",
            hint="Set appendonly yes. Without it a restart loses jobs of durability 'commit' and 'now'; those of the "
            "outbox come back from the database.",
            id="django_backie.W006",
        )
