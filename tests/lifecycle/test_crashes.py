"""What becomes of jobs whose worker dies."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from .conftest import Project, until

pytestmark = pytest.mark.lifecycle


def test_jobs_of_a_killed_child_run_again_at_once(project: Project) -> None:
    worker = project.worker()
    gate = project.directory / "gate"
    project.run(f"mark_behind.delay('{gate}', '{project.marks}', 'a')")
    until(lambda: project.run("print(json.dumps(Job.objects.filter(state='RUNNING').count()))"))
    victim = worker.workers()[0]
    os.kill(victim, signal.SIGKILL)
    began = time.monotonic()
    until(lambda: "taken back" in worker.output)
    gate.touch()
    until(lambda: project.marked() == ["a"])
    # This must not wait for the lease.
    assert time.monotonic() - began < 15
    assert victim not in worker.children()


def test_a_job_that_kills_its_worker_is_buried(project: Project) -> None:
    worker = project.worker()
    job_id = project.run(f"print(json.dumps(kill_worker.delay('{project.marks}').id))")
    until(lambda: len(project.marked()) == 2)
    # The third try is due half a minute later; a person need not wait for it.
    until(lambda: project.run("print(json.dumps(Job.objects.filter(state='RETRYABLE').count()))"))
    project.manage("backie", "run-now", job_id)
    until(lambda: project.run("print(json.dumps(Job.objects.filter(state='FAILED').count()))"))
    job = project.run("print(json.dumps(Job.objects.values('state', 'reason', 'crashes').get()))")
    assert job == {"state": "FAILED", "reason": "killed its worker 3 times", "crashes": 3}
    assert project.run("print(json.dumps(list(Attempt.objects.values_list('outcome', flat=True))))") == [
        "lost",
        "lost",
        "lost",
    ]
    assert worker.process.poll() is None


def test_children_end_when_their_parent_is_killed(project: Project) -> None:
    worker = project.worker("--grace", "1")
    pids = until(lambda: worker.children() if len(worker.children()) == 2 else None)
    os.kill(worker.pid, signal.SIGKILL)
    worker.process.wait()

    def all_gone() -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in pids)

    until(all_gone)


def test_two_hundred_jobs_survive_a_kill_of_the_whole_tree(project: Project) -> None:
    worker = project.worker()
    project.run(f"mark.delay_many([('{project.marks}', str(n), 0.05) for n in range(200)])")
    until(lambda: len(project.marked()) >= 40)
    worker.kill_tree()
    began = time.monotonic()
    project.worker()
    until(lambda: set(map(int, project.marked())) == set(range(200)), 30)
    assert time.monotonic() - began < 30
