"""One event loop for async tasks, in a thread of its own."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Sequence

from asgiref.sync import sync_to_async

from ...clock import SYSTEM, Clock
from .. import hygiene
from ..attempt import Attempt, Finished, Stuck
from ..board import Board
from ..executor import Executor

Report = Callable[[Finished], None]

HYGIENE_INTERVAL = 1.0


class LoopPool:
    """Runs each attempt as one asyncio task; started when the first async job comes."""

    def __init__(
        self,
        size: int,
        executor: Executor,
        report: Report,
        board: Board,
        first_slot: int,
        clock: Clock = SYSTEM,
    ) -> None:
        self.size = size
        self._executor = executor
        self._report = report
        self._board = board
        self._slots = range(first_slot, first_slot + size)
        self._free = list(self._slots)
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: dict[asyncio.Task[None], Attempt] = {}
        self._cleaned = 0.0
        self._is_interrupted = False
        # When the loop was last asked for a sign of life that it has not given yet, and whether somebody was told.
        self._asked: float | None = None
        self._is_told = False

    def submit(self, attempts: Sequence[Attempt]) -> None:
        """Start attempts; all of them in one wake-up of the loop."""
        if self._loop is None:
            self._start()
        assert self._loop is not None  # noqa: S101 - for the type checker
        self._loop.call_soon_threadsafe(self._begin, attempts)

    def interrupt_all(self) -> None:
        """Cancel every attempt, because the worker stops."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel_all)

    def cancel(self, attempt: Attempt) -> None:
        """Cancel one attempt, because somebody wants its job cancelled."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel_one, attempt)

    def blocked(self, now: float, patience: float) -> list[Stuck]:
        """Return the loop's thread if the loop has not turned for so long, once; ask the loop for a sign of life."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or thread.ident is None or not thread.is_alive():
            return []
        # The loop answers when it likes: between any two looks at what it changes.
        asked = self._asked
        if asked is None:
            asked, self._is_told = now, False
            self._asked = asked
            loop.call_soon_threadsafe(self._answer)
        if now - asked <= patience or self._is_told:
            return []
        self._is_told = True
        current = asyncio.current_task(loop)
        found = self._tasks.get(current) if current is not None else None
        return [Stuck(thread.ident, now - asked, (found,) if found else tuple(self._tasks.values()))]

    def _answer(self) -> None:
        self._asked = None

    def stop(self) -> None:
        """End the loop and its thread."""
        if self._loop is not None and self._thread is not None:
            closing = asyncio.run_coroutine_threadsafe(_close_connections(), self._loop)
            closing.add_done_callback(lambda _: self._loop and self._loop.call_soon_threadsafe(self._loop.stop))
            self._thread.join(timeout=2.0)

    def _start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._turn, args=(self._loop,), name="backie-loop", daemon=True)
        self._thread.start()

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        for slot in self._slots:
            self._board.serve(slot, threading.get_ident())
        asyncio.set_event_loop(loop)
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def _cancel_all(self) -> None:
        self._is_interrupted = True
        for task in self._tasks:
            task.cancel()

    def _cancel_one(self, attempt: Attempt) -> None:
        for task, own in self._tasks.items():
            # Once, whatever the reason: a second cancellation would hit what a task does to clean up.
            if own is attempt and not task.cancelling():
                task.cancel()

    def _begin(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            # More than there is room for come where a lost reply was repaired.
            is_unwanted = self._is_interrupted or attempt.hold.asked is not None
            if is_unwanted or not self._free or not attempt.hold.is_sure():
                self._report(self._executor.interrupted(attempt))
                continue
            # A context of its own: what a job sets there, such as language and time zone, does not leak into others.
            slot = self._free.pop()
            task = asyncio.get_running_loop().create_task(self._run(slot, attempt), context=hygiene.context())
            # The loop itself holds only weak references to its tasks.
            self._tasks[task] = attempt
            task.add_done_callback(functools.partial(self._forget, slot, attempt))

    def _forget(self, slot: int, attempt: Attempt, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if task.cancelled():
            # Before its first step: nothing of _run() was executed.
            self._free.append(slot)
            self._report(self._executor.interrupted(attempt))

    async def _run(self, slot: int, attempt: Attempt) -> None:
        attempt.on_start = functools.partial(self._note_start, slot, attempt)
        try:
            if self._clock.monotonic() - self._cleaned >= HYGIENE_INTERVAL:
                await self._clean()
            finished = await self._executor.arun(attempt)
        except asyncio.CancelledError:
            finished = self._executor.interrupted(attempt)
        except BaseException as error:  # noqa: BLE001 - a job that is never reported would be leased for ever
            finished = self._executor.broken(attempt, error)
        self._board.end(slot)
        self._free.append(slot)
        self._report(finished)

    def _note_start(self, slot: int, attempt: Attempt) -> None:
        self._board.begin(slot, attempt.lease.id, *attempt.ends(self._clock.monotonic()))

    async def _clean(self) -> None:
        """Care for the connections of the thread in which async code uses the database."""
        self._cleaned = self._clock.monotonic()
        await sync_to_async(hygiene.safely, thread_sensitive=True)(hygiene.before)


async def _close_connections() -> None:
    """Close the connections of the thread in which async code uses the database."""
    await sync_to_async(hygiene.safely, thread_sensitive=True)(hygiene.close_all)
