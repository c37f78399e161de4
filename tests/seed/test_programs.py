"""The three programs of the post that the project grew from run with only imports and settings changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue

import pytest

from django_backie import BaseTask, Broker, Worker
from tests.app.cancelled import anotice
from tests.app.tasks import add
from tests.lifecycle.conftest import until

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[2]


class _Provider(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.put(self.path)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Provider)
    server.seen = Queue()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def _environment(provider: HTTPServer, redis_url: str, namespace: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
        "REDIS_URL": redis_url,
        "NAMESPACE": namespace,
        "PROVIDER": f"http://127.0.0.1:{provider.server_port}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.mark.lifecycle
@pytest.mark.parametrize("producer", ["tasks.py", "producer.py"])
def test_the_worker_program_runs_what_the_producer_program_enqueued(
    provider: HTTPServer, redis_url: str, namespace: str, producer: str
) -> None:
    environment = _environment(provider, redis_url, namespace)
    subprocess.run([sys.executable, producer], cwd=PROGRAMS, env=environment, check=True, timeout=30)
    worker = subprocess.Popen([sys.executable, "worker.py"], cwd=PROGRAMS, env=environment)
    try:
        assert provider.seen.get(timeout=20) == "/24dkq40/example@example.org"  # type: ignore[attr-defined]
    finally:
        worker.send_signal(signal.SIGINT)
        assert worker.wait(timeout=20) == 0


def test_a_class_without_a_name_is_refused_when_it_is_used() -> None:
    class Nameless(BaseTask):
        def run(self) -> None:
            """Do nothing."""

    with pytest.raises(ValueError, match="task_name should be set"):
        Nameless()


def test_a_class_without_run_cannot_be_instantiated() -> None:
    class Idle(BaseTask):
        task_name = "idle"

    with pytest.raises(TypeError, match="abstract"):
        Idle()  # type: ignore[abstract]


def test_the_plain_broker_is_a_line_of_strings(backend: object) -> None:
    broker = Broker("now")
    broker.enqueue(item="a", queue_name="q")
    broker.enqueue(item="b", queue_name="q")
    assert [broker.dequeue(queue_name="q"), broker.dequeue(queue_name="q")] == ["a", "b"]


def test_the_plain_broker_returns_none_when_nothing_comes(backend: object) -> None:
    assert Broker("now").dequeue(queue_name="empty") is None


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_worker_in_burst_mode_returns_when_the_queue_is_empty(backend: object) -> None:
    result = add.delay(1, 2)
    thread = threading.Thread(target=Worker(task=add).start, kwargs={"burst": True})
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive()
    result.refresh()
    assert result.return_value == 3


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_a_running_job_of_a_worker_without_a_parent_can_be_cancelled(backend: object, tmp_path: Path) -> None:
    result = anotice.delay(str(tmp_path / "marks"))
    worker = Worker()
    thread = threading.Thread(target=worker.start)
    thread.start()
    try:
        until((tmp_path / "marks").exists)
        result.cancel("enough")
        until(lambda: result.refresh() or result.state.is_final)
    finally:
        worker.stop()
        thread.join(timeout=40)
    assert result.state == "CANCELLED"
