"""What a table is: sections, each with columns and with cases, one for each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..load import Load
from ..measures import Sample
from ..peers import Peer
from ..samples import Column
from ..stage import Database, Scene

Act = Callable[[Scene], Sample]
DATABASE_NAMES: dict[Database, str] = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for on the command line."""

    peers: tuple[Peer, ...]
    databases: tuple[Database, ...] = ("sqlite",)
    quick: bool = False
    kill_wait: float = 90.0

    def jobs(self, peer: Peer, processes: int = 1, seconds: float = 2.0) -> int:
        """Return a number of no-ops that takes a system some seconds."""
        return max(100, round(peer.pace * processes * (seconds / 4 if self.quick else seconds)))

    def shorter(self, count: int) -> int:
        """Return a quarter of a count when it has to be quick."""
        return count // 4 if self.quick else count

    def databases_of(self, peer: Peer) -> tuple[Database, ...]:
        """Return the databases to run a system on; where it has none, the first stands for nothing."""
        return self.databases if peer.uses_database and not peer.uses_redis else self.databases[:1]


@dataclass(frozen=True, slots=True)
class Case:
    """A row of a table: a system, how it is set, and what is done with it in each round."""

    row: str
    peer: Peer
    load: Load
    act: Act
    database: Database = "sqlite"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a table. ``together`` runs its cases at the same time: for what takes long and uses little.

    ``shows_settings`` is whether the settings of the workers matter.
    """

    title: str
    note: str
    columns: Sequence[Column]
    cases: Sequence[Case]
    together: bool = False
    shows_settings: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A table by the name that it has on the command line. ``rounds`` overrides the general number."""

    name: str
    title: str
    about: str
    sections: Callable[[Plan], list[Section]]
    rounds: int | None = None


def named(peer: Peer, database: Database) -> str:
    """Return the name of a row: the system, and its database if it has nothing else."""
    return peer.title if peer.uses_redis else f"{peer.title} ({DATABASE_NAMES[database]})"


def cases_of_all(peers: Sequence[Peer], plan: Plan, load: Load, act: Callable[[Peer], Act]) -> list[Case]:
    """Return a case for each system and, for those that have nothing else, each database."""
    return [
        Case(named(peer, database), peer, load, act(peer), database)
        for peer in peers
        for database in plan.databases_of(peer)
    ]
