"""How far a job is, as its caller and its pages read it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .core.progress import Number, Reported, restored
from .core.states import State
from .moments import moment


@dataclass(frozen=True, slots=True)
class Progress:
    """What a job's latest attempt reported last; ``total`` is None where it is not known.

    ``at`` is when, by the worker's clock.
    """

    done: Number
    total: Number | None
    message: str
    at: datetime

    @property
    def fraction(self) -> float | None:
        """Return how much is done, from 0 to 1; all of nothing is 1. None where the total is not known."""
        if self.total is None:
            return None
        return self.done / self.total if self.total else 1.0

    @property
    def percent(self) -> int | None:
        """Return the fraction in whole percent, rounded down: 100 is all. None where the total is not known."""
        if self.total is None:
            return None
        return int(100 * self.done / self.total) if self.total else 100


def shown(reported: Reported | None) -> Progress | None:
    """Return a report as people read it."""
    if reported is None:
        return None
    return Progress(reported.done, reported.total, reported.message, moment(reported.at))


def of_row(value: Any) -> Progress | None:
    """Return the progress of an ended attempt, as its row keeps it."""
    return None if value is None else shown(restored(value))


def latest(
    state: State, started: float | None, attempts: Sequence[Mapping[str, Any]], live: str = ""
) -> Progress | None:
    """Return the progress of a job's latest attempt.

    ``attempts`` are those that have ended, with their last values; ``live`` is what ``progress.lua`` has written, and
    counts only if it is of the attempt that ``started`` last, in seconds.
    """
    running = of_attempt(live, started) if live else None
    if state is State.RUNNING:
        return shown(running)
    ended = restored(attempts[-1].get("p")) if attempts else None
    if running is not None and (ended is None or ended.at < running.at):
        return shown(running)
    return shown(ended)


def of_attempt(live: str, started: float | None) -> Reported | None:
    """Return what ``progress.lua`` has written, if it is of the attempt that started then, in seconds."""
    began, _, text = live.partition("|")
    if started is None or began != str(round(started * 1000)):
        return None
    try:
        return restored(json.loads(text))
    except ValueError:
        return None
