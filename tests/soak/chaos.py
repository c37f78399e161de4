"""The long chaos campaign: the package's own command, with every fault there is."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from django_backie.chaos.plan import ALL
from tests.lifecycle.conftest import ROOT, Project

from .report import Figure, Report


def run(minutes: float, seed: int | None) -> Report:
    """Run the campaign as a user would, on SQLite, and read its report."""
    report = Report(f"chaos, {minutes:g} minutes")
    with tempfile.TemporaryDirectory(prefix="backie-soak-") as directory:
        found = Path(directory, "report.json")
        words = ["backie", "chaos", "--seconds", str(minutes * 60), "--faults", ",".join(ALL), "--json", str(found)]
        if seed is not None:
            words += ["--seed", str(seed)]
        environment = Project(Path(directory)).environment
        # Our standard output is for the report in JSON.
        done = subprocess.run([sys.executable, "-m", "django", *words], env=environment, cwd=ROOT, stdout=sys.stderr)
        facts = json.loads(found.read_text()) if found.exists() else {}
    report.require(done.returncode == 0, f"the campaign ended with code {done.returncode}")
    _judge(report, facts)
    return report


def _judge(report: Report, facts: dict[str, Any]) -> None:
    if not facts:
        report.require(False, "the campaign has left no report")
        return
    note = f"{sum(facts['jobs'].values())} jobs, {sum(facts['faults_struck'].values())} faults, seed {facts['seed']}"
    report.add(Figure("jobs committed but not run", len(facts["lost"]), 0, "", note))
    report.add(Figure("jobs run but not committed", len(facts["ghosts"]), 0))
    report.add(Figure("invariants broken", len(facts["violations"]), 0))
