"""The command line: ``python -m tests.soak [recovery | million | chaos | all]``."""

from __future__ import annotations

import argparse
import sys

from . import chaos, million, recovery
from .report import Report, say


def main() -> int:
    """Run what is asked for; the exit code is 1 when a bound is not kept or something is broken."""
    options = _options()
    reports = [_run(name, options) for name in (_PROGRAMS if options.program == "all" else [options.program])]
    if options.json:
        sys.stdout.write("".join(f"{report.as_json()}\n" for report in reports))
    for report in reports:
        say(f"{report.title}: {'good' if report.is_good else 'NOT GOOD'}")
    return 0 if all(report.is_good for report in reports) else 1


def _run(name: str, options: argparse.Namespace) -> Report:
    say(f"{name}:")
    return _PROGRAMS[name](options)


_PROGRAMS = {
    "recovery": lambda options: recovery.run(options.kills, options.kinds),
    "million": lambda options: million.run(options.jobs),
    "chaos": lambda options: chaos.run(options.minutes, options.seed),
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("program", nargs="?", choices=[*_PROGRAMS, "all"], default="all")
    parser.add_argument("--kills", type=int, default=50, help="of each kind (50)")
    kinds = [*recovery.KINDS]
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds, metavar="KIND", help=", ".join(kinds))
    parser.add_argument("--jobs", type=int, default=1_000_000, help="of the soak (1000000)")
    parser.add_argument("--minutes", type=float, default=30, help="of the chaos (30)")
    parser.add_argument("--seed", type=int, help="of the chaos (random)")
    parser.add_argument("--json", action="store_true", help="one JSON object for each program on standard output")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
