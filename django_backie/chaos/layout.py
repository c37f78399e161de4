"""What the campaign and the processes that it starts must agree on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

VARIABLE = "BACKIE_CHAOS_DIRECTORY"
SETTINGS = "django_backie.chaos.settings"
NAMESPACE = "chaos"
# The shortest that is allowed: what lapses only after it does so often in a minute.
LEASE = 3.0
QUEUES = ("default", "bulk", "urgent")
# One that is paused now and then; what is measured does not wait in it.
SIDE = "side"
COUNTERS = 4
# Seconds between two slots, for the kinds of jobs that come by themselves: by a task's schedule, and by a row.
EVERY = {"tick": 2.0, "chime": 3.0}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a campaign has its things. ``database`` is an entry of Django's DATABASES, ``redis`` a URL."""

    directory: str
    database: dict[str, Any]
    redis: str
    secret: str

    @property
    def path(self) -> Path:
        """Return the directory."""
        return Path(self.directory)

    @property
    def executions(self) -> Path:
        """Return the file in which jobs write down that they run."""
        return self.path / "executions"

    @property
    def operations(self) -> Path:
        """Return the file in which the operator writes down what he has done."""
        return self.path / "operations"

    def write(self) -> None:
        """Write it where the processes will look; the database's password is in it."""
        file = self.path / "layout.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls) -> Layout:
        """Return the layout of the campaign that has started this process."""
        return cls(**json.loads((Path(os.environ[VARIABLE]) / "layout.json").read_text()))
