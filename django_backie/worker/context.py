"""What a running task may ask and report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import Any, TypeVar

from asgiref.sync import sync_to_async

from .. import compat
from ..calls import shared_digest
from ..clock import SYSTEM
from ..core.limits import checked_hold, digests_of
from ..core.progress import Number, reported
from ..exceptions import Cancel, InvalidOption
from .hold import Hold

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContext(compat.TaskContext):  # type: ignore[misc, type-arg]
    """The first argument of a task with ``takes_context=True``: django.tasks' context, and what effects outside need.

    ``task_result`` and ``attempt`` are django.tasks' own.
    """

    held: Hold
    limits: str = ""

    @property
    def idempotency_key(self) -> str:
        """Return a key that is the same in every attempt of this job and in no other job.

        For services that refuse to do the same thing twice, such as Stripe's ``Idempotency-Key``.
        """
        return str(self.task_result.id)

    @property
    def cancelled(self) -> bool:
        """Tell whether somebody wants this job cancelled; a look at memory, as often as you like.

        It turns true a second or two after the asking. An async task gets ``asyncio.CancelledError`` besides.
        """
        return self.held.asked is not None

    @property
    def cancel_reason(self) -> str:
        """Return why somebody wants this job cancelled; empty where nobody does, or has not said."""
        return self.held.asked or ""

    def raise_if_cancelled(self) -> None:
        """End the job here if somebody wants it cancelled.

        Raises:
            Cancel: somebody does; with the reason.
        """
        if self.held.asked is not None:
            raise Cancel(self.held.asked)

    def still_mine(self) -> bool:
        """Tell whether this attempt still holds its job; ask right before an effect that cannot be undone.

        One round trip. False means that another worker has the job, or is about to. It narrows the gap and cannot close
        it: the lease may be lost after the answer.
        """
        return self.held.is_mine()

    async def astill_mine(self) -> bool:
        """See ``still_mine``."""
        return await sync_to_async(self.held.is_mine, thread_sensitive=False)()

    def hold(self, key: str | None = None, seconds: float = 60.0, **by: Any) -> None:
        """Let no job start for a time that shares a limit with this one: for an API's ``Retry-After``.

        Jobs that run go on, this one too; to have it wait as well, ``raise Snooze(seconds)``. A longer hold stays.

        Args:
            key: the name of a ``Shared`` limit to hold instead, ``by`` the values that its key is made of besides.

        Raises:
            InvalidOption: this job has no limit and none is named, or the time is none.
            BrokerUnavailable: Redis is down.
        """
        named = [shared_digest(key, by)] if key is not None else digests_of(self.limits)
        if not named:
            msg = f"job {self.task_result.id} has no limit to hold; set rate_limit or concurrency on its task"
            raise InvalidOption(msg)
        self.held.hold(named, checked_hold(seconds))

    async def ahold(self, key: str | None = None, seconds: float = 60.0, **by: Any) -> None:
        """See ``hold``."""
        await sync_to_async(self.hold, thread_sensitive=False)(key, seconds, **by)

    def progress(self, done: Number, total: Number | None = None, message: str = "") -> None:
        """Show how far this attempt is, to whoever looks at the job: its caller, the admin, the user's page.

        Costs a few microseconds and waits for nothing, however often it is called: a thread of the worker writes the
        latest value a few times a second, and the last one goes with the end of the attempt. While Redis is away
        nothing is shown, and nothing fails. A message of more than 200 characters is cut.

        Raises:
            InvalidProgress: a number is none, or negative; more is done than there is to do.
        """
        self.held.gauge().show(reported(done, total, message, SYSTEM.now()))

    async def aprogress(self, done: Number, total: Number | None = None, message: str = "") -> None:
        """See ``progress``, which an async task may call as well: neither waits for anything."""
        self.progress(done, total, message)

    def track(self, iterable: Iterable[T], total: Number | None = None, message: str = "") -> Iterator[T]:
        """Yield what an iterable yields, and show after each how many are done.

        Without ``total`` it is the iterable's length, where that has one; a length that turns out too small grows.

        Raises:
            InvalidProgress: see ``progress``.
        """
        if total is None and isinstance(iterable, Sized):
            total = len(iterable)
        self.progress(0, total, message)
        return self._tracked(iterable, total, message)

    def _tracked(self, iterable: Iterable[T], total: Number | None, message: str) -> Iterator[T]:
        for done, item in enumerate(iterable, 1):
            yield item
            self.progress(done, total if total is None else max(done, total), message)
