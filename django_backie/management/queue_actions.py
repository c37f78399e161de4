"""``manage.py backie pause | resume | purge | move``, and the lines of ``stats`` about queues and paused tasks."""

from __future__ import annotations

import argparse
import getpass
import re
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from .. import queues, registry, task_pauses
from ..backend import RedisBackend
from ..broker import inspect
from ..broker.replies import Pause
from ..exceptions import did_you_mean
from ..moments import moment

Say = Callable[[str], object]
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_arguments(actions: Any) -> None:
    """Declare the subcommands."""
    pause = actions.add_parser("pause", help="let a queue, or a task, give out no jobs")
    pause.add_argument("--reason", default="", help="why, for others to read")
    pause.add_argument("--for", dest="duration", type=_duration, metavar="10m", help="s, m, h or d (until resumed)")
    resume = actions.add_parser("resume", help="let a queue, or a task, give out jobs again")
    purge = actions.add_parser("purge", help="cancel all ready jobs of a queue")
    purge.add_argument("--reason", default="", help="why, for others to read")
    purge.add_argument("--yes", action="store_true", help="do not ask")
    for action in (pause, resume):
        which = action.add_mutually_exclusive_group(required=True)
        which.add_argument("queue", nargs="?", metavar="QUEUE")
        which.add_argument("--task", metavar="TASK", help="a task, in all queues")
    purge.add_argument("queue", metavar="QUEUE")
    move = actions.add_parser("move", help="put the ready jobs of a queue into another one")
    move.add_argument("source", metavar="FROM")
    move.add_argument("target", metavar="TO")


def pause(backend: RedisBackend, options: dict[str, Any], say: Say) -> None:
    """Pause a queue or a task, and say so where nobody knows it."""
    named = {"until": options["duration"], "reason": options["reason"], "by": _who(), "backend": backend.alias}
    if task := options["task"]:
        task_pauses.pause(task, **named)
        say(f"{task} is paused")
        names = set(registry.discover(backend.config.task_modules))
        if task not in names:
            say(f"no task is named {task!r}{did_you_mean(task, names)}")
        return
    queue = options["queue"]
    known = _known(backend)
    queues.pause(queue, **named)
    say(f"{queue} is paused")
    if queue not in known:
        say(f"no task names the queue {queue!r}, and no job has come into it{did_you_mean(queue, known)}")


def resume(backend: RedisBackend, options: dict[str, Any], say: Say) -> None:
    """Resume a queue or a task."""
    name = options["task"] or options["queue"]
    was_paused = (task_pauses if options["task"] else queues).resume(name, backend=backend.alias)
    say(f"{name} goes on" if was_paused else f"{name} was not paused")


def purge(backend: RedisBackend, options: dict[str, Any], say: Say) -> None:
    """Cancel the ready jobs of a queue, once that is confirmed."""
    queue = options["queue"]
    count = inspect.ready_counts(backend.broker).get(queue, 0)
    count += sum(map(len, inspect.parked_pages(backend.broker, queue)))
    say(f"{count} job(s) to cancel in {queue}")
    if not count:
        return
    if not options["yes"] and not _is_confirmed():
        msg = "nothing was cancelled; add --yes where nobody can be asked"
        raise CommandError(msg)
    say(f"{queues.purge(queue, reason=options['reason'], backend=backend.alias)} job(s) cancelled")


def move(backend: RedisBackend, options: dict[str, Any], say: Say) -> None:
    """Move the ready jobs of a queue."""
    done = queues.move(options["source"], options["target"], backend=backend.alias)
    say(f"{done.moved} job(s) moved to {options['target']}")
    if done.unreadable:
        msg = f"{done.unreadable} job(s) stay in {options['source']}: they cannot be read"
        raise CommandError(msg)


ACTIONS = {"pause": pause, "resume": resume, "purge": purge, "move": move}


def lines(ready: dict[str, int], paused: dict[str, Pause]) -> list[str]:
    """Return a line for each queue, the paused ones with what people should know of that."""
    queues = sorted({*ready, *paused})
    return [f"{queue:<32}{ready.get(queue, 0):>10} ready{_note(paused.get(queue))}" for queue in queues]


def task_lines(waiting: dict[str, int], paused: dict[str, Pause]) -> list[str]:
    """Return a line for each paused task, given how many of its jobs wait aside."""
    return [f"{task:<32}{waiting[task]:>10} aside{_note(pause)}" for task, pause in paused.items()]


def as_json(paused: dict[str, Pause]) -> dict[str, Any]:
    """Return pauses as machines read them."""
    return {
        queue: {"since": moment(pause.since), "until": moment(pause.until), "reason": pause.reason, "by": pause.by}
        for queue, pause in paused.items()
    }


def _note(pause: Pause | None) -> str:
    if pause is None:
        return ""
    parts = [f"  paused since {_clock(pause.since)}"]
    if pause.until is not None:
        parts.append(f" until {_clock(pause.until)}")
    if pause.by:
        parts.append(f" by {pause.by}")
    return "".join(parts) + (f": {pause.reason}" if pause.reason else "")


def _clock(seconds: float) -> str:
    when: datetime = moment(seconds)
    return f"{timezone.localtime(when) if timezone.is_aware(when) else when:%Y-%m-%d %H:%M:%S}"


def _known(backend: RedisBackend) -> set[str]:
    registry.discover(backend.config.task_modules)
    return {*registry.queues(), *inspect.ready_counts(backend.broker)}


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        # In a container the user's number may have no name.
        return ""


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if not match or not int(match[1]):
        msg = f"{text!r} is not a duration, such as 90s, 10m, 2h or 1d"
        raise argparse.ArgumentTypeError(msg)
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def _is_confirmed() -> bool:
    return sys.stdin.isatty() and input("Cancel them? [y/N] ").strip().lower() in {"y", "yes"}
