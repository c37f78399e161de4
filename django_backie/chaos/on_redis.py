"""Faults of Redis, and of the network between it and the workers."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from .plan import Strike
from .proxy import Proxy
from .stage import NoVictim, Stage

# Not there on Windows, where the command must be importable all the same.
resource: Any = None
with suppress(ImportError):
    resource = importlib.import_module("resource")

# Bytes of an append-only file, and seconds of a slow network.
LONGEST_TAIL = 40_000
LEAST_DELAY, MOST_DELAY = 0.01, 0.4


def freeze(stage: Stage, planned: Strike) -> Sequence[int]:
    """Let Redis stand still for a while."""
    with stage.lock:
        stage.server.freeze()
        stage.over.wait(planned.lasts)
        stage.server.thaw()
    return ()


def restart(stage: Stage, planned: Strike) -> Sequence[int]:
    """Kill Redis, and start it with its data."""
    with stage.lock:
        stage.server.kill()
        stage.over.wait(planned.lasts)
        stage.server.start()
    return ()


def restart_empty(stage: Stage, planned: Strike) -> Sequence[int]:
    """Kill Redis, and start it without data."""
    with stage.lock:
        stage.server.kill()
        stage.server.empty()
        stage.over.wait(planned.lasts)
        stage.server.start()
    return ()


def fill(stage: Stage, planned: Strike) -> Sequence[int]:
    """Leave Redis without memory for a while."""
    with stage.lock:
        stage.server.command("CONFIG", "SET", "maxmemory", "1")
        stage.over.wait(planned.lasts)
        stage.server.command("CONFIG", "SET", "maxmemory", "0")
    return ()


def flush_all(stage: Stage, planned: Strike) -> Sequence[int]:
    """Remove all keys."""
    stage.server.command("FLUSHALL")
    return ()


def flush_scripts(stage: Stage, planned: Strike) -> Sequence[int]:
    """Make Redis forget all scripts."""
    stage.server.command("SCRIPT", "FLUSH")
    return ()


def cut(stage: Stage, planned: Strike) -> Sequence[int]:
    """Close all connections."""
    stage.server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    stage.server.command("CLIENT", "KILL", "TYPE", "pubsub")
    return ()


def lose_tail(stage: Stage, planned: Strike) -> Sequence[int]:
    """Kill Redis, and start it without the end of its append-only file."""
    with stage.lock:
        stage.server.kill()
        stage.server.lose_tail(round(planned.pick * LONGEST_TAIL))
        stage.over.wait(planned.lasts)
        stage.server.start()
    return ()


def fill_disk(stage: Stage, planned: Strike) -> Sequence[int]:
    """Let the server write no more to its file, where the system can limit another process."""
    limit = getattr(resource, "prlimit", None)
    if limit is None:
        raise NoVictim
    with stage.lock:
        limit(stage.server.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        stage.over.wait(planned.lasts)
        limit(stage.server.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return ()


def fail_over(stage: Stage, planned: Strike) -> Sequence[int]:
    """Promote a replica that lacks what was written last."""
    with stage.lock:
        if not stage.servers.detach():
            raise NoVictim
        stage.over.wait(planned.lasts)
        stage.servers.fail_over()
    return ()


def hold_both(stage: Stage, planned: Strike) -> Sequence[int]:
    """Deliver nothing for a while, and then everything."""
    proxy = _proxy(stage)
    proxy.hold(requests=True, replies=True)
    stage.over.wait(planned.lasts)
    proxy.hold()
    return ()


def lose_replies(stage: Stage, planned: Strike) -> Sequence[int]:
    """Deliver requests only for a while; the replies are lost."""
    proxy = _proxy(stage)
    proxy.hold(replies=True)
    stage.over.wait(planned.lasts)
    proxy.cut()
    proxy.hold()
    return ()


def slow_down(stage: Stage, planned: Strike) -> Sequence[int]:
    """Delay everything for a while."""
    proxy = _proxy(stage)
    proxy.slow_down(LEAST_DELAY + planned.pick * (MOST_DELAY - LEAST_DELAY))
    stage.over.wait(planned.lasts)
    proxy.slow_down(0.0)
    return ()


def _proxy(stage: Stage) -> Proxy:
    if stage.servers.proxy is None:
        raise NoVictim
    return stage.servers.proxy
