"""A task that comes by the settings; only imported where a test wants it."""

from __future__ import annotations

import os
from pathlib import Path

from django_backie import task


@task(takes_context=True)
def pulse(context: object, file: str) -> None:
    """Append the id of the job, whose first part is the slot, to a file."""
    with Path(os.environ["BACKIE_LIFECYCLE_DIR"], file).open("a") as lines:
        lines.write(f"{context.task_result.id}\n")  # type: ignore[attr-defined]
