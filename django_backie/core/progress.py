"""How far an attempt is, as a task reports it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ..exceptions import InvalidProgress

# Up to here every reader of JSON, a browser too, has whole numbers exactly.
LARGEST = 2**53
# Characters.
LONGEST_MESSAGE = 200

Number = int | float


class Reported(NamedTuple):
    """What was reported last; ``at`` is seconds since the epoch, by the worker's clock."""

    done: Number
    total: Number | None
    message: str
    at: float

    def text(self) -> str:
        """Return it as JSON, on one line."""
        return json.dumps(self, separators=(",", ":"))


def reported(done: Number, total: Number | None, message: str, at: float) -> Reported:
    """Return a report; a message that is too long is cut.

    Raises:
        InvalidProgress: a number is none, or below zero, or beyond ``LARGEST``; more is done than there is to do.
    """
    _check("done", done)
    if total is not None:
        _check("total", total)
        if done > total:
            msg = f"progress: done={done!r} is more than total={total!r}; leave total out where it is not known"
            raise InvalidProgress(msg)
    return Reported(done, total, _text(message), at)


def restored(value: Any) -> Reported | None:
    """Return a report as ``Reported.text`` wrote it and JSON reads it; None where it is none that we know."""
    if not isinstance(value, list) or len(value) != len(Reported._fields):
        return None
    done, total, message, at = value
    try:
        return reported(done, total, message, float(at))
    except (InvalidProgress, TypeError, ValueError):
        return None


def _check(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"progress: {name} takes a number, not {value!r}; give how many are done, as 3 of 10"
        raise InvalidProgress(msg)
    # Not a number is not in any range.
    if not 0 <= value <= LARGEST:
        # Python refuses to write down the largest numbers.
        shown = repr(value) if isinstance(value, float) or abs(value) < LARGEST**2 else "a number beyond all bounds"
        msg = f"progress: {name} takes 0 to 2^53, not {shown}"
        raise InvalidProgress(msg)


def _text(message: Any) -> str:
    if not isinstance(message, str):
        msg = f"progress: message takes a text, not {message!r}; wrap it in str()"
        raise InvalidProgress(msg)
    return _storable(message)


def _storable(message: str) -> str:
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[: LONGEST_MESSAGE - 1]}…"
    if message.isprintable():
        return message
    # Redis and every database take this.
    return message.replace("\x00", "\N{SYMBOL FOR NULL}").encode(errors="backslashreplace").decode()
