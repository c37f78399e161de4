"""Schedules with real workers, some of which are killed."""

from __future__ import annotations

import json

import pytest

from .conftest import Project, until

pytestmark = pytest.mark.lifecycle


def slots(project: Project) -> list[int]:
    """Return the seconds of the slots whose jobs have run."""
    path = project.directory / "beats.txt"
    lines = path.read_text().split() if path.exists() else []
    return sorted(int(line.replace("-", "")[:12], 16) // 1000 for line in lines)


ENTRY = {"task": "tests.app.pulses.pulse", "schedule": "every 1 s", "missed": "all", "args": ["beats.txt"]}
IN_CODE = {"BACKIE_LIFECYCLE_MODULES": "tests.app.periodic"}
IN_SETTINGS = {
    "BACKIE_LIFECYCLE_MODULES": "tests.app.pulses",
    "BACKIE_LIFECYCLE_OPTIONS": json.dumps({"SCHEDULES": {"heart": ENTRY}}),
}


@pytest.mark.parametrize(("environment", "name"), [(IN_CODE, "beat"), (IN_SETTINGS, "pulse")], ids=["code", "settings"])
def test_each_second_makes_one_job_though_a_worker_is_killed(
    project: Project, environment: dict[str, str], name: str
) -> None:
    project.environment.update(environment)
    workers = [project.worker() for _ in range(2)]
    until(lambda: len(slots(project)) >= 3, 30)
    workers[0].kill_tree()
    seen = len(slots(project))
    until(lambda: len(slots(project)) >= seen + 4, 30)
    workers[1].kill_tree()
    project.worker()
    until(lambda: len(set(slots(project))) >= seen + 7, 40)

    found = sorted(set(slots(project)))
    rows = project.run(f"print(json.dumps([str(job.pk) for job in Job.objects.filter(task__endswith='{name}')]))")
    made = sorted(int(key.replace("-", "")[:12], 16) // 1000 for key in rows)
    assert found == list(range(found[0], found[-1] + 1)), "none was left out"
    assert len(made) == len(set(made)), "none was made twice"
