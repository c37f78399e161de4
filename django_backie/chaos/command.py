"""The command line of ``manage.py backie chaos``."""

from __future__ import annotations

import json
import os
import random
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..exceptions import did_you_mean
from .campaign import Campaign, CannotRun, Wishes
from .plan import ALL, LONG, SHORT, Fault
from .report import as_json, text
from .server import find_binary

WORKERS = 3
SETS = {"short": SHORT, "long": LONG}
# Seconds.
LONG_FROM = 300.0
PASSED, FAILED, INTERRUPTED = 0, 1, 130


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--seconds", type=_seconds, default=60.0, help="how long to strike (60)")
    add("--seed", type=int, help="repeats a campaign's plan (default: random, and printed)")
    add(
        "--faults",
        type=_faults,
        metavar="A,B",
        help=f"strike with these only: short, long (default from {LONG_FROM:g} s on), {', '.join(ALL)}",
    )
    add(
        "--database",
        default="sqlite",
        metavar="sqlite|ALIAS",
        help="a new file, or a new database on the PostgreSQL server of this alias, dropped in the end (sqlite)",
    )
    add("--workers", type=_count, default=WORKERS, metavar="N", help=f"runworker processes ({WORKERS})")
    add("--server-binary", metavar="PATH", help="redis-server or valkey-server (the one on PATH)")
    add("--json", type=Path, metavar="PATH", help="write the report there, for machines")
    add("--keep", action="store_true", help="leave the logs and executions behind, as a failed campaign does")


def run(options: dict[str, Any], say: Callable[[str], object]) -> int:
    """Run a campaign, say its report, and return the exit code.

    Raises:
        BackieError: it could not be run.
    """
    if not hasattr(os, "fork"):
        msg = "a campaign needs fork(), which Windows lacks: run it under WSL or in a container"
        raise CannotRun(msg)
    seed = random.SystemRandom().randrange(1_000_000) if options["seed"] is None else options["seed"]
    wishes = Wishes(
        seed=seed,
        seconds=options["seconds"],
        faults=options["faults"] or (LONG if options["seconds"] >= LONG_FROM else SHORT),
        database=options["database"],
        binary=find_binary(options["server_binary"]),
        workers=options["workers"],
        keep=options["keep"],
    )
    try:
        report = Campaign(wishes, say).run()
    except KeyboardInterrupt:
        say("interrupted: no verdict; everything of the campaign has been removed")
        return INTERRUPTED
    if options["json"] is not None:
        options["json"].write_text(json.dumps(as_json(report), indent=2) + "\n")
    say(text(report))
    return PASSED if report.passed else FAILED


def _faults(names: str) -> tuple[Fault, ...]:
    found: list[Fault] = []
    for name in filter(None, (part.strip() for part in names.split(","))):
        if name not in ALL and name not in SETS:
            msg = f"{name!r} is no fault{did_you_mean(name, ALL)}; there are short, long, {', '.join(ALL)}"
            raise ArgumentTypeError(msg)
        found += (fault for fault in SETS.get(name, (ALL.get(name),)) if fault is not None and fault not in found)
    if not found:
        msg = "name at least one fault"
        raise ArgumentTypeError(msg)
    return tuple(found)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        msg = f"{text!r} is not a number of seconds above 0"
        raise ArgumentTypeError(msg)
    return seconds


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text!r} is not a whole number from 1"
        raise ArgumentTypeError(msg)
    return int(text)
