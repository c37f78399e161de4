"""What becomes of jobs when Redis, the database, the network or a worker fails: real processes, real signals."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.servers import Server, binary, free_port
from tests.soak.marks import Event, events, release

from .conftest import ROOT, Project, WorkerProcess, until

pytestmark = [pytest.mark.lifecycle, pytest.mark.long]

LEASE = 3.0


@pytest.fixture
def held(project: Project) -> Project:
    """Return a project with tasks that run until they are released, and with the shortest lease."""
    project.environment["BACKIE_LIFECYCLE_MODULES"] = "tests.soak.tasks"
    project.environment["BACKIE_LIFECYCLE_OPTIONS"] = f'{{"LEASE": {LEASE}}}'
    return project


@pytest.fixture
def server(held: Project) -> Iterator[Server]:
    """Return a server that only this test's project uses."""
    port = free_port()
    server = Server(held.directory, binary(), {"port": str(port)}, port)
    server.start()
    held.environment["BACKIE_LIFECYCLE_REDIS"] = server.url
    yield server
    held.end()
    server.stop()


def delay(project: Project, *names: str, more: str = "") -> list[str]:
    """Enqueue held jobs and return their ids."""
    names_and_more = "".join(f"({name!r}{more}), " if more else f"({name!r},), " for name in names)
    code = f"from tests.soak.tasks import *\nprint(json.dumps([r.id for r in held.delay_many([{names_and_more}])]))"
    return list(project.run(code))


def of(project: Project, kind: str, name: str) -> list[Event]:
    """Return the beginnings or ends of a job."""
    return [event for event in events(project.directory) if (event.kind, event.name) == (kind, name)]


def begun(project: Project, name: str, times: int = 1, seconds: float = 20.0) -> Event:
    """Wait until a job has begun so many times; return the latest."""
    return until(lambda: len(of(project, "begin", name)) >= times and of(project, "begin", name), seconds)[-1]


def rows(project: Project, *columns: str) -> list[dict[str, Any]]:
    """Return columns of all rows, in the order of their making; a process for each question would cost too much."""
    with closing(sqlite3.connect(project.directory / "project.sqlite3")) as database:
        found = database.execute(f"SELECT {', '.join(columns)} FROM django_backie_job ORDER BY id").fetchall()  # noqa: S608
    return [dict(zip(columns, row, strict=True)) for row in found]


def states(project: Project) -> dict[str, int]:
    """Return how many rows are in each state."""
    return dict(Counter(row["state"] for row in rows(project, "state")))


def result_of(project: Project, place: int = 0) -> int:
    """Return the process that the result of a held job names; the jobs are counted in the order of their making."""
    code = (
        f"found = str(Job.objects.order_by('id')[{place}].pk)\nprint(json.dumps(held.get_result(found).return_value))"
    )
    return int(project.run(f"from tests.soak.tasks import *\n{code}"))


def succeeded(project: Project, count: int, seconds: float = 20.0) -> bool:
    """Wait until all rows are successful, and they are so many."""
    return bool(until(lambda: states(project) == {"SUCCESSFUL": count}, seconds))


def freeze(worker: WorkerProcess) -> None:
    """Stop a worker's parent and children, as a frozen host does."""
    os.killpg(worker.pid, signal.SIGSTOP)


def thaw(worker: WorkerProcess) -> None:
    """Let them go on."""
    os.killpg(worker.pid, signal.SIGCONT)


def tell(server: Server, *words: object) -> Any:
    """Send a command to a server and return its answer."""
    with server.client() as client:
        return client.execute_command(*words)


def send(server: Server, number: signal.Signals) -> None:
    """Send a signal to a server."""
    assert server.process is not None
    server.process.send_signal(number)


# Redis


def test_a_job_whose_process_was_killed_between_the_commit_and_the_push_runs(held: Project, server: Server) -> None:
    code = (
        "import django, os, signal; django.setup()\n"
        "from django.db import transaction\nfrom tests.soak.tasks import held\n"
        "with transaction.atomic():\n"
        "    transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))\n"
        "    held.delay('job', 0.0)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], env=held.environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert tell(server, "DBSIZE") == 0
    assert states(held) == {"READY": 1}
    held.worker()
    assert succeeded(held, 1)
    assert len(of(held, "end", "job")) == 1


def test_waiting_and_running_jobs_run_when_redis_has_restarted_empty(held: Project, server: Server) -> None:
    held.worker("--threads", "2")
    delay(held, "running-1", "running-2", *(f"waiting-{n}" for n in range(20)))
    begun(held, "running-1")
    begun(held, "running-2")
    until(lambda: states(held) == {"RUNNING": 2, "READY": 20})
    server.stop()
    server.start()
    for event in events(held.directory):
        release(held.directory, event.name)
    for n in range(20):
        release(held.directory, f"waiting-{n}")
    assert succeeded(held, 22, 30)
    assert all(len(of(held, "end", f"waiting-{n}")) == 1 for n in range(20))


def test_jobs_newer_than_the_snapshot_that_redis_restarts_from_run_once_each(held: Project, server: Server) -> None:
    delay(held, "old")
    tell(server, "SAVE")
    delay(held, "new-1", "new-2")
    server.stop()
    server.start()
    for name in ("old", "new-1", "new-2"):
        release(held.directory, name)
    held.worker()
    assert succeeded(held, 3, 30)
    assert sorted(event.name for event in events(held.directory) if event.kind == "end") == ["new-1", "new-2", "old"]


def test_jobs_that_a_promoted_replica_lacks_run(held: Project, server: Server) -> None:
    # Workers and web processes find the server through a link, as they would through a service's name.
    link = held.directory / "service.sock"
    link.symlink_to(server.socket)
    held.environment["BACKIE_LIFECYCLE_REDIS"] = f"unix://{link}"
    (held.directory / "replica").mkdir()
    replica = Server(held.directory / "replica", binary(), {"replicaof": f"127.0.0.1 {server.port}"})
    replica.start()
    held.worker()
    try:
        delay(held, "first")
        begun(held, "first")
        until(lambda: tell(server, "WAIT", 1, 1000))
        tell(replica, "REPLICAOF", "NO", "ONE")
        delay(held, "ended", more=", 0.0")
        until(lambda: of(held, "end", "ended"))
        delay(held, *(f"late-{n}" for n in range(20)))
        link.unlink()
        server.stop()
        link.symlink_to(replica.socket)
        release(held.directory, "first")
        for n in range(20):
            release(held.directory, f"late-{n}")
        assert succeeded(held, 22, 30)
    finally:
        held.end()
        replica.stop()


def test_no_job_runs_twice_and_no_worker_is_reaped_when_redis_was_frozen_for_longer_than_the_lease(
    held: Project, server: Server
) -> None:
    workers = [held.worker("--threads", "2"), held.worker("--threads", "2")]
    delay(held, *"abcd")
    for name in "abcd":
        begun(held, name)
    send(server, signal.SIGSTOP)
    # The freeze is the fault, not a wait for something.
    time.sleep(2 * LEASE)
    send(server, signal.SIGCONT)
    delay(held, "after")
    for name in (*"abcd", "after"):
        release(held.directory, name)
    assert succeeded(held, 5)
    assert [len(of(held, "begin", name)) for name in "abcd"] == [1, 1, 1, 1]
    assert {row["crashes"] for row in rows(held, "crashes")} == {0}
    assert not [line for worker in workers for line in worker.output.splitlines() if "lapsed" in line]


def test_jobs_run_once_each_while_the_script_cache_is_flushed_all_the_time(held: Project, server: Server) -> None:
    held.run(f"mark.delay_many([('{held.marks}', str(n)) for n in range(2000)])")
    worker = held.worker("--burst")
    flushes = 0
    while worker.process.poll() is None:
        tell(server, "SCRIPT", "FLUSH")
        flushes += 1
        time.sleep(0.01)
    assert flushes > 20
    assert sorted(map(int, held.marked())) == list(range(2000))
    assert states(held) == {"SUCCESSFUL": 2000}


def test_a_poison_pill_is_buried_after_three_kills_though_redis_was_emptied_in_between(
    held: Project, server: Server
) -> None:
    held.worker()
    job_id = held.run(f"print(json.dumps(kill_worker.delay('{held.marks}').id))")
    until(lambda: rows(held, "crashes", "state") == [{"crashes": 2, "state": "RETRYABLE"}])
    tell(server, "FLUSHALL")
    until(lambda: tell(server, "HEXISTS", f"{held.directory.name}:{{0}}:b", job_id))
    held.manage("backie", "run-now", job_id)
    until(lambda: states(held) == {"FAILED": 1})
    assert rows(held, "crashes", "reason") == [{"crashes": 3, "reason": "killed its worker 3 times"}]
    assert held.marked() == ["killed"] * 3


def test_a_worker_that_is_cut_off_from_redis_starts_nothing_and_its_late_result_is_refused(
    held: Project, server: Server
) -> None:
    route = held.directory / "route.sock"
    route.symlink_to(server.socket)
    held.environment["BACKIE_LIFECYCLE_REDIS"] = f"unix://{route}"
    cut_off = held.worker("--threads", "1")
    delay(held, "job")
    first = begun(held, "job")
    cut = time.time()
    route.unlink()
    tell(server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    held.environment["BACKIE_LIFECYCLE_REDIS"] = server.url
    other = held.worker("--threads", "1")
    second = begun(held, "job", 2)
    # Now it has a free thread and there is work, but Redis is out of its reach.
    release(held.directory, "job", first.pid)
    until(lambda: of(held, "end", "job"))
    delay(held, *"abc")
    until(lambda: "not available" in cut_off.output)
    back = time.time()
    route.symlink_to(server.socket)
    until(lambda: "lapsed" in cut_off.output or "refused" in cut_off.output)
    for name in ("job", *"abc"):
        release(held.directory, name)
    assert succeeded(held, 4)
    assert second.parent == other.pid
    assert result_of(held) == second.pid
    between = [event for event in events(held.directory) if event.kind == "begin" and cut < event.at < back]
    assert cut_off.pid not in {event.parent for event in between}


# Workers


def test_a_frozen_workers_job_runs_elsewhere_and_its_late_result_is_refused(held: Project) -> None:
    frozen = held.worker()
    delay(held, "job")
    first = begun(held, "job")
    other = held.worker()
    freeze(frozen)
    second = begun(held, "job", 2)
    assert second.parent == other.pid
    thaw(frozen)
    release(held.directory, "job", first.pid)
    until(lambda: [event.pid for event in of(held, "end", "job")] == [first.pid])
    until(lambda: "lapsed" in frozen.output or "refused" in frozen.output)
    release(held.directory, "job")
    assert succeeded(held, 1)
    assert result_of(held) == second.pid
    delay(held, "next", more=", 0.0")
    assert succeeded(held, 2)


def test_the_jobs_of_a_frozen_child_go_to_others_while_its_parent_lives(held: Project) -> None:
    worker = held.worker()
    delay(held, "job")
    first = begun(held, "job")
    other = held.worker()
    os.kill(first.pid, signal.SIGSTOP)
    try:
        second = begun(held, "job", 2, 10 * LEASE)
        assert second.parent in {worker.pid, other.pid}
        assert second.pid != first.pid
    finally:
        release(held.directory, "job")
        if Path(f"/proc/{first.pid}").exists():
            os.kill(first.pid, signal.SIGCONT)
    assert succeeded(held, 1)
    assert result_of(held) == second.pid


def test_a_job_that_holds_the_gil_for_longer_than_the_lease_keeps_its_lease(held: Project) -> None:
    worker, other = held.worker(), held.worker()
    held.run(f"from tests.soak.tasks import *\nhold_gil.delay('job', {3 * LEASE})")
    assert succeeded(held, 1, 10 * LEASE)
    assert len(of(held, "begin", "job")) == 1
    assert rows(held, "crashes", "attempt") == [{"crashes": 0, "attempt": 1}]
    assert "lapsed" not in worker.output + other.output


def test_a_worker_killed_while_it_stops_charges_no_crash(held: Project) -> None:
    worker = held.worker("--grace", "60")
    delay(held, "job")
    begun(held, "job")
    # The mark that the job has begun must have reached Redis: else it would be free of charge in any case.
    time.sleep(LEASE)
    worker.signal(signal.SIGTERM)
    until(lambda: "stopping" in worker.output)
    worker.kill_tree()
    held.worker()
    begun(held, "job", 2, 10 * LEASE)
    release(held.directory, "job")
    assert succeeded(held, 1)
    assert rows(held, "crashes", "attempt") == [{"crashes": 0, "attempt": 1}]


def test_a_killed_parents_job_runs_again_elsewhere_and_its_attempt_is_given_back(held: Project) -> None:
    worker = held.worker()
    delay(held, "job")
    first = begun(held, "job")
    other = held.worker()
    os.kill(worker.pid, signal.SIGKILL)
    second = begun(held, "job", 2, 10 * LEASE)
    release(held.directory, "job")
    assert second.parent == other.pid
    assert succeeded(held, 1)
    assert result_of(held) == second.pid
    assert [event.pid for event in of(held, "end", "job")] == [second.pid]
    until(lambda: not Path(f"/proc/{first.pid}").exists())


# The database


def test_workers_go_on_while_nobody_can_write_to_the_database(held: Project) -> None:
    worker = held.worker()
    with closing(sqlite3.connect(held.directory / "project.sqlite3", isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        code = f"mark.using(durability='now').delay_many([('{held.marks}', str(n)) for n in range(50)])"
        held.run(code)
        until(lambda: len(held.marked()) == 50)
        assert worker.process.poll() is None
        lock.execute("ROLLBACK")
    assert succeeded(held, 50, 40)
    assert sorted(map(int, held.marked())) == list(range(50))


# The promise on paper


def test_every_test_that_the_failure_matrix_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/explanation/failures.md").read_text()))
    there = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert len(named) > 30
    assert named <= there, named - there
