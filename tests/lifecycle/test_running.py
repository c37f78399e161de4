"""What a running worker does with jobs, and around them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time

import pytest

from .conftest import ROOT, Project, until

pytestmark = pytest.mark.lifecycle


def test_a_job_leaves_nothing_behind_for_the_next(project: Project) -> None:
    project.worker("--threads", "1")
    found = project.run(
        "leave_mess.delay(); result = look_around.delay()\n"
        "import time\n"
        "while not result.is_finished: time.sleep(0.02); result.refresh()\n"
        "print(json.dumps(result.return_value))"
    )
    assert found == {"autocommit": True, "language": "en-us", "zone": "UTC"}


def test_a_sync_task_is_interrupted_at_its_timeout(project: Project) -> None:
    project.worker()
    error = project.run(
        "result = overrun.delay()\n"
        "import time\n"
        "while not result.is_finished: time.sleep(0.02); result.refresh()\n"
        "print(json.dumps(result.errors[0].exception_class_path))"
    )
    assert error == "django_backie.exceptions.TaskTimeout"
    until(lambda: project.states() == {"FAILED": 1})
    assert project.run("print(json.dumps(Attempt.objects.get().outcome))") == "timed_out"


def test_async_tasks_run_beside_each_other(project: Project) -> None:
    project.run(f"amark.delay_many([('{project.marks}', str(n), 0.5) for n in range(100)])")
    worker = project.worker("--burst")
    assert worker.wait(20) == 0
    assert len(project.marked()) == 100


def test_a_process_is_replaced_after_max_jobs(project: Project) -> None:
    worker = project.worker("--max-jobs", "5")
    first = until(worker.workers)
    project.run(f"mark.delay_many([('{project.marks}', str(n)) for n in range(12)])")
    until(lambda: len(project.marked()) == 12)
    assert worker.workers() != first
    assert worker.process.poll() is None


def test_a_process_that_grows_is_replaced(project: Project) -> None:
    worker = project.worker("--max-memory", "300M")
    first = until(worker.workers)
    project.run("hoard.delay(300)")
    until(lambda: worker.workers() not in ([], first))
    project.run(f"mark.delay('{project.marks}', 'after')")
    until(lambda: project.marked() == ["after"])
    assert "more than the 300 of --max-memory: it ends" in worker.output
    until(lambda: project.states() == {"SUCCESSFUL": 2})


def test_queues_are_served_in_the_given_order_and_no_others(project: Project) -> None:
    for queue in ("low", "high", "other"):
        project.run(f"mark.using(queue_name='{queue}').delay('{project.marks}', '{queue}')")
    assert project.worker("--burst", "--threads", "1", "--queues", "high,low").wait() == 0
    assert project.marked() == ["high", "low"]
    assert project.states() == {"SUCCESSFUL": 2, "READY": 1}


def test_json_lines_have_the_documented_keys(project: Project) -> None:
    project.run("add.delay(1, 2)")
    worker = project.worker("--burst", "--log-format", "json")
    worker.wait()
    line = next(line for line in worker.output.splitlines() if '"succeeded"' in line)
    assert re.findall(r'"(\w+)":', line) == [
        "ts", "level", "event", "task", "id", "queue", "attempt", "max_attempts", "wait_ms", "run_ms", "worker",
    ]  # fmt: skip


def test_jobs_wait_in_the_outbox_while_redis_is_down_and_run_when_it_is_back(project: Project) -> None:
    binary = os.environ.get("BACKIE_TEST_REDIS_BINARY", "redis-server")
    path = f"{project.directory}/r.sock"
    project.environment["BACKIE_LIFECYCLE_REDIS"] = f"unix://{path}"
    worker = project.worker()
    ids = project.run(f"print(json.dumps([mark.delay('{project.marks}', str(n)).id for n in range(3)]))")
    assert len(ids) == 3
    server = subprocess.Popen(
        [binary, "--port", "0", "--unixsocket", path, "--save", "", "--dir", str(project.directory)]
    )
    try:
        until(lambda: sorted(project.marked()) == ["0", "1", "2"], 30)
        until(lambda: project.states() == {"SUCCESSFUL": 3}, 30)
        worker.kill_tree()
    finally:
        server.terminate()
        server.wait()


def test_changed_code_runs_after_a_reload(project: Project) -> None:
    module = project.directory / "changing.py"
    text = "from django_backie import task\n\n@task\ndef version() -> int:\n    return {}\n"
    module.write_text(text.format(1))
    project.environment["BACKIE_LIFECYCLE_MODULES"] = "changing"
    worker = project.worker("--reload")
    module.write_text(text.format(2))
    os.utime(module, (time.time() + 5, time.time() + 5))
    until(lambda: "restarting" in worker.output and worker.output.count("ready,") == 2)
    found = project.run(
        "import time\nfrom changing import version\nresult = version.delay()\n"
        "while not result.is_finished: time.sleep(0.02); result.refresh()\n"
        "print(json.dumps(result.return_value))"
    )
    assert found == 2


def test_the_command_can_be_called_in_a_thread(project: Project) -> None:
    project.run(
        f"mark.delay('{project.marks}', 'x')\n"
        "import threading\nfrom django.core.management import call_command\n"
        "thread = threading.Thread(target=call_command, args=['runworker'], kwargs={'burst': True, 'verbosity': 0})\n"
        "thread.start(); thread.join(20)\n"
        "assert not thread.is_alive()\nprint('null')"
    )
    assert project.marked() == ["x"]
    assert project.states() == {"SUCCESSFUL": 1}


def test_wrong_options_are_refused_in_one_sentence(project: Project) -> None:
    def refused(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "django", "runworker", *arguments],
            env=project.environment,
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert done.returncode in {1, 2}
        return done.stderr

    assert "'0' is not a whole number from 1" in refused("--threads", "0")
    assert "exclude each other" in refused("--queues", "a", "--exclude-queues", "b")
    assert "--backend nope" in refused("--backend", "nope")


def test_the_worker_waits_for_a_redis_that_is_not_there_yet(project: Project) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    project.environment["BACKIE_LIFECYCLE_REDIS"] = f"redis://127.0.0.1:{port}/0"
    worker = project.worker()
    until(lambda: f"127.0.0.1:{port}/0 is not available" in worker.output)
    assert worker.process.poll() is None
