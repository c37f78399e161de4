"""Groups of jobs that take turns, and how many of each are run in a turn."""

from __future__ import annotations

from ..exceptions import InvalidOption

HEAVIEST = 100


def group_text(digest: str, weight: object) -> str:
    """Return the group of a job as it travels: its key and its weight.

    Raises:
        InvalidOption: the weight is none; a task's own function may have returned it.
    """
    if not is_weight(weight):
        msg = f"fair_weight is {weight!r}, it must be a whole number from 1 to {HEAVIEST}"
        raise InvalidOption(msg)
    return f"{digest}|{weight}"


def is_weight(value: object) -> bool:
    """Tell whether a value can be the weight of a group."""
    return type(value) is int and 1 <= value <= HEAVIEST
