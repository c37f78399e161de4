"""What a running task may ask."""

from __future__ import annotations

from dataclasses import dataclass

from asgiref.sync import sync_to_async

from .. import compat
from ..exceptions import Cancel
from .hold import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContext(compat.TaskContext):  # type: ignore[misc, type-arg]
    """The first argument of a task with ``takes_context=True``: django.tasks' context, and what effects outside need.

    ``task_result`` and ``attempt`` are django.tasks' own.
    """

    hold: Hold

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
        return self.hold.asked is not None

    @property
    def cancel_reason(self) -> str:
        """Return why somebody wants this job cancelled; empty where nobody does, or has not said."""
        return self.hold.asked or ""

    def raise_if_cancelled(self) -> None:
        """End the job here if somebody wants it cancelled.

        Raises:
            Cancel: somebody does; with the reason.
        """
        if self.hold.asked is not None:
            raise Cancel(self.hold.asked)

    def still_mine(self) -> bool:
        """Tell whether this attempt still holds its job; ask right before an effect that cannot be undone.

        One round trip. False means that another worker has the job, or is about to. It narrows the gap and cannot close
        it: the lease may be lost after the answer.
        """
        return self.hold.is_mine()

    async def astill_mine(self) -> bool:
        """See ``still_mine``."""
        return await sync_to_async(self.hold.is_mine, thread_sensitive=False)()
