"""What the parent knows of its children."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..core.states import State
from .board import COUNTED, COUNTERS, Board
from .pulse import Pulse, Verdict
from .stacks import Stacks


class Overrun(NamedTuple):
    """An attempt for which a process was killed, how long it was beyond its time, when, and its stack."""

    job: str
    token: int
    beyond: float
    at: float
    stack: str


@dataclass(slots=True)
class Child:
    """A forked process: one of the workers, or the one for the duties (which has no board)."""

    number: int
    board: Board | None
    pid: int = 0
    name: str = ""
    born: float = 0.0
    due: float = 0.0  # when a dead one may be replaced
    pulse: Pulse | None = None
    is_suspended: bool = False
    verdict: Verdict = Verdict.MOVING
    stacks: Stacks | None = None
    is_told: bool = False
    # Why it was killed: attempts that were beyond their hard timeout.
    overruns: tuple[Overrun, ...] = ()

    @property
    def full_name(self) -> str:
        """Return the name under which the child leases jobs at present."""
        return f"{self.name}.{self.board.get('generation')}" if self.board else self.name

    @property
    def keeps_lease(self) -> bool:
        """Tell whether the child lives and moves, as far as is known."""
        return bool(self.pid) and not self.is_suspended and self.verdict is Verdict.MOVING

    @property
    def has_begun(self) -> bool:
        """Tell whether the child lives and has got as far as its loop."""
        return bool(self.pid) and self.board is not None and self.board.get("turns") > 0

    def where(self) -> dict[int, str]:
        """Return the stacks of the child's threads, the most recent call last; none where it does not answer."""
        return self.stacks.ask(self.pid) if self.stacks is not None else {}

    def feel(self, now: float) -> Verdict:
        """Judge anew whether the child moves; one that somebody has suspended is not judged."""
        if self.pid and self.board is not None and self.pulse is not None and not self.is_suspended:
            self.verdict = self.pulse.feel(self.board.get("turns"), self.board.busy_until(), now)
        return self.verdict


@dataclass(slots=True)
class Totals:
    """What all children have done so far; of the dead ones too."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))

    def with_living(self, children: Sequence[Child]) -> dict[str, int]:
        """Return the sums over dead and living children."""
        boards = [child.board for child in children if child.board is not None and child.pid]
        return {name: self.counts[name] + sum(board.get(name) for board in boards) for name in COUNTERS}

    def count(self, state: State) -> None:
        """Count an attempt that no child can count any more, by the state in which it has left its job."""
        if state in COUNTED:
            self.counts[COUNTED[state]] += 1

    def bury(self, board: Board) -> None:
        """Keep what a dead child has counted."""
        for name in COUNTERS:
            if name != "busy":
                self.counts[name] += board.get(name)


@contextlib.contextmanager
def answering(children: Sequence[Child]) -> Iterator[None]:
    """Give children that are born meanwhile a pipe through which they tell where their threads are."""
    for child in children:
        child.stacks = Stacks()
    try:
        yield
    finally:
        for child in children:
            if child.stacks is not None:
                child.stacks.close()
                child.stacks = None


def cause(code: int) -> str:
    """Return in words what an exit code of ``os.waitstatus_to_exitcode`` says."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def cause_of_pause(status: int) -> str:
    """Return in words what a status of ``os.waitpid`` says of a child that has not ended."""
    if os.WIFCONTINUED(status):
        return "continued"
    return f"suspended by {cause(-os.WSTOPSIG(status))}: its lease is not renewed"
