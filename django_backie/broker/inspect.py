"""Read-only questions about a namespace and its server."""

from __future__ import annotations

from typing import Any

from .connection import translated
from .redis import RedisBroker


def ready_counts(broker: RedisBroker) -> dict[str, int]:
    """Return the number of ready jobs of each known queue."""
    with translated(broker.config.url):
        queues = sorted(map(str, broker.client.smembers(broker.keys["qs"])))
        pipe = broker.client.pipeline(transaction=False)
        for queue in queues:
            pipe.zcard(broker.keys.queue(queue))
        return dict(zip(queues, pipe.execute(), strict=True)) if queues else {}


def unfinished(broker: RedisBroker, queues: list[str] | None = None) -> int:
    """Return how many jobs are ready or held by a worker."""
    counts = ready_counts(broker)
    ready = sum(count for queue, count in counts.items() if queues is None or queue in queues)
    with translated(broker.config.url):
        workers = [str(name) for name in broker.client.zrange(broker.keys["w"], 0, -1)]
        pipe = broker.client.pipeline(transaction=False)
        for worker in workers:
            pipe.hlen(broker.keys.held(worker))
        return ready + sum(map(int, pipe.execute() if workers else []))


def marked(broker: RedisBroker) -> int:
    """Return how many jobs wait to be mirrored."""
    with translated(broker.config.url):
        return int(broker.client.zcard(broker.keys["d"]))


def server_info(broker: RedisBroker) -> dict[str, Any]:
    """Return the server's INFO, and empty values where it may not be asked."""
    with translated(broker.config.url):
        return dict(broker.client.info())
