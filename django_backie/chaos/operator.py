"""The process that does what people do: it pauses a queue or a task, cancels jobs, and writes a schedule as a row.

``python -m django_backie.chaos.operator SEED`` does so until SIGTERM, or until its standard input ends. Then it resumes
what is paused, and pauses the schedules, which else would never let the workers come to an end.
"""

from __future__ import annotations

import random
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from importlib import import_module

import django
from django.db import DatabaseError, InterfaceError, connection

from .. import queues, schedule_rows, task_pauses, timetables
from ..aliases import redis_backend
from ..core.cancellation import Cancellation
from ..exceptions import BrokerError
from . import operations, tables
from .facts import CallingOff, Pause
from .kinds import CALLED_OFF
from .layout import EVERY, SIDE, Layout

BEAT = 0.3
NEWEST = 10
# Seconds.
PAUSES, BETWEEN, EARLIER = (10.0, 14.0), (2.0, 5.0), 3.0
# What two looks at the clock may differ by.
MOMENT = 0.05
OUT_OF_REACH = (BrokerError, DatabaseError, InterfaceError)


class Operator:
    """Does one thing after the other; what is out of reach is left for the next time."""

    def __init__(self, dice: random.Random, layout: Layout) -> None:
        self._dice = dice
        self._file = layout.operations
        self._seen: set[str] = set()
        self._pause: Pause | None = None
        self._next_pause = 0.0
        self.is_over = False

    def run(self) -> None:
        """Work until somebody asks for the end, then leave nothing paused but the schedules."""
        while not self.is_over and not select.select([sys.stdin], [], [], BEAT)[0]:
            for act in (self._write_schedule, self._call_off, self._pause_or_resume):
                _try(act)
        for act in (self._resume, self._pause_schedules):
            while not _try(act):
                time.sleep(BEAT)

    def _write_schedule(self) -> None:
        rows = schedule_rows.rows(redis_backend())
        if not rows.filter(name="chime").exists():
            rule, task = f"every {EVERY['chime']:g} seconds", "django_backie.chaos.tasks.chime"
            schedule_rows.write("chime", redis_backend(), task=task, rule=rule, args=[1], missed="all")

    def _call_off(self) -> None:
        with connection.cursor() as cursor:
            new = [job for job in tables.newest(cursor, "revocable", NEWEST) if job not in self._seen]
        self._seen.update(new)
        for job in new:
            if self._dice.random() < 0.5:
                answer = redis_backend().cancel(job, CALLED_OFF)
                if answer is not Cancellation.REFUSED:
                    operations.write_calling_off(self._file, CallingOff(job, answer, time.monotonic()))

    def _pause_or_resume(self) -> None:
        now = time.monotonic()
        if self._pause is None and now >= self._next_pause:
            self._begin(self._dice.choice([SIDE, "held"]), self._dice.uniform(*PAUSES), now)
        elif self._pause is not None and now >= self._pause.end - EARLIER:
            if self._dice.random() < 0.5:
                self._resume()
            elif now >= self._pause.end:
                self._note(self._pause)

    def _begin(self, name: str, seconds: float, now: float) -> None:
        # It ends by itself, should nobody reach Redis then.
        until, why = timedelta(seconds=seconds), "campaign"
        self._next_pause = now + seconds
        if name == SIDE:
            queues.pause(SIDE, until=until, reason=why)
        else:
            task_pauses.pause(f"django_backie.chaos.tasks.{name}", until=until, reason=why)
        self._pause = Pause(name, time.monotonic(), now + seconds - MOMENT)

    def _resume(self) -> None:
        if self._pause is not None:
            pause, end = self._pause, min(self._pause.end, time.monotonic())
            self._note(replace(pause, end=end))
            if pause.name == SIDE:
                queues.resume(SIDE)
            else:
                task_pauses.resume(f"django_backie.chaos.tasks.{pause.name}")

    def _note(self, pause: Pause) -> None:
        operations.write_pause(self._file, pause)
        self._pause, self._next_pause = None, time.monotonic() + self._dice.uniform(*BETWEEN)

    def _pause_schedules(self) -> None:
        timetables.pause("django_backie.chaos.tasks.tick", redis_backend())
        schedule_rows.rows(redis_backend()).update(is_paused=True)


def _try(act: Callable[[], None]) -> bool:
    try:
        act()
    except OUT_OF_REACH:
        connection.close()
        return False
    return True


def main(seed: int) -> None:
    """Work until SIGTERM, or until standard input ends."""
    django.setup()
    # A row may name only a task that is registered.
    import_module(f"{__package__}.tasks")
    operator = Operator(random.Random(f"{seed}.operator"), Layout.read())  # noqa: S311 - to be repeatable
    signal.signal(signal.SIGTERM, lambda _number, _frame: setattr(operator, "is_over", True))
    operator.run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
