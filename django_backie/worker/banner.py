"""What ``runworker`` says first: what it is, where it is connected, what it will do."""

from __future__ import annotations

import os
import platform
import socket

import django

from .. import __version__
from ..backend import RedisBackend
from ..broker.inspect import server_info
from ..exceptions import BackieError
from .options import WorkerOptions

SHOWN_TASKS = 6


def banner(backend: RedisBackend, options: WorkerOptions, tasks: list[str], verbosity: int) -> str:
    """Return the banner, with warnings and their remedies."""
    weights = [f" ({weight:g})" for weight in options.weights] or [""] * len(options.queues)
    queues = ",".join(map("".join, zip(options.queues, weights, strict=True))) or "all"
    if options.exclude_queues:
        queues = f"all but {','.join(options.exclude_queues)}"
    lines = [
        f"backie {__version__}  Django {django.get_version()}  Python {platform.python_version()}  {_server(backend)}",
        f"worker {socket.gethostname()}:{os.getpid()}   {options.processes} x {options.threads} threads"
        f" + {options.async_concurrency} async   queues {queues}   alias {backend.alias}"
        f"   settings {os.environ.get('DJANGO_SETTINGS_MODULE', '-')}",
        _tasks(tasks, verbosity),
        f"ready, Ctrl-C: finish running jobs ({options.grace:g} s), twice: hand them back",
    ]
    return "\n".join(lines)


def _tasks(tasks: list[str], verbosity: int) -> str:
    if not tasks:
        return "tasks  none found: put functions with @task into a tasks.py of an installed app"
    shown = tasks if verbosity > 1 else tasks[:SHOWN_TASKS]
    rest = len(tasks) - len(shown)
    return f"tasks  {len(tasks)}: {' '.join(shown)}{f' and {rest} more (-v 2)' if rest else ''}"


def _server(backend: RedisBackend) -> str:
    try:
        info = server_info(backend.broker)
    except BackieError as error:
        return f"[{error}]"
    kind = "valkey" if info.get("server_name") == "valkey" else "redis"
    version = info.get("valkey_version") or info.get("redis_version", "?")
    policy = info.get("maxmemory_policy", "?")
    memory = info.get("used_memory_human", "?")
    text = f"{kind} {version} {backend.broker.address} ({policy}, {memory})"
    if policy not in {"noeviction", "?"}:
        text += f"\n! the eviction policy {policy} deletes jobs when memory is short; set maxmemory-policy noeviction"
    return text
