"""The process that enqueues: a parent with children that are killed and replaced.

``python -m django_backie.chaos.producer SEED COUNT RATE`` keeps COUNT children, each of which commits about RATE jobs a
second. SIGUSR1 to a child makes it die after its next commit, SIGUSR2 makes it enqueue a poison pill. It ends when its
standard input does.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time

import django
from django.db import DatabaseError, InterfaceError, connection, transaction

from . import shipments

PAUSE = 0.2
# Transactions between two looks at the backlog.
LOOK_EVERY = 20
BEAT = 0.1
# Seconds of lost time that are made up for; with more than that the backlog would be the fault.
CATCH_UP = 30.0


def main(seed: int, count: int, rate: float) -> None:
    """Keep the children until standard input ends, then kill them."""
    django.setup()
    pids: dict[int, int] = {}
    generation = 0
    try:
        while not _has_ended(sys.stdin.fileno()):
            for place in range(count):
                if place not in pids or os.waitpid(pids[place], os.WNOHANG)[0]:
                    generation += 1
                    pids[place] = _fork(random.Random(f"{seed}.{generation}"), rate)  # noqa: S311 - to be repeatable
    finally:
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)


def _has_ended(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], BEAT)[0])


def _fork(dice: random.Random, rate: float) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            Child(dice, rate).run()
        finally:
            os._exit(1)
    return pid


class Child:
    """Commits jobs at a rate until it is killed."""

    def __init__(self, dice: random.Random, rate: float) -> None:
        self._dice = dice
        self._rate = rate
        self._is_doomed = False
        self._pills = 0
        self._until_look = LOOK_EVERY

    def run(self) -> None:
        """Commit jobs while the parent lives."""
        signal.signal(signal.SIGUSR1, lambda _number, _frame: setattr(self, "_is_doomed", True))
        signal.signal(signal.SIGUSR2, lambda _number, _frame: setattr(self, "_pills", self._pills + 1))
        parent, due = os.getppid(), time.monotonic()
        while os.getppid() == parent:
            try:
                self._wait_for_room()
                due += self._commit() / self._rate
            except (DatabaseError, InterfaceError):
                connection.close()
                time.sleep(PAUSE)
            now = time.monotonic()
            due = max(due, now - CATCH_UP)
            time.sleep(max(0.0, due - now))

    def _wait_for_room(self) -> None:
        self._until_look -= 1
        if self._until_look <= 0:
            self._until_look = LOOK_EVERY
            while not shipments.has_room():
                time.sleep(PAUSE)

    def _commit(self) -> int:
        if self._pills:
            with transaction.atomic():
                shipments.place(["poison"], self._dice)
            self._pills -= 1
        return shipments.commit(self._dice, _die if self._is_doomed else None)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
