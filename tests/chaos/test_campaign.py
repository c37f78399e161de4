"""Real campaigns: short ones on SQLite, with everything cleared away afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from django_backie.chaos import checker, facts
from django_backie.chaos.facts import Facts
from django_backie.chaos.view import Violation
from tests.lifecycle.conftest import ROOT, until
from tests.servers import binary

pytestmark = [pytest.mark.lifecycle, pytest.mark.long]

# Without those that take whole workers away for seconds, and poison, whose third try comes after half a minute.
BRISK = "kill-child,kill-duties,script-flush,cut,flushall,redis-kill,kill-producer,die-after-commit,database-down"


class Command:
    """``manage.py backie chaos`` with a directory of its own for all that it leaves behind."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(directory),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        # Django's own checks look at the database of the settings.
        command = [sys.executable, "-m", "django", "backie", "--skip-checks", "chaos"]
        return subprocess.Popen(
            [*command, "--server-binary", binary(), *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, list[str]]:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=150)
        return process.returncode, output.splitlines()

    def processes(self) -> list[str]:
        """Return the processes that are left: they have the directory as theirs, or in their command line."""
        listing = subprocess.run(["ps", "-A", "-o", "pid=,stat=,args="], capture_output=True, text=True).stdout
        return [line for line in listing.splitlines() if self._is_ours(line)]

    def _is_ours(self, line: str) -> bool:
        pid, state, *arguments = line.split()
        if state.startswith("Z"):
            return False
        try:
            where = str(Path(f"/proc/{pid}/cwd").readlink())
        except OSError:
            where = ""
        return where.startswith(f"{self.directory}/") or f"{self.directory}/" in " ".join(arguments)


@pytest.fixture
def command(tmp_path_factory: pytest.TempPathFactory) -> Command:
    # Not tmp_path, whose name is as long as the test's: the path of a Unix socket is bounded.
    return Command(tmp_path_factory.mktemp("chaos"))


def loaded(path: Path) -> Facts:
    """Return facts that a campaign has kept."""
    values: dict[str, Any] = json.loads(path.read_text())
    kinds = {
        "orders": facts.Order,
        "calls": facts.Call,
        "pauses": facts.Pause,
        "callings_off": facts.CallingOff,
        "timetables": facts.Timetable,
        "rows": facts.Row,
        "ended": facts.Ended,
        "executions": facts.Execution,
    }
    for name, kind in kinds.items():
        values[name] = tuple(kind(**item) for item in values[name])
    for name in ("quiet", "over"):
        values[name] = facts.Remains(**values[name])
    values["outages"] = facts.Outages(**values["outages"])
    return Facts(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def test_a_campaign_passes_and_its_checker_notices_what_is_taken_away(command: Command) -> None:
    report = command.directory / "report.json"
    arguments = ["--seconds", "8", "--seed", "7", "--faults", BRISK, "--workers", "2", "--keep", "--json", str(report)]
    code, lines = command.run(*arguments)

    assert lines[0].startswith("backie chaos   seed 7   8 s   sqlite   ")
    assert lines[-1].startswith("PASSED   "), "\n".join(lines)
    assert code == 0
    found = json.loads(report.read_text())
    assert sum(found["faults_struck"].values()) >= 15
    assert sum(found["jobs"].values()) >= 300
    assert found["effects"] > 0
    # The others take longer than eight seconds to be sure of.
    assert all(found["policies"][name] for name in ("conflicts", "replaced", "called off", "slots"))
    (kept,) = command.directory.glob("backie-chaos-*/facts.json")
    assert_sabotage_is_noticed(loaded(kept))


def assert_sabotage_is_noticed(real: Facts) -> None:
    """Take one thing after the other away from, or add it to, the facts of a real campaign."""
    assert checker.check(real) == ()
    row = next(row for row in real.rows if row.state == "SUCCESSFUL")
    rows = tuple(other for other in real.rows if other.job != row.job)

    def found(**changes: Any) -> set[tuple[str, str]]:
        violations: tuple[Violation, ...] = checker.check(replace(real, **changes))
        return {(violation.invariant, violation.job) for violation in violations}

    assert ("I1", row.job) in found(rows=rows)
    assert ("I1", row.job) in found(rows=(*rows, replace(row, state="READY")))
    assert ("I2", row.job) in found(orders=tuple(order for order in real.orders if order.job != row.job))
    assert ("I4", row.job) in found(ended=(*real.ended, facts.Ended(row.job, 1, "succeeded", "another")))
    assert ("I9", real.effects[0]) in found(effects=real.effects[1:])
    # Before the first that was made nobody knows whether there should have been one.
    tick = max(order.job for order in real.orders if order.kind == "tick")
    assert ("I12", "") in found(orders=tuple(order for order in real.orders if order.job != tick))
    assert ("I9", "") in found(counter=real.counter + 1)


def test_nothing_is_left_of_a_campaign(command: Command) -> None:
    code, lines = command.run("--seconds", "3", "--seed", "1", "--faults", "kill-tree,redis-kill,stop-tree")

    assert code == 0, "\n".join(lines)
    assert list(command.directory.iterdir()) == []
    assert command.processes() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_an_interrupted_campaign(command: Command, number: signal.Signals) -> None:
    process = command.start("--seconds", "100", "--seed", "1", "--faults", "stop-tree,redis-freeze")
    until(lambda: len([line for line in command.processes() if "runworker" in line]) >= 6)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 130, output
    assert "interrupted: no verdict" in output
    assert list(command.directory.iterdir()) == []
    assert command.processes() == []


def test_the_project_s_redis_and_database_are_not_touched(command: Command, tmp_path: Path) -> None:
    """They need not even be there: the settings name a Redis and a database that do not exist."""
    settings = tmp_path / "unreachable.py"
    settings.write_text(
        "from tests.settings import *\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': '/nonexistent/directory/db'}}\n"
        "TASKS = {'default': {'BACKEND': 'django_backie.backend.RedisBackend', 'OPTIONS': {\n"
        "    'URL': 'unix:///nonexistent/redis.sock', 'DATABASES': ['default']}}}\n"
    )
    command._environment |= {"DJANGO_SETTINGS_MODULE": "unreachable", "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    code, lines = command.run("--seconds", "2", "--seed", "1", "--faults", "script-flush", "--workers", "1")

    assert code == 0, "\n".join(lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--faults", "kil-child"], "'kil-child' is no fault, did you mean 'kill-child'?"),
        (["--seconds", "0"], "'0' is not a number of seconds above 0"),
        (["--database", "nowhere"], "--database nowhere: DATABASES has no such alias; it has default, other"),
        (["--server-binary", "/nonexistent/server"], "/nonexistent/server: there is no such program"),
    ],
    ids=["fault", "seconds", "database", "server"],
)
def test_a_wrong_option_says_what_would_be_right(command: Command, arguments: list[str], words: str) -> None:
    code, lines = command.run(*arguments)

    assert code != 0
    assert words in " ".join(lines)
    assert list(command.directory.iterdir()) == []
