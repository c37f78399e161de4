"""Tasks that come by themselves; only imported where a test wants them."""

from __future__ import annotations

import os
from pathlib import Path

from django_backie import every, task


@task(schedule=every(seconds=1, missed="all"), takes_context=True)
def beat(context: object) -> None:
    """Append the id of the job, whose first part is the slot, to a file."""
    with Path(os.environ["BACKIE_LIFECYCLE_DIR"], "beats.txt").open("a") as file:
        file.write(f"{context.task_result.id}\n")  # type: ignore[attr-defined]
