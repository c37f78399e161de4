"""What a system is prepared for, handed to its own environment as one variable."""

from __future__ import annotations

import importlib
import json
import os
from dataclasses import asdict, dataclass
from typing import Literal

VARIABLE = "BENCH_LOAD"
Style = Literal["threads", "async"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How a system is to be set: for no-ops, for waits so many wide, or as it comes.

    ``processes`` None means as many as the system starts by itself; ``style`` matters to those that run waits both
    ways, ``durability`` and ``mirror`` to ours. ``in_project`` has every system load Django, as it does in a Django
    project.
    """

    kind: Literal["noop", "waits", "default"] = "default"
    processes: int | None = None
    width: int = 1
    style: Style = "threads"
    durability: Literal["outbox", "commit"] = "outbox"
    mirror: Literal["on", "paused"] = "on"
    in_project: bool = False

    @property
    def count(self) -> int:
        """Return the number of worker processes, one if the system may choose."""
        return self.processes or 1

    def as_environment(self) -> dict[str, str]:
        """Return the variable that carries this to another process."""
        return {VARIABLE: json.dumps(asdict(self))}


def enter_project() -> None:
    """Load Django, if this process is part of a Django project."""
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        importlib.import_module("django").setup()


def current() -> Load:
    """Return the load that this process was started for."""
    return Load(**json.loads(os.environ.get(VARIABLE, "{}")))
