"""Notice that a server has lost what it had been told.

The key ``epoch`` holds the identity of the server on which jobs and rows were last found to agree: its ``run_id``, new
with each start, and its ``master_replid``, new with each promotion (Redis, ``INFO``). A server that was emptied has no
such key; one that was restarted, or promoted from a replica, finds another identity in it than its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import redis

from .connection import translated
from .redis import RedisBroker


@dataclass(frozen=True, slots=True)
class Epoch:
    """Who the server is, None where it does not tell (an ACL without INFO, a proxy); and who it was when last kept."""

    identity: str | None
    known: str | None

    @property
    def has_changed(self) -> bool:
        """Tell whether the server may have lost something since the identity was kept."""
        return self.identity is not None and self.identity != self.known


def look(broker: RedisBroker) -> Epoch:
    """Return the epoch, in one round trip."""
    with translated(broker.config.url):
        pipe = broker.client.pipeline(transaction=False)
        pipe.info("server")
        pipe.info("replication")
        pipe.get(broker.keys["epoch"])
        server, replication, known = pipe.execute(raise_on_error=False)
        for answer in (server, replication, known):
            if isinstance(answer, Exception) and not isinstance(answer, redis.exceptions.NoPermissionError):
                raise answer
    if isinstance(server, Exception) or isinstance(replication, Exception):
        return Epoch(None, known)
    names = [str(server.get("run_id", "")), str(replication.get("master_replid", ""))]
    return Epoch(":".join(names) if any(names) else None, known)
