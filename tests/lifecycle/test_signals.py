"""How a worker stops."""

from __future__ import annotations

import os
import signal

import pytest

from .conftest import Project, until

pytestmark = pytest.mark.lifecycle


def test_burst_runs_everything_mirrors_it_and_exits_clean(project: Project) -> None:
    project.run(f"mark.delay_many([('{project.marks}', str(n)) for n in range(50)])")
    assert project.worker("--burst").wait() == 0
    assert sorted(map(int, project.marked())) == list(range(50))
    assert project.states() == {"SUCCESSFUL": 50}


def test_a_burst_runs_what_the_outbox_has_and_tells_what_is_left(project: Project) -> None:
    project.run(
        "from datetime import timedelta\n"
        "from django.utils import timezone\n"
        "from django_backie.broker.redis import RedisBroker\n"
        "from django_backie.exceptions import BrokerUnavailable\n"
        f"mark.using(run_after=timedelta(hours=1)).delay('{project.marks}', 'later')\n"
        "def away(*_, **__): raise BrokerUnavailable('away')\n"
        "RedisBroker.enqueue = away\n"
        f"mark.delay('{project.marks}', 'now')\n"
        "Job.objects.filter(version=0).update(enqueued_at=timezone.now() - timedelta(minutes=1))\n"
    )
    worker = project.worker("--burst")

    assert worker.wait() == 0
    assert project.marked() == ["now"]
    assert "what is left: 1 due later" in worker.output


def test_sigterm_lets_running_jobs_finish_and_hands_back_the_others(project: Project) -> None:
    worker = project.worker("--threads", "1")
    gate = project.directory / "gate"
    project.run(f"mark_behind.delay_many([('{gate}', '{project.marks}', str(n)) for n in range(3)])")
    until(lambda: project.run("print(json.dumps(Job.objects.filter(state='RUNNING').count()))"))
    worker.signal(signal.SIGTERM)
    until(lambda: "stopping" in worker.output)
    gate.touch()
    assert worker.wait() == 0
    assert len(project.marked()) == 1
    assert project.states() == {"SUCCESSFUL": 1, "READY": 2}


def test_a_job_that_outlasts_the_grace_is_handed_back_with_its_attempt(project: Project) -> None:
    worker = project.worker("--grace", "0.2")
    project.run(f"amark.delay('{project.marks}', 'x', 60)")
    until(lambda: project.run("print(json.dumps(Job.objects.filter(state='RUNNING').count()))"))
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 3
    job = project.run("print(json.dumps(Job.objects.values('state', 'attempt', 'crashes').get()))")
    assert job == {"state": "READY", "attempt": 0, "crashes": 0}


def test_a_process_that_is_to_be_replaced_lets_its_jobs_finish(project: Project) -> None:
    worker = project.worker("--max-jobs", "1", "--grace", "0.2")
    project.run(f"mark.delay('{project.marks}', 'slow', 2.0)")
    until(lambda: project.marked() == ["slow"])
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert project.states() == {"SUCCESSFUL": 1}


def test_a_signal_to_the_whole_group_loses_no_state(project: Project) -> None:
    worker = project.worker()
    gate = project.directory / "gate"
    project.run(f"mark_behind.delay('{gate}', '{project.marks}', 'x')")
    until(lambda: project.run("print(json.dumps(Job.objects.filter(state='RUNNING').count()))"))
    os.killpg(worker.pid, signal.SIGTERM)
    until(lambda: "stopping" in worker.output)
    gate.touch()
    assert worker.wait() == 0
    assert project.states() == {"SUCCESSFUL": 1}


def test_a_second_signal_aborts(project: Project) -> None:
    worker = project.worker("--grace", "600")
    project.run(f"amark.delay('{project.marks}', 'x', 600)")
    until(lambda: project.run("print(json.dumps(Job.objects.filter(state='RUNNING').count()))"))
    worker.signal(signal.SIGINT)
    until(lambda: "stopping" in worker.output)
    worker.signal(signal.SIGINT)
    assert worker.wait() == 3
    assert project.states() == {"READY": 1}


def test_no_process_is_left_behind(project: Project) -> None:
    worker = project.worker("--processes", "2")
    pids = until(lambda: worker.children() if len(worker.children()) == 3 else None)
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_stop_in_the_moment_of_a_birth_is_not_lost(project: Project) -> None:
    worker = project.worker("--max-jobs", "1", "--processes", "2")
    project.run(f"mark.delay_many([('{project.marks}', str(n)) for n in range(60)])")
    until(lambda: len(project.marked()) > 20)
    worker.signal(signal.SIGTERM)
    # Far less than the 30 seconds after which a child that missed the signal would be killed.
    assert worker.wait(20) == 0
