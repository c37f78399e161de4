"""Orders through the whole shop: each committed one is followed by its jobs, no rolled-back one is.

BACKIE_SHOP_ORDERS sets the number of orders, 150 by default; the longer proof is

    BACKIE_SHOP_ORDERS=10000 python3 dev.py test tests/lifecycle/test_shop.py --timeout 1800 -n 0
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_backie.broker.connection import command_client

from .conftest import ROOT, until

pytestmark = pytest.mark.lifecycle

ORDERS = int(os.environ.get("BACKIE_SHOP_ORDERS", "150"))
REPORT = """
import json
from collections import Counter
from django_backie.models import Job
from shop.models import Order, OrderJob
print(json.dumps({
    "orders": list(Order.objects.values_list("pk", flat=True)),
    "followed": OrderJob.objects.count(),
    "states": Counter(Job.objects.values_list("state", flat=True)),
    "legacy": Job.objects.filter(task="shop.tasks.sync_legacy_stock").count(),
}))
"""


class Shop:
    """The shop in a directory of its own, with its stubs."""

    def __init__(self, directory: Path, redis_url: str, namespace: str) -> None:
        self.directory = directory
        self._port, smtp_port = _free_ports()
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "shopsite.settings",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'testproject'}",
            "PYTHONUNBUFFERED": "1",
            "REDIS_URL": redis_url,
            "SHOP_NAMESPACE": namespace,
            "SHOP_DATA_DIR": str(directory),
            "SHOP_STUB_PORT": str(self._port),
            "SHOP_SMTP_PORT": str(smtp_port),
            "SHOP_REVIEW_AFTER": "1",
            "DEBUG": "0",
        }
        self._processes: list[subprocess.Popen[str]] = []

    def manage(self, *arguments: str) -> str:
        """Run a command to its end."""
        done = subprocess.run(self._command(arguments), env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        log = (self.directory / f"{arguments[0]}.log").open("a")
        process = subprocess.Popen(
            self._command(arguments), env=self.environment, stdout=log, stderr=log, text=True, start_new_session=True
        )
        log.close()
        self._processes.append(process)
        return process

    def report(self) -> dict[str, Any]:
        """Return what the shop and the job table know."""
        return dict(json.loads(self.manage("shell", "-v0", "-c", REPORT).strip().splitlines()[-1]))

    def arrivals(self) -> dict[str, dict[str, int]]:
        """Return how often each order has arrived at the provider, at the metric sink and in the mail box."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/", timeout=5) as response:
            return dict(json.load(response))

    def is_open(self) -> bool:
        """Tell whether the stubs answer."""
        try:
            self.arrivals()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Kill what is left."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @staticmethod
    def _command(arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, str(ROOT / "testproject" / "manage.py"), *arguments]


@pytest.fixture
def shop(tmp_path: Path, redis_url: str, namespace: str) -> Iterator[Shop]:
    shop = Shop(tmp_path, redis_url, namespace)
    yield shop
    shop.close()
    client = command_client(redis_url)
    keys = list(client.scan_iter(f"{namespace}:*", count=1000))
    if keys:
        client.delete(*keys)


def test_every_committed_order_is_followed_and_no_other(shop: Shop) -> None:
    shop.manage("migrate", "-v0")
    shop.start("stubs", "--failures", "0.05")
    until(shop.is_open)
    worker = shop.start("runworker", "--no-reload", "-v", "0")
    output = shop.manage("trickle", "--every", "0", "--count", str(ORDERS), "--rollback-every", "10")
    committed = set(re.findall(r"(\w+) placed by", output))
    rolled_back = set(re.findall(r"(\w+) rolled back:", output))
    assert (len(committed), len(rolled_back)) == (ORDERS - ORDERS // 10, ORDERS // 10)

    def everything_has_ended() -> dict[str, Any] | None:
        report = shop.report()
        ended = set(report["states"]) <= {"SUCCESSFUL", "FAILED"}
        complete = report["followed"] == 4 * len(committed) + report["legacy"]
        return report if ended and complete else None

    # Retries wait 2, 4, 8 ... seconds; ten thousand orders take a few minutes.
    report = until(everything_has_ended, 60 + ORDERS / 10)
    arrivals = shop.arrivals()
    assert set(report["orders"]) == committed
    assert sum(report["states"].values()) == report["followed"]
    assert report["states"].get("FAILED", 0) == report["legacy"]
    for step in ("payments", "events", "mails", "reviews"):
        assert set(arrivals[step]) == committed, step
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=40) == 0


def _free_ports() -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
