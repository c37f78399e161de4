"""Enqueue jobs that do nothing, a thousand in a transaction: ``python -m tests.soak.feed DIRECTORY JOBS``.

A process of its own, as a web process is. It waits while much is in Redis: the database is slower than everything else,
and what is to be measured is a worker that works, not a queue that grows.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import django

BATCH = 1000
MOST_IN_REDIS = 10_000


def main(directory: str, jobs: int) -> None:
    """Enqueue, and keep the number in a file."""
    django.setup()
    from django_backie import compat

    from .tasks import nothing

    broker = compat.get_backend("default").broker
    for fed in range(0, jobs, BATCH):
        while broker.client.hlen(broker.keys["b"]) > MOST_IN_REDIS:
            time.sleep(0.05)
        nothing.delay_many([()] * min(BATCH, jobs - fed))
        Path(directory, "fed.txt").write_text(str(min(fed + BATCH, jobs)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
