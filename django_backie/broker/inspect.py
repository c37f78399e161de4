"""Read-only questions about a namespace and its server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..core import head
from . import replies
from .connection import translated
from .keys import paused_task
from .redis import PAGE, RedisBroker
from .replies import Pause


def ready_counts(broker: RedisBroker) -> dict[str, int]:
    """Return the number of ready jobs of each known queue."""
    with translated(broker.config.url):
        queues = sorted(map(str, broker.client.smembers(broker.keys["qs"])))
        pipe = broker.client.pipeline(transaction=False)
        for queue in queues:
            pipe.zcard(broker.keys.queue(queue))
        return dict(zip(queues, pipe.execute(), strict=True)) if queues else {}


def pauses(broker: RedisBroker) -> dict[str, Pause]:
    """Return the queues that are paused now, by the server's clock."""
    return {name: pause for name, pause in all_pauses(broker).items() if paused_task(name) is None}


def paused_tasks(broker: RedisBroker) -> dict[str, Pause]:
    """Return the tasks that are paused now, by the server's clock."""
    found = {paused_task(name): pause for name, pause in all_pauses(broker).items()}
    return {task: pause for task, pause in found.items() if task is not None}


def all_pauses(broker: RedisBroker) -> dict[str, Pause]:
    """Return the pauses of queues and of tasks that last, under the names of ``keys.py``."""
    with translated(broker.config.url):
        pipe = broker.client.pipeline(transaction=False)
        pipe.hgetall(broker.keys["p"])
        pipe.time()
        found, (seconds, micros) = pipe.execute()
    now = seconds + micros / 1e6
    paused = {str(queue): replies.pause(text) for queue, text in found.items()}
    return {queue: pause for queue, pause in sorted(paused.items()) if pause.until is None or pause.until > now}


def ready_pages(broker: RedisBroker, queue: str, *, from_end: bool = False) -> Iterator[list[str]]:
    """Yield pages of the ids of a queue's ready jobs, in order, as many as there are at first.

    What has been shown may leave the queue meanwhile: a page begins behind the place where the last one ended. Where
    others come up instead (``lua/include/fair.lua``), they come from the end, and who begins there misses none.
    """
    key = broker.keys.queue(queue)
    with translated(broker.config.url):
        left = int(broker.client.zcard(key))
    start, stop = ("+inf", "-inf") if from_end else ("-inf", "+inf")
    show: Any = broker.client.zrevrangebyscore if from_end else broker.client.zrangebyscore
    while left > 0:
        with translated(broker.config.url):
            found: Any = show(key, start, stop, 0, min(left, PAGE), withscores=True)
        if not found:
            return
        yield [str(job_id) for job_id, _ in found]
        left -= len(found)
        start = f"({found[-1][1]:.0f}"


def parked_pages(broker: RedisBroker, queue: str) -> Iterator[list[str]]:
    """Yield pages of the ids of a queue's jobs that wait for room or for the end of their task's pause, in no order.

    It reads what is set aside of all queues.
    """
    cursor, is_over = 0, False
    while not is_over:
        with translated(broker.config.url):
            found: Any = broker.client.hscan(broker.keys["lw"], cursor, count=PAGE)
            cursor, places = found
            ids = [str(job_id) for job_id, place in places.items() if str(place).endswith(f"|{queue}")]
            bodies: Any = broker.client.hmget(broker.keys["b"], ids) if ids else []
        # A queue may have any name: another's may end like this one's.
        page = [job_id for job_id, body in zip(ids, bodies, strict=True) if head.queue_of(str(body or "")) == queue]
        if page:
            yield page
        is_over = cursor == 0


def unfinished(broker: RedisBroker, queues: list[str] | None = None) -> int:
    """Return how many jobs are ready or held by a worker."""
    counts = ready_counts(broker)
    ready = sum(count for queue, count in counts.items() if queues is None or queue in queues)
    with translated(broker.config.url):
        workers = [str(name) for name in broker.client.zrange(broker.keys["w"], 0, -1)]
        pipe = broker.client.pipeline(transaction=False)
        for worker in workers:
            pipe.hlen(broker.keys.held(worker))
        return ready + sum(map(int, pipe.execute() if workers else []))


_KINDS = {"c": "slot", "r": "token", "t": "task"}


class Waiting(NamedTuple):
    """What a job waits for: ``"slot"``, ``"token"``, or ``"task"`` as its task is paused.

    Then until when its limit is held, in seconds, if it is.
    """

    what: str
    held_until: float | None = None


def parked(broker: RedisBroker) -> int:
    """Return how many jobs wait for room under a limit, or for the end of their task's pause."""
    with translated(broker.config.url):
        return int(broker.client.hlen(broker.keys["lw"]))


def parked_of_task(broker: RedisBroker, task: str) -> int:
    """Return how many jobs of a paused task have been put aside; others may stand in their queues still."""
    line, count, start = broker.keys[f"lp:t{task}"], 0, 0
    with translated(broker.config.url):
        while ids := [str(job_id) for job_id in broker.client.zrange(line, start, start + PAGE - 1)]:
            places = broker.client.hmget(broker.keys["lw"], ids)
            # An entry of the line is void where the job is elsewhere by now.
            count += sum(str(place or "").partition("|")[0] == f"t{task}" for place in places)
            start += PAGE
    return count


def waiting(broker: RedisBroker) -> dict[str, int]:
    """Return how many jobs are ready, set aside (see ``parked``), and due at a later time."""
    with translated(broker.config.url):
        later = int(broker.client.zcard(broker.keys["s"]))
    return {"ready": sum(ready_counts(broker).values()), "set aside": parked(broker), "due later": later}


def measure(broker: RedisBroker, key: str) -> float | None:
    """Return how many slots an adaptive limit has found; None where no job of it has begun for a day."""
    with translated(broker.config.url):
        found = broker.client.hget(broker.keys["lm"], key)
    return None if found is None else int(str(found).partition("|")[0]) / 1000


def waits_for(broker: RedisBroker, job_id: str) -> Waiting | None:
    """Return what keeps a ready job from being started, or None where no limit does."""
    with translated(broker.config.url):
        key = str(broker.client.hget(broker.keys["lw"], job_id) or "").partition("|")[0]
        if not key:
            return None
        pipe = broker.client.pipeline(transaction=False)
        pipe.zscore(broker.keys["lh"], key[1:])
        pipe.time()
        until, (seconds, micros) = pipe.execute()
    is_held = until is not None and until / 1000 > seconds + micros / 1e6
    return Waiting(_KINDS[key[0]], until / 1000 if is_held else None)


def marked(broker: RedisBroker) -> int:
    """Return how many jobs wait to be mirrored."""
    with translated(broker.config.url):
        return int(broker.client.zcard(broker.keys["d"]))


def server_info(broker: RedisBroker) -> dict[str, Any]:
    """Return the server's INFO, and empty values where it may not be asked."""
    with translated(broker.config.url):
        return dict(broker.client.info())
