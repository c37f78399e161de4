"""A file in which the operator writes down what he has done: no fault reaches it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .facts import CallingOff, Pause

PAUSED, CALLED_OFF = "paused", "called-off"


def write_pause(path: Path, pause: Pause) -> None:
    """Write down a pause that is over."""
    _write(path, f"{PAUSED} {pause.name} {pause.start:.4f} {pause.end:.4f}")


def write_calling_off(path: Path, done: CallingOff) -> None:
    """Write down how the wish to cancel a job was answered."""
    _write(path, f"{CALLED_OFF} {done.job} {done.answer} {done.at:.4f}")


def read(path: Path) -> tuple[tuple[Pause, ...], tuple[CallingOff, ...]]:
    """Return what a file tells of."""
    return parse(path.read_text().splitlines()) if path.exists() else ((), ())


def parse(lines: Iterable[str]) -> tuple[tuple[Pause, ...], tuple[CallingOff, ...]]:
    """Return the pauses and the cancelled jobs of lines."""
    pauses: list[Pause] = []
    off: list[CallingOff] = []
    for line in lines:
        what, name, *rest = line.split()
        if what == PAUSED:
            pauses.append(Pause(name, *map(float, rest)))
        else:
            off.append(CallingOff(name, rest[0], float(rest[1])))
    return tuple(pauses), tuple(off)


def _write(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")
