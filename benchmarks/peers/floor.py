"""Bare redis-py: what a worker in Python could reach that does nothing but fetch, run and acknowledge.

As a program it is that worker. Claimed jobs lie in a hash of the worker until they are acknowledged, so it is *at
least once* too; for the default settings it is one BRPOP a job, *at most once*.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import redis
import redis.asyncio

from benchmarks import bodies, load

URL = os.environ.get("BENCH_REDIS", "redis://")
LOAD = load.current()
BATCH = 100
PAUSE = 0.002
ACKS_AND_CLAIMS = """
for at = 2, #ARGV do redis.call('HDEL', KEYS[2], ARGV[at]) end
local claimed = redis.call('RPOP', KEYS[1], ARGV[1]) or {}
for _, body in ipairs(claimed) do redis.call('HSET', KEYS[2], body, '') end
return claimed
"""

# What a job is made of that survives its worker and is copied into a table: is it here, or was it erased; its number,
# its mark, its place, two bells for those who wait, and its body.
PROMISE = """
local now = redis.call('TIME')
redis.call('HMGET', KEYS[1], ARGV[1])
redis.call('EXISTS', KEYS[2], KEYS[3])
local number = redis.call('INCRBY', KEYS[4], 1)
redis.call('SADD', KEYS[5], 'default')
redis.call('ZADD', KEYS[6], now[1], ARGV[1])
redis.call('ZADD', KEYS[7], number, ARGV[1])
redis.call('ZADD', KEYS[8], 0, '1')
redis.call('ZADD', KEYS[9], 0, '1')
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
"""

client = redis.Redis.from_url(URL)
_promise = client.register_script(PROMISE)


def settings(load: load.Load) -> str:
    """Say what it does."""
    return {
        "noop": f"a script claims {BATCH} and acknowledges the {BATCH} before",
        "waits": f"a script claims what is free, and acknowledges, at most every {PAUSE * 1000:.0f} ms; {load.style}",
        "default": "BRPOP, acknowledges nothing",
    }[load.kind]


def workers(load: load.Load) -> list[list[str]]:
    """Return the command lines of the workers."""
    return [[sys.executable, "-m", __name__]] * load.count


def enqueue(body: str, *arguments: object) -> None:
    """Make a job: one LPUSH, or the commands that keep a promise, in a script."""
    if LOAD.durability == "commit":
        _promise(keys=[*"abcdefghi"], args=[os.urandom(16).hex(), _packed(body, arguments)])
    else:
        client.lpush("jobs", _packed(body, arguments))


def enqueue_many(body: str, calls: Sequence[tuple[object, ...]]) -> None:
    """Make many: LPUSH with many values."""
    for start in range(0, len(calls), 1000):
        client.lpush("jobs", *(_packed(body, call) for call in calls[start : start + 1000]))


def _packed(body: str, arguments: Sequence[object]) -> str:
    """Return a job of about 150 bytes."""
    return json.dumps({"id": os.urandom(16).hex(), "task": body, "arguments": arguments, "pad": "x" * 50})


def _unpacked(job: bytes) -> tuple[str, Sequence[object]]:
    values = json.loads(job)
    return values["task"], values["arguments"]


def _one_by_one() -> None:
    while True:
        found = client.brpop(["jobs"], timeout=5)
        if found:
            body, arguments = _unpacked(found[1])
            bodies.SYNC[body](*arguments)


def _in_batches() -> None:
    turn, held = client.register_script(ACKS_AND_CLAIMS), f"held-{os.getpid()}"
    done: list[bytes] = []
    while True:
        done = turn(keys=["jobs", held], args=[BATCH, *done])
        for job in done:
            body, arguments = _unpacked(job)
            bodies.SYNC[body](*arguments)
        if not done:
            time.sleep(PAUSE)


def _in_threads(width: int) -> None:
    turn, held = client.register_script(ACKS_AND_CLAIMS), f"held-{os.getpid()}"
    done: deque[bytes] = deque()
    busy = 0

    def run(job: bytes) -> None:
        body, arguments = _unpacked(job)
        bodies.SYNC[body](*arguments)
        done.append(job)

    with ThreadPoolExecutor(width) as pool:
        while True:
            acks = [done.popleft() for _ in range(len(done))]
            busy -= len(acks)
            if acks or busy < width:
                claimed = turn(keys=["jobs", held], args=[width - busy, *acks])
                busy += len(claimed)
                for job in claimed:
                    pool.submit(run, job)
            time.sleep(PAUSE)


async def _in_a_loop(width: int) -> None:
    aclient = redis.asyncio.Redis.from_url(URL)
    turn, held = aclient.register_script(ACKS_AND_CLAIMS), f"held-{os.getpid()}"
    done: deque[bytes] = deque()
    running: set[asyncio.Task[None]] = set()

    async def run(job: bytes) -> None:
        body, arguments = _unpacked(job)
        await bodies.ASYNC[body](*arguments)
        done.append(job)

    while True:
        acks = [done.popleft() for _ in range(len(done))]
        if acks or len(running) < width:
            for job in await turn(keys=["jobs", held], args=[width - len(running), *acks]):
                running.add(task := asyncio.create_task(run(job)))
                task.add_done_callback(running.discard)
        await asyncio.sleep(PAUSE)


def main() -> None:
    """Work for ever, in the way that suits the load."""
    if LOAD.kind == "default":
        _one_by_one()
    elif LOAD.kind == "noop":
        _in_batches()
    elif LOAD.style == "threads":
        _in_threads(LOAD.width)
    else:
        asyncio.run(_in_a_loop(LOAD.width))


if __name__ == "__main__":
    main()
