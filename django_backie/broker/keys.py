"""The name of every Redis key.

All keys of a namespace share one hash tag, so one script may touch all of them on Redis Cluster too.

====================  =======  ==========================================================================
``b``                 hash     job id -> body (signed, opaque to the scripts but for its head)
``h``                 hash     job id -> record, for jobs that have been tried (``lua/include/record.lua``)
``q:<queue>``         zset     ready jobs; score = -priority * 2^45 + sequence number; where it ages, * its places
``s``                 zset     scheduled and retrying jobs by due time
``f``                 hash     job id -> own place of a job that waits in ``s`` but keeps its place
``w``                 zset     workers by the end of their lease
``w:<worker>``        hash     job id -> what the worker holds: token, started, score, queue
``ws``                set      workers that are stopping
``wi``                hash     worker -> what it says of itself, as JSON
``d``                 zset     jobs that changed since they were last mirrored, by version
``x``                 zset     ended jobs of a namespace without a mirror, by expiry
``e``                 zset     tombstones of erased jobs, by expiry
``g``                 zset     failed and cancelled jobs that have left Redis, by the version of their end; ten minutes
``a``                 zset     workers of whose jobs some were asked to cancel, by the last asking; a hint to look
``pr``                hash     job id -> when its running attempt began, and how far that is, as JSON
``u``                 hash     unique key -> id of the job that has it (``lua/include/unique.lua``)
``uc``                string   how far the search for void unique keys has come
``ls:<key>``          set      jobs that have slots of a key (``lua/include/limits.lua``)
``lj``                hash     job id -> key of the slot that it has
``lm``                hash     key of an adaptive limit -> how many slots it has found (``lua/include/adaptive.lua``)
``lt``                zset     the same keys, by when that was written
``lr``                zset     key of a rate limit -> when its bucket will be full again
``lh``                zset     limits that are held, by the end of that
``lw``                hash     parked job -> key that has no room (t<task>: it is paused), and the job's own place
``lp:<key>``          zset     jobs that are parked with a key (a paused task: t<task>), by their places
``la``                zset     keys with parked jobs, by when to look for room
``gl:<line>``         zset     jobs of a group that wait, in their order (``lua/include/fair.lua``)
``ga``                zset     lines in which some are not due, by when to look
``qs``                set      names of the queues
``p``                 hash     paused queue, or line break and task -> the end of the pause, and what people read
``k:<queue>``, ``k``  zset     wake-up markers of one queue, of all queues
``kn``                zset     wake-up marker for workers that exclude queues: there is a new queue
``fifo:<queue>``      list     the strings of the plain ``Broker``
``seq``               string   the last sequence number
``clk``               string   time of the last tick
``epoch``             string   the server on which everything is known to be as the rows say (``epoch.py``)
====================  =======  ==========================================================================

Times are milliseconds since the epoch by the server's clock.
"""

from __future__ import annotations

from dataclasses import dataclass

# In the hash of the pauses a task stands behind what no queue's name has.
_TASK = "\n"


def pause_of_task(task: str) -> str:
    """Return the name under which the pause of a task is kept, beside those of queues."""
    return _TASK + task


def paused_task(name: str) -> str | None:
    """Return the task of a pause's name, or None where it is a queue."""
    return name[1:] if name.startswith(_TASK) else None


@dataclass(frozen=True, slots=True)
class Keys:
    """The key names of one namespace."""

    prefix: str

    @classmethod
    def of(cls, namespace: str) -> Keys:
        """Return the keys of a namespace's only group."""
        return cls(f"{namespace}:{{0}}:")

    def __getitem__(self, name: str) -> str:
        return self.prefix + name

    def queue(self, name: str) -> str:
        """Return the key of a queue."""
        return f"{self.prefix}q:{name}"

    def held(self, worker: str) -> str:
        """Return the key of what a worker holds."""
        return f"{self.prefix}w:{worker}"

    def marker(self, queue: str | None) -> str:
        """Return the key that wakes workers of one queue, or of all queues."""
        return f"{self.prefix}k" if queue is None else f"{self.prefix}k:{queue}"
