"""Wait for jobs: block on the markers of queues, and take what there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import redis

from . import replies, scripts
from .connection import blocking_client, translated
from .redis import QueueMode, RedisBroker
from .replies import Turn


class Listener:
    """Blocks until there may be work. One per worker, on a connection of its own.

    ``order`` returns the queues in the order in which a turn is to ask them; by default it is the given one.
    """

    def __init__(
        self,
        broker: RedisBroker,
        queues: Sequence[str],
        mode: QueueMode,
        longest: float,
        order: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self._broker = broker
        self._queues = tuple(queues)
        self._order = order or (lambda: self._queues)
        self._mode = mode
        self._longest = longest
        self._client = broker._client or blocking_client(broker.config.url, longest)

    def take(self, seconds: float, worker: str, limit: int) -> Turn | None:
        """Block until a marker is set, at most the given seconds; then take up to ``limit`` jobs, marker or none.

        All in one round trip. None: the server does not know the script any more; a turn by the broker teaches it.

        Raises:
            BrokerUnavailable: the connection broke; jobs may have been given all the same.
        """
        script = scripts.load("turn")
        arguments = self._broker.turn_arguments(worker, (), limit, self._order(), self._mode)
        with translated(self._broker.config.url):
            # The server goes on to the second as soon as the first lets go: it saves a round trip where it counts most.
            pipeline = self._client.pipeline(transaction=False)
            # A timeout of 0 would block for ever.
            pipeline.bzpopmin(self.markers(), max(0.01, min(seconds, self._longest)))
            pipeline.evalsha(script.sha, len(script.keys), *arguments)
            answers = pipeline.execute(raise_on_error=False)
            if isinstance(answers[1], redis.exceptions.NoScriptError):
                return None
            for answer in answers:
                if isinstance(answer, redis.exceptions.ReadOnlyError):
                    # A server that was demoted keeps its connections; the address may lead to another by now.
                    self._client.connection_pool.disconnect()
                if isinstance(answer, Exception):
                    raise answer
        return replies.turn(answers[1])

    def markers(self) -> list[str]:
        """Return the markers to wait for: only such as tell of jobs that this worker may take."""
        keys = self._broker.keys
        if self._mode == "only":
            return [keys.marker(queue) for queue in self._queues]
        if not self._queues:
            return [keys.marker(None)]
        known = {str(queue) for queue in self._client.smembers(keys["qs"])}
        return [*(keys.marker(queue) for queue in sorted(known - {*self._queues})), keys["kn"]]

    def close(self) -> None:
        """Close the connection."""
        if self._broker._client is None:
            self._client.close()
