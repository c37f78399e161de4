"""The program that runs in a system's own environment: ``python -m benchmarks.inside PEER``.

It reads requests from standard input, a JSON list of a verb and its arguments on each line, and answers each with a
line of JSON. Verbs are those of the system's module, and the common ones below.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import platform
import random
import sys
import time
from types import ModuleType
from typing import Any

from . import load

SPREAD = 0.2


class Inside:
    """What can be asked for."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def facts(self) -> dict[str, Any]:
        """Say how the system is set, how its workers are started, and what is installed."""
        load_ = load.current()
        versions = {found.name.lower(): found.version for found in importlib.metadata.distributions()}
        return {
            "settings": self._module.settings(load_),
            "workers": self._module.workers(load_),
            "versions": {"python": platform.python_version(), **versions},
        }

    def fill(self, body: str, count: int) -> None:
        """Make many jobs, in the cheapest way there is."""
        calls = [(value,) for value in range(count)] if body == "number" else [()] * count
        self._module.enqueue_many(body, calls)

    def one_by_one(self, count: int) -> dict[str, float]:
        """Make no-ops with a call each; return seconds."""
        enqueue = self._module.enqueue
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            enqueue("noop")
        return {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}

    def in_bulk(self, count: int, size: int) -> dict[str, float]:
        """Make no-ops with one call for each ``size`` of them; return seconds."""
        began, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            self._module.enqueue_many("noop", [()] * size)
        return {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}

    def trickle(self, count: int, pause: float) -> None:
        """Make jobs that stamp, about so many seconds apart: not in step with anybody's polling."""
        for _ in range(count):
            time.sleep(pause * random.uniform(1 - SPREAD, 1 + SPREAD))
            self._module.enqueue("stamp", time.monotonic())

    def answer(self, verb: str, *arguments: Any) -> Any:
        """Answer one request."""
        own = getattr(self._module, "VERBS", {})
        return own[verb](*arguments) if verb in own else getattr(self, verb)(*arguments)


def main() -> None:
    """Serve requests until standard input ends."""
    # What the system prints must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    load.enter_project()
    inside = Inside(importlib.import_module(sys.argv[1]))
    for request in sys.stdin:
        print(json.dumps(inside.answer(*json.loads(request))), file=answers)


if __name__ == "__main__":
    main()
