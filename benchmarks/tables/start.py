"""How long a worker takes from its start to its first job."""

from __future__ import annotations

from ..load import Load
from ..measures import Sample
from ..peers import FLOOR, OURS
from ..samples import Column
from ..stage import Scene
from .base import Case, Plan, Section, Table, cases_of_all

COLUMNS = (Column("seconds", "s to the first job", 2, better="less"),)
NOTE = (
    "From the start of the command to the end of the first job, which was waiting; files cached, default settings, all "
    "cores. Every system loads Django, as in a Django project."
)
PROJECT = Load(in_project=True)


def _sections(plan: Plan) -> list[Section]:
    cases = [
        Case("django-backie", OURS, PROJECT, _measure),
        *cases_of_all(plan.peers, plan, PROJECT, lambda peer: _measure),
        Case("bare redis-py, no Django", FLOOR, Load(), _measure),
    ]
    return [Section("default settings", NOTE, COLUMNS, cases)]


def _measure(scene: Scene) -> Sample:
    scene.client.ask("fill", "noop", 1)
    worker = scene.start_worker()
    return {"seconds": scene.wait(1) - worker.started}


TABLE = Table("start", "Start", "What a deployment or a restart costs.", _sections)
