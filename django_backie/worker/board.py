"""Shared memory between the parent and one child: proof of life, counters, and the jobs that have started.

When a child dies, the parent reads here which jobs had started: only those are charged with the crash. Each slot has
one writer.
"""

from __future__ import annotations

import mmap
import struct
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ..core.states import State

_COUNTER = struct.Struct("=Q")
COUNTERS = ("turns", "generation", "succeeded", "retried", "failed", "handed_back", "busy")
COUNTED = {
    State.SUCCESSFUL: "succeeded",
    State.RETRYABLE: "retried",
    State.FAILED: "failed",
    State.READY: "handed_back",
}
# Milliseconds of the monotonic clock, which all processes of a host share.
_TIMES = ("renewed",)
# What the parent tells the child: it grows when one of the child's jobs is asked to cancel.
_TOLD = ("asked",)
_FIELDS = {name: place * _COUNTER.size for place, name in enumerate((*_TOLD, *COUNTERS, *_TIMES))}
# The first two of them.
_TURN = struct.Struct("=QQ")
# A slot: the id of a job, the monotonic time until which it may run, when its process is killed (0: never), its token.
_CELL = struct.Struct("=16sddQ")
_SLOT = _CELL.size
_EMPTY = bytes(16)
_FREE = bytes(_SLOT)


class Limited(NamedTuple):
    """A leased job that has started, and the monotonic time at which its process is killed unless it has ended."""

    slot: int
    id: str
    deadline: float
    token: int


class Board:
    """A block of anonymous shared memory; made before the fork."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._head = _COUNTER.size * len(_FIELDS)
        self._threads = self._head + slots * _SLOT
        self._memory = mmap.mmap(-1, self._threads + slots * _COUNTER.size)

    def get(self, counter: str) -> int:
        """Return a counter."""
        return int(_COUNTER.unpack_from(self._memory, _FIELDS[counter])[0])

    def set(self, counter: str, value: int) -> None:
        """Write a counter; it has one writer, so nothing is lost."""
        _COUNTER.pack_into(self._memory, _FIELDS[counter], value)

    def turn(self) -> int:
        """Note that the child's loop turns; return what the parent has told."""
        asked, turns = _TURN.unpack_from(self._memory)
        self.set("turns", turns + 1)
        return int(asked)

    def renewed(self, asked: float) -> None:
        """Note that the lease was renewed by a call that began at the given monotonic time."""
        self.set("renewed", int(asked * 1000))

    def last_renewed(self) -> float:
        """Return when the call began that last renewed the lease, in monotonic seconds."""
        return self.get("renewed") / 1000

    def add(self, counter: str, value: int = 1) -> None:
        """Raise a counter."""
        self.set(counter, self.get(counter) + value)

    def count(self, states: Counter[State]) -> None:
        """Count attempts by the states in which they have left their jobs."""
        for state, number in states.items():
            if state in COUNTED:
                self.add(COUNTED[state], number)

    def begin(self, slot: int, job_id: str, until: float = float("inf"), deadline: float = 0.0, token: int = 0) -> None:
        """Note that a slot has started a job, which may run until a monotonic time; at ``deadline`` it is killed."""
        key = bytes.fromhex(job_id.replace("-", ""))
        _CELL.pack_into(self._memory, self._head + slot * _SLOT, key, until, deadline, token)

    def end(self, slot: int) -> None:
        """Note that a slot is free."""
        at = self._head + slot * _SLOT
        self._memory[at : at + _SLOT] = _FREE

    def started(self) -> list[str]:
        """Return the ids of the jobs that have started and not ended."""
        return [str(uuid.UUID(bytes=key)) for _, key, *_ in self._cells()]

    def busy_until(self) -> float:
        """Return the monotonic time until which a started job may keep the process busy; 0 if none has started."""
        return max((cell[2] for cell in self._cells()), default=0.0)

    def limited(self) -> list[Limited]:
        """Return the started jobs at whose deadline the process is to be killed.

        A cell that is being written may be read in part: what has to be sure is to be read twice.
        """
        cells = self._cells()
        return [Limited(slot, str(uuid.UUID(bytes=key)), at, token) for slot, key, _, at, token in cells if at > 0]

    def _cells(self) -> Iterator[tuple[int, bytes, float, float, int]]:
        for slot in range(self._slots):
            key, until, deadline, token = _CELL.unpack_from(self._memory, self._head + slot * _SLOT)
            if key != _EMPTY:
                yield slot, key, until, deadline, token

    def serve(self, slot: int, thread: int) -> None:
        """Note which thread runs what a slot starts."""
        _COUNTER.pack_into(self._memory, self._threads + slot * _COUNTER.size, thread)

    def threads(self) -> dict[str, int]:
        """Return the threads that run the started jobs, by the ids of these."""
        return {str(uuid.UUID(bytes=key)): self.thread(slot) for slot, key, *_ in self._cells()}

    def thread(self, slot: int) -> int:
        """Return the thread that runs what a slot starts."""
        return int(_COUNTER.unpack_from(self._memory, self._threads + slot * _COUNTER.size)[0])

    def clear(self) -> None:
        """Forget what a child has left, before the next one uses the block."""
        self._memory[:] = bytes(len(self._memory))

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
