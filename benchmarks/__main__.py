"""The command line: ``python3 dev.py bench [TABLE ...] [--peers PEER ...]``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import environments, machine, report, runner
from .peers import FLOOR, OURS, PEERS, ROOT, Peer
from .server import Server
from .stage import Database, Stage
from .tables import TABLES
from .tables.base import Plan

LATEST = environments.HOME / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"
ROUNDS = 3
BUSY = 0.5  # processes that want a core before we start


def main() -> int:
    """Measure what is asked for and show it, or write the page of results that are there."""
    options = _options()
    if options.report:
        return _write_page(options.report)
    if sys.platform != "linux":
        sys.exit("The benchmarks read /proc: they need Linux.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = _plan(options)
    _install([OURS, FLOOR, *plan.peers])
    with tempfile.TemporaryDirectory(prefix="backie-bench-") as directory:
        stage = _stage(Path(directory))
        result = _conditions(stage, options)
        for name in options.tables or TABLES:
            result["tables"].append(runner.run(TABLES[name], plan, stage, options.rounds))
            print(report.table(result["tables"][-1]), flush=True)
            options.json.write_text(json.dumps(result, indent=1))
    return 0


def _plan(options: argparse.Namespace) -> Plan:
    peers = [PEERS[name] for name in (PEERS if options.peers is None else options.peers)]
    for peer in peers:
        if not peer.is_possible:
            needed = ".".join(map(str, peer.oldest_python))
            print(f"{peer.name} is left out: it needs Python {needed}", file=sys.stderr)
    databases: tuple[Database, ...] = ("sqlite", "postgresql") if _postgres() else ("sqlite",)
    possible = tuple(peer for peer in peers if peer.is_possible)
    return Plan(peers=possible, databases=databases, quick=options.quick, kill_wait=options.kill_wait)


def _install(peers: list[Peer]) -> None:
    try:
        for peer in peers:
            environments.ensure(peer)
    except environments.NotInstalled as error:
        sys.exit(f"pip failed. Is a package index within reach? --peers chooses who is installed.\n\n{error}")


def _stage(directory: Path) -> Stage:
    cores = machine.cores()
    server = Server(os.environ["BENCH_SERVER"])
    server.pin(cores)
    os.sched_setaffinity(0, cores.server)
    return Stage(server, cores, directory, _postgres())


def _postgres() -> dict[str, str] | None:
    """Return how to reach the PostgreSQL server that the tests use too, if one is named."""
    if "BACKIE_TEST_PG_HOST" not in os.environ:
        return None
    names = {"HOST": "", "PORT": "5432", "USER": "backie", "PASSWORD": "", "NAME": "backie"}
    return {name: os.environ.get(f"BACKIE_TEST_PG_{name}", value) for name, value in names.items()}


def _conditions(stage: Stage, options: argparse.Namespace) -> dict[str, Any]:
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"This machine is busy (load average {load:.1f}): the figures will be worse.", file=sys.stderr)
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(stage.cores),
        "load_average": load,
        "server": stage.server.version,
        "quick": options.quick,
        "tables": [],
    }


def _write_page(files: list[Path]) -> int:
    PAGE.write_text(report.document([json.loads(file.read_text()) for file in files]))
    print(f"Wrote {PAGE.relative_to(ROOT)}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="dev.py bench",
        description="Measure django-backie and other job systems side by side, on a Redis server of their own. A "
        "PostgreSQL server that BACKIE_TEST_PG_HOST (_PORT, _USER, _PASSWORD, _NAME) names is used too; the databases "
        "are made and dropped.",
    )
    add = parser.add_argument
    add("tables", nargs="*", choices=[[], *TABLES], metavar="TABLE", help=f"{', '.join(TABLES)} (all)")
    add("--peers", nargs="*", choices=PEERS, metavar="PEER", help=f"{', '.join(PEERS)} (all); none: only ours")
    add("--rounds", type=int, default=ROUNDS, help=f"turns of each contestant ({ROUNDS})")
    add("--quick", action="store_true", help="one round, a quarter of the jobs: to see that it works")
    add("--kill-wait", type=float, default=90, metavar="SECONDS", help="after a kill, for the other systems (90)")
    add("--json", type=Path, default=LATEST, metavar="FILE", help="for all samples (.backie/bench/latest.json)")
    add("--report", type=Path, nargs="+", metavar="FILE", help="write docs/benchmarks.md from such files, and end")
    options = parser.parse_args()
    if missing := [str(file) for file in options.report or [] if not file.exists()]:
        parser.error(f"there is no {' and no '.join(missing)}")
    options.rounds = 1 if options.quick else options.rounds
    return options


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
