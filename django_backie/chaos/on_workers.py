"""Faults of workers: killed, told to stop, stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .plan import Strike
from .processes import Program, children
from .stage import NoVictim, Stage

# A child is born before it runs jobs: the one for the duties, and one that works.
FULL_TREE = 2


def kill_child(stage: Stage, planned: Strike) -> Sequence[int]:
    """Kill a worker process."""
    _, tree = _tree(stage, planned)
    return _kill(tree[1:2])


def kill_duties(stage: Stage, planned: Strike) -> Sequence[int]:
    """Kill a housekeeping process."""
    _, tree = _tree(stage, planned)
    return _kill(tree[:1])


def kill_parent(stage: Stage, planned: Strike) -> Sequence[int]:
    """Kill a parent; its children notice."""
    worker, tree = _tree(stage, planned)
    os.kill(worker.pid or _nobody(), signal.SIGKILL)
    return tree


def kill_tree(stage: Stage, planned: Strike) -> Sequence[int]:
    """Kill a parent and its children."""
    worker, tree = _tree(stage, planned)
    worker.send_tree(signal.SIGKILL)
    return tree


def term(stage: Stage, planned: Strike) -> Sequence[int]:
    """Ask a worker to end."""
    worker, tree = _tree(stage, planned)
    worker.send(signal.SIGTERM)
    return tree


def term_twice(stage: Stage, planned: Strike) -> Sequence[int]:
    """Ask a worker to end, and then to hand back what it runs."""
    worker, tree = _tree(stage, planned)
    pid = worker.pid
    worker.send(signal.SIGTERM)
    stage.over.wait(0.2)
    if worker.pid == pid:
        worker.send(signal.SIGTERM)
    return tree


def stop_child(stage: Stage, planned: Strike) -> Sequence[int]:
    """Stop a worker process for a while."""
    _, tree = _tree(stage, planned)
    return _stop(stage, tree[1:2], planned.lasts)


def stop_tree(stage: Stage, planned: Strike) -> Sequence[int]:
    """Stop a whole worker for a while, as a frozen host does."""
    worker, tree = _tree(stage, planned)
    return _stop(stage, [worker.pid or _nobody(), *tree], planned.lasts)


def _stop(stage: Stage, pids: Sequence[int], seconds: float) -> Sequence[int]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    stage.over.wait(seconds)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    return pids


def _tree(stage: Stage, planned: Strike) -> tuple[Program, list[int]]:
    """Return a worker that is complete, and its children: the one for the duties comes first."""
    order = _rotated(stage.workers, planned.pick)
    for worker in order:
        pid = worker.pid
        tree = sorted(children(pid), key=_threads) if pid else []
        if len(tree) >= FULL_TREE:
            return worker, tree
    raise NoVictim


def _threads(pid: int) -> int:
    """Return how many threads a process has, where that can be told: the one for the duties has the fewest."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return 0


def _rotated(workers: Sequence[Program], pick: float) -> list[Program]:
    first = min(int(pick * len(workers)), len(workers) - 1)
    return [*workers[first:], *workers[:first]]


def _kill(pids: Sequence[int]) -> Sequence[int]:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return pids


def _nobody() -> int:
    raise NoVictim
