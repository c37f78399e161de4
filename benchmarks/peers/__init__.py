"""The systems that are compared: what to install for each, and what each can do.

Beside this list, every system is one module of the same name, read only in the system's own environment. It has four
verbs:

``settings(load)``              how it is set, in words
``workers(load)``               the command lines of its worker processes
``enqueue(body, *arguments)``   make a job of one of ``benchmarks.bodies``
``enqueue_many(body, calls)``   make many, in the cheapest way the system has

``VERBS`` names further ones that only some have.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from ..load import Style

ROOT = Path(__file__).resolve().parents[2]
REDIS = ("redis==8.1.0", "hiredis==3.5.0")
DJANGO = "django>=6.1,<6.2" if sys.version_info >= (3, 12) else "django>=5.2,<5.3"
BACKPORT = "" if sys.version_info >= (3, 12) else "[compat]"
POSTGRES = "psycopg[binary]==3.3.9"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A system and what may be asked of it.

    ``pace`` is about how many no-ops a second one process runs: it decides only how many jobs a measurement takes.
    ``styles`` are the ways in which one process runs jobs that wait, at most ``widest`` at once.
    """

    name: str
    requirements: tuple[str, ...]
    pace: int
    styles: tuple[Style, ...] = ()
    widest: int = 1000
    has_bulk: bool = False
    uses_redis: bool = True
    uses_database: bool = False
    oldest_python: tuple[int, int] = (3, 11)

    @property
    def title(self) -> str:
        """Return its name for people."""
        return "bare redis-py" if self is FLOOR else self.name

    @property
    def module(self) -> str:
        """Return the name of the module with its verbs."""
        return f"benchmarks.peers.{self.name.replace('-', '_')}"

    @property
    def is_possible(self) -> bool:
        """Tell whether it can be installed on this Python."""
        return sys.version_info[:2] >= self.oldest_python


OURS = Peer(
    name="django-backie",
    requirements=(f"--editable={ROOT}", DJANGO, *REDIS, POSTGRES),
    pace=20_000,
    styles=("threads", "async"),
    has_bulk=True,
    uses_database=True,
)
FLOOR = Peer(name="floor", requirements=REDIS, pace=60_000, styles=("threads", "async"), has_bulk=True)
PEERS = {
    peer.name: peer
    for peer in (
        Peer(name="celery", requirements=("celery[redis]==5.7.0", *REDIS, DJANGO), pace=1_000, styles=("threads",)),
        Peer(name="dramatiq", requirements=("dramatiq[redis]==2.2.1", *REDIS, DJANGO), pace=4_300, styles=("threads",)),
        Peer(name="rq", requirements=("rq==3.0.0", *REDIS, DJANGO), pace=250, has_bulk=True),
        Peer(name="huey", requirements=("huey==3.5.4", *REDIS, DJANGO), pace=2_200, styles=("threads",)),
        # arq asks for redis-py below 6.
        Peer(name="arq", requirements=("arq==0.28.0", "hiredis==3.5.0", DJANGO), pace=1_500, styles=("async",)),
        Peer(
            name="taskiq",
            requirements=("taskiq==0.13.0", "taskiq-redis==1.2.4", "uvloop==0.23.0", *REDIS, DJANGO),
            pace=3_300,
            styles=("async",),
        ),
        Peer(
            name="django-ox",
            requirements=("django-ox==1.9.1", DJANGO, POSTGRES),
            pace=300,
            styles=("threads",),
            widest=100,
            uses_redis=False,
            uses_database=True,
            oldest_python=(3, 12),
        ),
        Peer(
            name="django-tasks-db",
            requirements=(f"django-tasks-db{BACKPORT}==0.13.0", DJANGO, POSTGRES),
            pace=190,
            uses_redis=False,
            uses_database=True,
        ),
    )
}
