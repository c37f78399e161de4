"""Give way to what is in a hurry, on a core that both need."""

from __future__ import annotations

import os

# Who gives way forfeits its turn (``sched_yield(2)``), so it does so only while it has little to do.
LITTLE = 50


def give_way(rows: int) -> None:
    """Let a process that waits for this core go first, where there are few rows to write.

    Linux lets whoever runs go on for some milliseconds before it asks who waits: as long as it takes to mirror ten jobs
    whose code is in no cache, and longer than a job may have to wait for its idle worker.
    """
    if rows <= LITTLE and hasattr(os, "sched_yield"):
        os.sched_yield()
