"""Where the time of a job goes."""

from __future__ import annotations

from ..load import Load
from ..measures import Sample
from ..peers import OURS
from ..samples import Column
from ..stage import Scene
from .base import Act, Case, Plan, Section, Table

PYTHON = (
    Column("make", "make and sign", 1),
    Column("delay_many", "delay_many, all of it", 1),
    Column("leases", "read the reply", 1),
    Column("open", "verify, decode, find the task", 1),
    Column("run", "run in a thread, decide", 1),
    Column("end", "keep the books", 1),
    Column("log", "write the line", 1),
)
SCRIPTS = tuple(Column(name, name, 1) for name in ("enqueue", "claim", "settle", "take and done"))
PYTHON_NOTE = (
    "CPU of one thread, the best of seven rounds of 500 jobs: no waiting for the interpreter's lock, no system calls "
    "but those of `delay_many`. What a worker needs beyond the sum goes to threads, sockets and the reply's parser."
)
SCRIPTS_NOTE = (
    "CPU of the server, by its own account, with a hundred jobs a call (500 where the mirror asks). All policies: a "
    "unique key, a slot and a rate for each key, a group, an expiry, classes to retry for, two timeouts and a list of "
    "delays; each job has keys of its own."
)


def _sections(plan: Plan) -> list[Section]:
    load = Load(durability="commit")
    return [
        Section("in Python, µs", PYTHON_NOTE, PYTHON, _cases(load, "steps_of_python"), shows_settings=False),
        Section("in Redis, µs", SCRIPTS_NOTE, SCRIPTS, _cases(load, "steps_of_scripts"), shows_settings=False),
    ]


def _cases(load: Load, verb: str) -> list[Case]:
    return [
        Case("a no-op", OURS, load, _asks(verb, has_policies=False)),
        Case("a no-op with all policies", OURS, load, _asks(verb, has_policies=True)),
    ]


def _asks(verb: str, *, has_policies: bool) -> Act:
    def measure(scene: Scene) -> Sample:
        return dict(scene.client.ask(verb, has_policies))

    return measure


TABLE = Table("steps", "The steps of a job", "Where the time of one of our jobs goes.", _sections)
