"""Copy what changed in Redis into the job table."""

from __future__ import annotations

from .. import mirror
from ..backend import RedisBackend
from ..base_backend import describe


class Mirror:
    """Twice a second, without pause while there is a full batch."""

    name = "mirror"
    interval = 0.5
    batch = 500

    def __init__(self, backend: RedisBackend) -> None:
        self._backend = backend

    def tick(self) -> float:
        """Mirror one batch."""
        return 0.0 if self.flush() == self.batch else self.interval

    def flush(self) -> int:
        """Mirror one batch; answer its size."""
        backend, broker = self._backend, self._backend.broker
        snapshots = broker.take(self.batch)
        if snapshots:
            mirror.write(
                snapshots,
                backend.config.databases,
                backend.unpack,
                lambda job: describe(job, backend.config),
                backend.alias,
            )
            erased = broker.done({snapshot.id: snapshot.version for snapshot in snapshots})
            mirror.forget(erased, backend.config.databases)
        return len(snapshots)

    def drain(self) -> None:
        """Mirror until nothing is left, at most what a busy namespace changes meanwhile."""
        for _ in range(1000):
            if self.flush() < self.batch:
                return
