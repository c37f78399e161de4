"""A turn in two halves: the question is sent now, the answer is read later, by another thread perhaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import redis

from ..clock import SYSTEM, Clock
from . import replies, scripts
from .connection import single_client, translated
from .redis import QueueMode, RedisBroker
from .replies import Ending, Turn

# Servers, and what lies between, close connections that say nothing for some minutes.
FRESH = 30.0


class Asking:
    """One question at a time, on a connection of its own that is made with the first.

    ``order`` returns the queues in the order in which a turn is to ask them; by default it is the given one.
    """

    def __init__(
        self,
        broker: RedisBroker,
        queues: Sequence[str],
        mode: QueueMode,
        clock: Clock = SYSTEM,
        order: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self._broker = broker
        self._order = order or (lambda: queues)
        self._mode = mode
        self._client: redis.Redis | None = None
        self._asked: tuple[str, Sequence[Ending], int] = ("", (), 0)
        self._clock = clock
        self._answered = float("-inf")

    @property
    def is_fresh(self) -> bool:
        """Tell whether the connection was in use a moment ago, so that a question goes out at once."""
        return self._clock.monotonic() - self._answered < FRESH

    def ask(self, worker: str, endings: Sequence[Ending], limit: int) -> None:
        """Send a turn as ``RedisBroker.turn`` makes it, and do not wait.

        Raises:
            BrokerUnavailable: the question could not be sent; perhaps it has come through all the same.
        """
        script = scripts.load("turn")
        arguments = self._broker.turn_arguments(worker, endings, limit, self._order(), self._mode)
        with translated(self._broker.config.url):
            if self._client is None:
                self._client = single_client(self._broker.config.url)
            elif not self.is_fresh:
                self._connection.disconnect()
            self._asked = (worker, endings, limit)
            self._connection.send_command("EVALSHA", script.sha, len(script.keys), *arguments)

    def answer(self) -> Turn:
        """Wait for the answer to what was asked last.

        Raises:
            BrokerUnavailable: no answer; the turn may have been made all the same.
        """
        with translated(self._broker.config.url):
            try:
                turn = replies.turn(self._connection.read_response())
            except redis.exceptions.NoScriptError:
                # Nothing was done; a turn by the broker teaches the server the script.
                return self._broker.turn(*self._asked, self._order(), self._mode)
            except BaseException:
                # An answer that comes too late must not be taken for that to the next question.
                self._answered = float("-inf")
                self._connection.disconnect()
                raise
            self._answered = self._clock.monotonic()
            return turn

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()

    @property
    def _connection(self) -> Any:
        # Of the client's own methods none sends and reads apart.
        assert self._client is not None  # noqa: S101 - somebody has asked
        return self._client.connection
