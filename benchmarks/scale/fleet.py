"""Many idle workers on one thread: what each of their connections sends, at its own pace; answers are not awaited."""

from __future__ import annotations

import heapq
import random
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django_backie.broker.redis import RedisBroker

Step = tuple[float, bytes]


def schedules(broker: RedisBroker, parents: int, children: int) -> Iterator[list[Step]]:
    """Yield what each connection sends: seconds from one time to the next, and the command."""
    # The server learns the scripts, for what goes over the wire names them only.
    for call in (broker.tick, lambda: broker.take(1), lambda: broker.renew({}), lambda: broker.turn("w")):
        call()
    silent = RedisBroker(broker.config, Dictation())  # type: ignore[arg-type]
    look = command("INFO", "server") + command("INFO", "replication") + command("GET", broker.keys["epoch"])
    tick, take = dictated(silent.tick), dictated(lambda: silent.take(500))
    wait = command("BZPOPMIN", broker.keys.marker(None), 5)
    for parent in range(parents):
        names = [f"host-{parent}:4121.{number}:0a1b2c3d.0" for number in range(1, children + 1)]
        yield [(1.0, tick), (5.0, dictated(lambda: silent.renew(dict.fromkeys(names, ()))))]  # noqa: B023
        yield [(1.0, tick), (1.0, look), (0.5, take)]  # the duties
        for name in names:
            broker.join(name)
            yield [(5.02, wait)]
            yield [(5.02, dictated(lambda: silent.turn(name, limit=8)))]  # noqa: B023


class Plan:
    """Sockets, and when which of them sends what."""

    def __init__(self) -> None:
        self.sockets: dict[int, socket.socket] = {}
        self.poll = select.epoll()
        self.due: list[tuple[float, int, float, bytes]] = []

    def connect(self, port: int) -> int:
        """Open a socket and return its number."""
        opened = socket.create_connection(("127.0.0.1", port))
        opened.setblocking(False)
        self.sockets[opened.fileno()] = opened
        self.poll.register(opened, select.EPOLLIN)
        return opened.fileno()

    def answered(self, seconds: float = 0.0) -> list[int]:
        """Read what has arrived, unparsed; return the sockets that were answered."""
        found = [number for number, _event in self.poll.poll(seconds)]
        for number in found:
            with suppress(BlockingIOError):
                self.sockets[number].recv(1 << 20)
        return found


@contextmanager
def connections(schedules: Iterable[list[Step]], port: int) -> Iterator[Plan]:
    """Give one connection for each schedule, each beginning at a moment of its own."""
    plan, dice, now = Plan(), random.Random(1), time.monotonic()
    try:
        for steps in schedules:
            number = plan.connect(port)
            plan.due += [(now + dice.random() * every, number, every, text) for every, text in steps]
        heapq.heapify(plan.due)
        yield plan
    finally:
        for opened in plan.sockets.values():
            opened.close()
        plan.poll.close()


def play(plan: Plan, until: float) -> None:
    """Send what is due, and throw away what is answered, until a time of the monotonic clock."""
    while (now := time.monotonic()) < until:
        while plan.due[0][0] <= now:
            due, number, every, text = plan.due[0]
            plan.sockets[number].send(text)
            # A late command does not make the next one early.
            heapq.heapreplace(plan.due, (max(due + every, now), number, every, text))
        plan.answered(max(0.0, plan.due[0][0] - now))


class Said(Exception):
    """What a broker wanted to send."""


class Dictation:
    """A client that tells what it should have sent."""

    def evalsha(self, *arguments: Any) -> None:
        """Tell."""
        raise Said("EVALSHA", *arguments)


def command(*words: object) -> bytes:
    """Return a command as it goes over the wire."""
    texts = [str(word).encode() for word in words]
    return b"".join([b"*%d\r\n" % len(texts), *(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)])


def dictated(call: Callable[[], object]) -> bytes:
    """Return the command that a call would send."""
    try:
        call()
    except Said as said:
        return command(*said.args)
    msg = "the broker sent nothing"
    raise RuntimeError(msg)
