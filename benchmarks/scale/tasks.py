"""The tasks that the generated table tells of; the admin offers them in its filters."""

from __future__ import annotations

from collections.abc import Callable

from django_backie import task

# Task -> its queue and its share of the rows, in thousandths.
SHARES = {
    "send_receipt": ("mail", 240),
    "reindex": ("search", 200),
    "audit": ("default", 140),
    "resize_image": ("media", 120),
    "import_stock": ("sync", 90),
    "send_reminder": ("mail", 70),
    "charge": ("pay", 60),
    "export_orders": ("sync", 40),
    "send_newsletter": ("mail", 20),
    "refund": ("pay", 10),
    "transcode": ("media", 6),
    "close_month": ("default", 4),
}
# One row in a hundred was sent to this queue instead of the task's own.
DETOUR = "bulk"
# Of this task no row has failed: the page that looks for its failures finds none.
FLAWLESS = "audit"


def full_name(name: str) -> str:
    """Return the name under which a task is registered."""
    return f"{__name__}.{name}"


def _named(name: str) -> Callable[[int], None]:
    def nothing(order: int) -> None:
        """Do nothing: these jobs are only ever looked at."""

    nothing.__name__ = nothing.__qualname__ = name
    return nothing


TASKS = {name: task(queue_name=queue)(_named(name)) for name, (queue, _share) in SHARES.items()}
