"""What can be read of a body without opening it, unverified: its head, and what opens the envelope for the scripts."""

from __future__ import annotations

import re

from ..exceptions import UnreadableBody

# As lua/include/limits.lua reads it.
_LIMITS = re.compile(r'1[a-z]*l[a-z]*\n(?:[^\n]*\n){3}\{(?:"u":"[^"]*",)?"l":"([^"]*)"')
# As lua/include/fair.lua reads it.
_GROUP = re.compile(r'1[a-z]*f[a-z]*\n(?:[^\n]*\n){3}.*?"i":"([0-9a-f]+\|\d+)"')
# As lua/include/unique.lua reads it.
_UNIQUE = re.compile(r'(?:[^\n]*\n){4}\{"u":"([es][0-9a-f]+(?:\|\d+)?(?:\|[rx])?)"')


def has_flags(body: str) -> bool:
    """Tell whether a body says in its first line that a script has more to read: limits, or a group."""
    return body[1:2] != "\n"


def lines(body: str) -> list[str]:
    """Return the five lines of a body.

    Raises:
        UnreadableBody: it does not have them.
    """
    found = body.split("\n", 4)
    if len(found) != 5:
        msg = "the body does not have five lines"
        raise UnreadableBody(msg)
    return found


def signature(body: str) -> str:
    """Return the signature of a body that can be read, unverified."""
    return lines(body)[3]


def place(body: str) -> tuple[str, int]:
    """Return the queue and the priority that stand at the head of a body, unverified."""
    _, queue, priority, *_ = lines(body)
    return queue, int(priority)


def queue_of(body: str) -> str:
    """Return the queue that stands at the head of a body, unverified; empty where it has none."""
    return body.split("\n", 2)[1] if "\n" in body else ""


def unique_of(body: str) -> str:
    """Return what a body says of its unique key, unverified; empty where it has none."""
    found = _UNIQUE.match(body)
    return found[1] if found else ""


def group_of(body: str) -> str:
    """Return what a body says of its group, unverified; empty where it has none."""
    found = _GROUP.match(body)
    return found[1] if found else ""


def limits_of(body: str) -> str:
    """Return what a body says of its limits, unverified; empty where it has none."""
    found = _LIMITS.match(body)
    return found[1] if found else ""
