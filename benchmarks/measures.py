"""What several tables measure in the same way."""

from __future__ import annotations

import math
from collections.abc import Mapping

from .samples import Value
from .server import Figures
from .stage import Scene

Sample = Mapping[str, Value]

FIRST = 0.05
WARM_UP = 200
MICRO = 1e6


def drained(scene: Scene, jobs: int, first_jobs: int | None = None) -> dict[str, float]:
    """Start a worker on a queue; return what a job cost, from the first jobs (5 %) to the last."""
    worker = scene.start_worker()
    first = scene.watch(worker, first_jobs or math.ceil(jobs * FIRST))
    last = scene.watch(worker, jobs)
    done = last.done - first.done
    return {
        "rate": done / (last.time - first.time),
        "cpu": (last.cpu - first.cpu) / done * MICRO,
        **_of_server(scene, last.server - first.server, done),
    }


def enqueued(scene: Scene, jobs: int, verb: str, *arguments: object) -> dict[str, float]:
    """Have a warm client make jobs; return what a job cost."""
    before = scene.stage.server.figures()
    took: Mapping[str, float] = scene.client.ask(verb, *arguments)
    used = scene.stage.server.figures() - before
    inside = {"inside": took["inside"] / jobs * MICRO} if "inside" in took else {}
    return {
        "rate": jobs / took["wall"],
        "cpu": took["cpu"] / jobs * MICRO,
        **inside,
        **_of_server(scene, used, jobs),
    }


def _of_server(scene: Scene, used: Figures, jobs: int) -> dict[str, float]:
    """Return what a job cost the server; nothing for a system that does not use it."""
    if not scene.peer.uses_redis:
        return {}
    return {
        "redis_cpu": used.cpu / jobs * MICRO,
        "commands": used.commands / jobs,
        "trips": used.reads / jobs,
    }
