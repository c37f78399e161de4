"""What the jobs do, the same for every system: one ``write`` to a file in memory that the driver watches.

No counter in Redis, so that the counting costs every system the same, over threads, processes and event loops.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time

WAIT = 0.05  # seconds
STAMP = struct.Struct("dd")
NUMBER = struct.Struct("I")

_marks = os.open(os.environ.get("BENCH_MARKS", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def noop() -> None:
    """Leave a byte."""
    os.write(_marks, b".")


def wait() -> None:
    """Wait as for an answer from the network, then leave a byte."""
    time.sleep(WAIT)
    os.write(_marks, b".")


def stamp(sent: float) -> None:
    """Leave the time at which the job was made, and the time now; the clock is the whole machine's."""
    os.write(_marks, STAMP.pack(sent, time.monotonic()))


def number(value: int) -> None:
    """Wait, then leave the job's number."""
    time.sleep(WAIT)
    os.write(_marks, NUMBER.pack(value))


def turn(tenant: int) -> None:
    """Leave the number of whose job it is."""
    os.write(_marks, NUMBER.pack(tenant))


def noop_of(tenant: int) -> None:
    """Leave a byte."""
    os.write(_marks, b".")


async def anoop() -> None:
    """See ``noop``."""
    noop()


async def await_() -> None:
    """See ``wait``."""
    await asyncio.sleep(WAIT)
    os.write(_marks, b".")


async def astamp(sent: float) -> None:
    """See ``stamp``."""
    stamp(sent)


async def anumber(value: int) -> None:
    """See ``number``."""
    await asyncio.sleep(WAIT)
    os.write(_marks, NUMBER.pack(value))


SYNC = {"noop": noop, "wait": wait, "stamp": stamp, "number": number}
ASYNC = {"noop": anoop, "wait": await_, "stamp": astamp, "number": anumber}
