"""Running jobs of a real worker are cancelled from another process."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from .conftest import Project, until

pytestmark = pytest.mark.lifecycle

TASKS = "from tests.app.cancelled import *\n"


@pytest.fixture
def project(project: Project) -> Project:
    project.environment["BACKIE_LIFECYCLE_MODULES"] = "tests.app.cancelled"
    return project


def begun(project: Project, calls: list[str]) -> list[str]:
    """Make jobs, wait until all have begun, and return their ids."""
    ids = project.run(f"{TASKS}print(json.dumps([made.id for made in ({', '.join(calls)},)]))")
    until(lambda: project.marked().count("began") == len(calls))
    return list(ids)


def rows(project: Project) -> dict[str, Any]:
    return dict(
        project.run("print(json.dumps({str(j.pk): [j.state, j.reason, j.crashes] for j in Job.objects.all()}))")
    )


def test_a_sync_and_an_async_job_are_cancelled_from_another_process(project: Project) -> None:
    project.worker()
    ids = begun(project, [f"{name}.delay('{project.marks}')" for name in ("notice", "anotice")])
    told = project.manage("backie", "cancel", *ids, "--reason", "enough")
    assert told.splitlines() == [f"{job_id} asked to end" for job_id in ids]
    until(lambda: project.marked().count("noticed:enough") == 2)
    until(lambda: rows(project) == {job_id: ["CANCELLED", "enough", 0] for job_id in ids})
    assert project.marked().count("began") == 2


def test_a_job_whose_process_is_killed_after_the_asking_does_not_run_again(project: Project) -> None:
    worker = project.worker()
    (job_id,) = begun(project, [f"stay.delay('{project.marks}', '{project.directory / 'gate'}')"])
    project.manage("backie", "cancel", job_id, "--reason", "enough")
    os.kill(worker.workers()[0], signal.SIGKILL)
    until(lambda: rows(project) == {job_id: ["CANCELLED", "enough", 1]})
    after = project.run(f"print(json.dumps(mark.delay('{project.marks}', 'after').id))")
    until(lambda: rows(project)[after][0] == "SUCCESSFUL")
    assert project.marked() == ["began", "after"]


def test_a_job_that_a_stopping_worker_hands_back_after_the_asking_does_not_run_again(project: Project) -> None:
    worker = project.worker("--no-reload", "--grace", "0.2")
    (job_id,) = begun(project, [f"stay.delay('{project.marks}', '{project.directory / 'gate'}')"])
    project.manage("backie", "cancel", job_id, "--reason", "enough")
    worker.signal(signal.SIGTERM)
    worker.wait()
    project.worker()
    until(lambda: rows(project) == {job_id: ["CANCELLED", "enough", 0]})
    assert project.marked() == ["began"]
