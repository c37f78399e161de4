"""What jobs tell of their beginnings and ends, in a file of the project's directory, and how they are let go."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Event:
    """A job has begun or ended: its name, the wall clock, its process and that one's parent."""

    kind: str
    name: str
    at: float
    pid: int
    parent: int


def events(directory: Path) -> list[Event]:
    """Return what the jobs of a project have told, in the order in which it happened."""
    path = directory / "events.txt"
    return list(_parsed(path.read_text())) if path.exists() else []


def tell(directory: Path, kind: str, name: str) -> None:
    """Add a line; one short write to a file that is open for appending is never mixed with another."""
    line = f"{kind} {name} {time.time():.6f} {os.getpid()} {os.getppid()}\n"
    with (directory / "events.txt").open("a") as file:
        file.write(line)


def release(directory: Path, name: str, pid: int | None = None) -> None:
    """Let a held job end: every run of it, or the one in a process."""
    gate(directory, name, pid).touch()


def gate(directory: Path, name: str, pid: int | None = None) -> Path:
    """Return the file whose existence lets a held job end."""
    return directory / (f"release-{name}" if pid is None else f"release-{name}-{pid}")


def _parsed(text: str) -> Iterator[Event]:
    # The last line may be half written.
    for line in text.split("\n")[:-1]:
        kind, name, at, pid, parent = line.split()
        yield Event(kind, name, float(at), int(pid), int(parent))
