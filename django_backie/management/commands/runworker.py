"""Run a worker."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ... import compat, registry
from ...backend import RedisBackend
from ...broker import inspect
from ...clock import SYSTEM
from ...duties.rota import prepare
from ...exceptions import BackieError, BrokerError
from ...seed import run_in_thread
from ...worker.banner import banner
from ...worker.options import WorkerOptions
from ...worker.reload import FileWatch, restart
from ...worker.report import FORMATS, Summary, configure_logging, log_finished
from ...worker.supervisor import EXIT_CLEAN, Supervisor

logger = logging.getLogger("django_backie.worker")

SUMMARY_INTERVAL = 60.0


class Command(BaseCommand):
    """Run a worker: a parent and its children, until SIGTERM or Ctrl-C."""

    help = (
        "Runs background jobs. Exit codes: 0 clean, 1 wrong configuration, 3 running jobs were handed back. "
        "Ctrl-C or SIGTERM finishes the running jobs, a second one hands them back at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        add = parser.add_argument
        add("--processes", type=_count, default=1, help="worker processes (1)")
        add("--threads", type=_count, default=8, help="threads per process, for sync tasks (8)")
        add("--async-concurrency", type=_count, default=100, help="async tasks at once per process (100)")
        add("--queues", type=_names, default=(), metavar="A,B", help="serve only these, in this order")
        add(
            "--weights",
            type=_weights,
            default=(),
            metavar="N,M",
            help="one for each queue: how often it is asked first",
        )
        add("--exclude-queues", type=_names, default=(), metavar="A,B", help="serve all but these")
        add("--burst", action="store_true", help="end when no job is ready or running")
        add("--max-jobs", type=_count, metavar="N", help="replace a process after this many jobs")
        add("--max-memory", type=_size, metavar="SIZE", help="replace a process that has grown beyond this, as in 512M")
        add("--grace", type=_seconds, default=25.0, help="seconds that running jobs have when stopping (25)")
        add("--reload", action=BooleanOptionalAction, help="restart when code changes (default with DEBUG)")
        add(
            "--log-format",
            choices=FORMATS,
            default="pretty",
            help="of our lines, where logging is not configured",
        )
        add("--backend", metavar="ALIAS", help="the alias of TASKS to serve (the first of ours)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start the worker and exit with its code."""
        if not hasattr(os, "fork"):
            msg = "the worker needs fork(), which Windows lacks: run it under WSL or in a container"
            raise CommandError(msg)
        if options["queues"] and options["exclude_queues"]:
            msg = "--queues and --exclude-queues exclude each other"
            raise CommandError(msg)
        if options["weights"] and len(options["weights"]) != len(options["queues"]):
            found = f"{len(options['weights'])} for {len(options['queues'])} queues"
            msg = f"--weights needs --queues and one number for each of them, not {found}"
            raise CommandError(msg)
        backend = _backend_of(options["backend"])
        configure_logging(options["log_format"], _level(options["verbosity"]))
        worker_options = _worker_options(options)
        reloads = settings.DEBUG if options["reload"] is None else options["reload"]
        watch = FileWatch() if reloads and not worker_options.burst else None
        names = registry.discover(backend.config.task_modules)
        if options["log_format"] == "pretty" and options["verbosity"] > 0:
            self.stdout.write(banner(backend, worker_options, names, verbosity=options["verbosity"]))
        if worker_options.burst:
            prepare(backend)
        code = self._run(backend, worker_options, watch)
        if worker_options.burst:
            _tell_what_is_left(backend)
        if code != EXIT_CLEAN:
            sys.exit(code)

    def _run(self, backend: RedisBackend, worker_options: WorkerOptions, watch: FileWatch | None) -> int:
        if threading.current_thread() is not threading.main_thread():
            # Called from a test or another program: no signals, no forks.
            return run_in_thread(backend, worker_options)
        slots = worker_options.processes * worker_options.threads
        summary = Summary(SUMMARY_INTERVAL, SYSTEM.monotonic())
        supervisor = Supervisor(
            backend,
            worker_options,
            log_finished,
            on_beat=lambda totals: summary.beat(totals, SYSTEM.monotonic(), slots),
            has_changed=watch.has_changed if watch else lambda: False,
        )
        code = supervisor.run()
        if supervisor.wants_restart:
            self.stdout.flush()
            restart()
        return code


def _tell_what_is_left(backend: RedisBackend) -> None:
    with suppress(BrokerError):
        if left := ", ".join(f"{count} {what}" for what, count in inspect.waiting(backend.broker).items() if count):
            logger.info("what is left: %s", left)


def _backend_of(alias: str | None) -> RedisBackend:
    """Return the backend to serve, its options validated."""
    chosen = alias or compat.default_alias()
    try:
        backend = compat.get_backend(chosen)
    except compat.InvalidTaskBackend as error:
        msg = f"--backend {chosen}: {error}"
        raise CommandError(msg) from error
    if not isinstance(backend, RedisBackend):
        msg = f"--backend {chosen} is {type(backend).__qualname__}, not a RedisBackend: it has no jobs to run"
        raise CommandError(msg)
    try:
        backend.config  # noqa: B018 - validates
    except BackieError as error:
        raise CommandError(str(error)) from error
    return backend


def _worker_options(options: dict[str, Any]) -> WorkerOptions:
    names = (
        "processes",
        "threads",
        "async_concurrency",
        "queues",
        "exclude_queues",
        "weights",
        "burst",
        "max_jobs",
        "max_memory",
        "grace",
    )
    return WorkerOptions(**{name: options[name] for name in names})


def _level(verbosity: int) -> int:
    return {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text!r} is not a whole number from 1"
        raise ArgumentTypeError(msg)
    return int(text)


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG])i?B?", text.strip(), re.IGNORECASE)
    if not match or int(match[1]) < 1:
        msg = f"{text!r} is not a size, such as 512M or 2G"
        raise ArgumentTypeError(msg)
    return int(match[1]) * {"K": 1024, "M": 1024**2, "G": 1024**3}[match[2].upper()]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        msg = f"{text!r} is not a number of seconds"
        raise ArgumentTypeError(msg)
    return seconds


def _weights(text: str) -> tuple[float, ...]:
    return tuple(map(_weight, text.split(",")))


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0.001 <= weight <= 1_000_000:
        msg = f"{text!r} is not a weight: a number from 0.001 to 1000000"
        raise ArgumentTypeError(msg)
    return weight


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        msg = "name at least one queue"
        raise ArgumentTypeError(msg)
    return names
