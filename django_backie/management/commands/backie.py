"""Look at jobs and act on them, from the terminal."""

from __future__ import annotations

import functools
import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import JSONField, Value
from django.db.models.fields.json import KeyTransform
from django.utils import timezone

from ... import compat, control, registry, timetables
from ...backend import RedisBackend
from ...broker import inspect
from ...chaos import command as chaos
from ...core import ids
from ...exceptions import BackieError
from .. import queue_actions


class Command(BaseCommand):
    """Subcommands about tasks and jobs."""

    help = (
        "Lists tasks and schedules, shows counts, retries, cancels, hastens and erases jobs, "
        "pauses, resumes, purges and moves queues."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the subcommands."""
        parser.add_argument("--backend", metavar="ALIAS", help="the alias of TASKS (the first of ours)")
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for name, text in (
            ("tasks", "list the registered tasks"),
            ("stats", "count ready, held and unmirrored jobs"),
        ):
            action = actions.add_parser(name, help=text)
            action.add_argument("--json", action="store_true", help="for machines")
        for name, text in (
            ("retry", "make failed and cancelled jobs ready again"),
            ("cancel", "cancel waiting jobs, ask running ones to end"),
            ("run-now", "make scheduled and retrying jobs ready now"),
        ):
            action = actions.add_parser(name, help=text)
            action.add_argument("ids", nargs="+", metavar="ID")
            if name == "cancel":
                action.add_argument("--reason", default="", help="why, for people")
            action.add_argument("--database", help="the alias whose table has the jobs (the first of DATABASES)")
        action = actions.add_parser("schedules", help="list the schedules and their next times")
        action.add_argument("--json", action="store_true", help="for machines")
        for name, text in (
            ("pause-schedule", "make no more jobs by a schedule"),
            ("resume-schedule", "go on with a paused schedule"),
            ("run-schedule", "make a job of a schedule now"),
        ):
            help_of = "the task, or the name in the settings or in the table"
            actions.add_parser(name, help=text).add_argument("task", metavar="SCHEDULE", help=help_of)
        queue_actions.add_arguments(actions)
        self._add_erase(actions)
        chaos.add_arguments(
            actions.add_parser("chaos", help="strike workers of its own with faults, and check the promise")
        )

    @staticmethod
    def _add_erase(actions: Any) -> None:
        erase = actions.add_parser("erase", help="remove jobs everywhere: rows, attempts, Redis")
        erase.add_argument("ids", nargs="*", metavar="ID")
        erase.add_argument(
            "--arg", metavar="NAME=VALUE", help="all jobs with this argument, e.g. email=ann@example.org"
        )
        erase.add_argument("--yes", action="store_true", help="do not ask")
        erase.add_argument("--database", help="the alias whose table has the jobs (all of DATABASES)")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Run a subcommand."""
        try:
            if action == "chaos":
                self._chaos(options)
                return
            backend = compat.get_backend(options["backend"] or compat.default_alias())
            if not isinstance(backend, RedisBackend):
                msg = f"{backend.alias} is {type(backend).__qualname__}, not a RedisBackend"
                raise CommandError(msg)
            if action in queue_actions.ACTIONS:
                queue_actions.ACTIONS[action](backend, options, self._say)
                return
            getattr(self, f"_{action.replace('-', '_')}")(backend, options)
        except (BackieError, compat.InvalidTask, compat.InvalidTaskBackend) as error:
            raise CommandError(str(error)) from error

    def _tasks(self, backend: RedisBackend, options: dict[str, Any]) -> None:
        names = registry.discover(backend.config.task_modules)
        tasks = [(name, registry.get(name)) for name in names]
        if options["json"]:
            rows = [{"name": n, "queue": t.queue_name, "priority": t.priority, "backend": t.backend} for n, t in tasks]
            self.stdout.write(json.dumps(rows))
            return
        width = max((len(name) for name in names), default=0)
        for name, task in tasks:
            self.stdout.write(f"{name:<{width}}  {task.queue_name}  priority {task.priority}  {task.backend}")

    def _stats(self, backend: RedisBackend, options: dict[str, Any]) -> None:
        ready = inspect.ready_counts(backend.broker)
        held = inspect.unfinished(backend.broker) - sum(ready.values())
        marked = inspect.marked(backend.broker)
        paused, tasks = inspect.pauses(backend.broker), inspect.paused_tasks(backend.broker)
        waiting = {task: inspect.parked_of_task(backend.broker, task) for task in tasks}
        parked = max(inspect.parked(backend.broker) - sum(waiting.values()), 0)
        if options["json"]:
            shown = {"ready": ready, "parked": parked, "held": held, "unmirrored": marked}
            shown["paused"] = queue_actions.as_json(paused)
            shown["paused_tasks"] = {
                task: {"waiting": waiting[task], **pause} for task, pause in queue_actions.as_json(tasks).items()
            }
            self.stdout.write(json.dumps(shown, cls=DjangoJSONEncoder))
            return
        for line in [*queue_actions.lines(ready, paused), *queue_actions.task_lines(waiting, tasks)]:
            self.stdout.write(line)
        self.stdout.write(f"{'waiting for room under a limit':<32}{parked:>10}")
        self.stdout.write(f"{'held by workers':<32}{held:>10}")
        self.stdout.write(f"{'not mirrored yet':<32}{marked:>10}")

    def _retry(self, backend: RedisBackend, options: dict[str, Any]) -> None:
        self._act(control.retry, backend, options)

    def _cancel(self, backend: RedisBackend, options: dict[str, Any]) -> None:
        self._act(functools.partial(control.cancel, reason=options["reason"]), backend, options)

    def _run_now(self, backend: RedisBackend, options: dict[str, Any]) -> None:
        self._act(control.run_now, backend, options)

    def _act(self, verb: Callable[..., control.Report], backend: RedisBackend, options: dict[str, Any]) -> None:
        report = verb(_valid_ids(options["ids"]), using=options["database"] or _databases(backend)[0])
        for job_id in report.done:
            self.stdout.write(self.style.SUCCESS(f"{job_id} done"))
        for job_id in report.asked:
            self.stdout.write(self.style.SUCCESS(f"{job_id} asked to end"))
        for job_id, reason in report.refused:
            self.stderr.write(f"{job_id} refused: {reason}")
        if report.refused:
            sys.exit(1)

    def _schedules(self, backend: RedisBackend, options: dict[str, Any]) -> None:
        _discover(backend)
        entries = timetables.overview(backend)
        if options["json"]:
            self.stdout.write(json.dumps([asdict(entry) for entry in entries], cls=DjangoJSONEncoder))
            return
        width = max((len(entry.name or entry.task) for entry in entries), default=0)
        rule_width = max((len(entry.rule) for entry in entries), default=0)
        for entry in entries:
            if entry.problem:
                self.stdout.write(f"{entry.name:<{width}}  {'broken':<{rule_width}}  {entry.problem}")
                continue
            # In the zone of the project: where no request has set another, that is the current one.
            coming = ", ".join(f"{timezone.localtime(slot):%Y-%m-%d %H:%M:%S}" for slot in entry.coming)
            state = "paused" if entry.is_paused else f"next {coming}"
            of = f"  of {entry.task}" if entry.name else ""
            self.stdout.write(f"{entry.name or entry.task:<{width}}  {entry.rule:<{rule_width}}  {state}{of}")

    def _pause_schedule(self, backend: RedisBackend, options: dict[str, Any]) -> None:
        _discover(backend)
        timetables.pause(options["task"], backend)
        self.stdout.write(self.style.SUCCESS(f"{options['task']} is paused"))

    def _resume_schedule(self, backend: RedisBackend, options: dict[str, Any]) -> None:
        _discover(backend)
        timetables.resume(options["task"], backend)
        self.stdout.write(self.style.SUCCESS(f"{options['task']} goes on"))

    def _run_schedule(self, backend: RedisBackend, options: dict[str, Any]) -> None:
        _discover(backend)
        result = timetables.run(options["task"], backend)
        self.stdout.write(self.style.SUCCESS(f"{result.id} is on its way"))

    def _erase(self, backend: RedisBackend, options: dict[str, Any]) -> None:
        databases = [options["database"]] if options["database"] else _databases(backend)
        found = {alias: _matching(alias, options["ids"], options["arg"]) for alias in databases}
        total = sum(map(len, found.values()))
        self.stdout.write(f"{total} job(s) to erase")
        if not total:
            return
        if not options["yes"] and not self._is_confirmed():
            msg = "nothing was erased; add --yes where nobody can be asked"
            raise CommandError(msg)
        erased = sum(control.erase(keys, using=alias) for alias, keys in found.items() if keys)
        self.stdout.write(self.style.SUCCESS(f"{erased} job(s) erased"))

    def _chaos(self, options: dict[str, Any]) -> None:
        # None of the project's backends has anything to do with it.
        if code := chaos.run(options, self._say):
            sys.exit(code)

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

    @staticmethod
    def _is_confirmed() -> bool:
        return sys.stdin.isatty() and input("Erase them for good? [y/N] ").strip().lower() in {"y", "yes"}


def _discover(backend: RedisBackend) -> None:
    """Import the tasks of the project; without a job table they have no schedules."""
    _databases(backend)
    registry.discover(backend.config.task_modules)


def _databases(backend: RedisBackend) -> list[str]:
    if not backend.config.databases:
        msg = f"TASKS[{backend.alias!r}] keeps no job table (OPTIONS['DATABASES'] is empty)"
        raise CommandError(msg)
    return list(backend.config.databases)


def _valid_ids(texts: list[str]) -> list[str]:
    for text in texts:
        if not ids.is_id(text):
            msg = f"{text!r} is not the id of a job"
            raise CommandError(msg)
    return texts


def _matching(alias: str, texts: list[str], argument: str | None) -> list[str]:
    rows = apps.get_model("django_backie", "Job")._default_manager.using(alias)
    keys = [str(key) for key in rows.filter(pk__in=_valid_ids(texts)).values_list("pk", flat=True)]
    if argument is not None:
        name, equals, value = argument.partition("=")
        if not name or not equals:
            msg = f"--arg takes NAME=VALUE, not {argument!r}"
            raise CommandError(msg)
        keys += [str(key) for key in _by_argument(rows, name, value)]
    if not texts and argument is None:
        msg = "name the jobs: ids, or --arg NAME=VALUE"
        raise CommandError(msg)
    return list(dict.fromkeys(keys))


def _by_argument(rows: Any, name: str, value: str) -> list[Any]:
    """Return the jobs with an argument of this value, be it text, a number, true, false or null."""
    # Not arguments__<name>: the name could be a lookup, such as has_key or contains.
    path: Any = "arguments"
    for key in name.split("."):
        path = KeyTransform(key, path)
    argument = rows.alias(argument=path)
    found = list(argument.filter(argument=value).values_list("pk", flat=True))
    try:
        parsed = json.loads(value)
    except ValueError:
        return found
    if parsed is None:
        return found + list(argument.filter(argument=Value(None, JSONField())).values_list("pk", flat=True))
    return found + list(argument.filter(argument=parsed).values_list("pk", flat=True))
