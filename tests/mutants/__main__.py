"""Put each mistake of the catalogue into the broker's scripts and see which test notices it.

Needs ``BACKIE_TEST_REDIS_URL``, the address of a server that may be blocked for a while; ``python3 dev.py mutants``
starts one. Exits with 1 when a mistake goes unnoticed, or is not to be found in the scripts any more.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .catalogue import LUA, MUTANTS, Mutant
from .plugin import DIRECTORY

ROOT = Path(__file__).parents[2]
AT_ONCE = 2
LONGEST = 900
# Where a mistake in what several scripts include is likely to be noticed.
LIKELY = {
    "adaptive": ["adaptive"],
    "claim": ["turn", "bury", "pause_task"],
    "fair": ["fair"],
    "limits": ["limits", "token", "hold", "pause_task", "adaptive"],
    "mark": ["take", "settle"],
    "paused": ["pause", "resume", "pause_task"],
    "place": ["enqueue", "settle", "restore"],
    "promote": ["tick", "settle"],
    "record": ["settle", "bury", "cancel"],
    "recover": ["bury", "stopping", "cancel", "progress"],
    "stop": ["cancel", "unique"],
    "time": ["done", "turn"],
    "tombs": ["erase", "enqueue", "done"],
    "unique": ["unique"],
}
# These look at the text of the scripts, or at no script: what they notice says nothing about what the others would.
BESIDE_THE_POINT = {"test_scripts.py", "test_connection.py", "test_keys.py"}
SLOW = ["tests/broker/test_full_memory.py", "tests/model/test_machine.py"]
# Nothing but what the tests need: half of the time is the start of pytest.
PYTEST = [
    *(sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no"),
    "--deselect=tests/broker/test_full_memory.py::test_every_script_is_tried_without_memory",  # looks at names only
    *("-p", "pytest_django.plugin", "-p", "pytest_timeout", "-p", "no:cacheprovider", "-p", "tests.mutants.plugin"),
]
SETTLED = {"BACKIE_MODEL_SEED": "1", "BACKIE_MODEL_QUICK": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant; ``test`` is the one that noticed it, empty where none did."""

    mutant: Mutant
    test: str
    seconds: float


def main() -> int:
    """Run the mutants and tell what became of them."""
    options = parse()
    chosen = [mutant for mutant in MUTANTS if not options.only or re.search(options.only, mutant.name)]
    if options.list:
        for mutant in chosen:
            say(f"{mutant.name:28} {mutant.breaks}")
        return 0
    if not chosen:
        say(f"no mutant's name matches {options.only!r}; --list shows them all")
        return 2
    return refuse_stale(chosen) or refuse_red() or judge(chosen)


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201 - it is a command


def parse() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", metavar="NAME", help="only mutants whose name matches this regular expression")
    parser.add_argument("--list", action="store_true", help="show the mutants and what each would break")
    return parser.parse_args()


def refuse_stale(chosen: Sequence[Mutant]) -> int:
    """Refuse a list that does not fit the scripts any more."""
    stale = []
    for mutant in chosen:
        try:
            mutant.applied()
        except LookupError as error:
            stale.append(str(error))
    for message in stale:
        say(message)
    return 1 if stale else 0


def refuse_red() -> int:
    """Refuse to judge by tests that fail anyway."""
    with tempfile.TemporaryDirectory() as directory:
        test, seconds = run(shutil.copytree(LUA, Path(directory, "lua")), [*quick_files(), *SLOW])
    if test:
        say(f"without any mutant, this fails already: {test}")
    else:
        say(f"The tests pass without a mutant, in {seconds:.0f} s.")
    return 1 if test else 0


def judge(chosen: Sequence[Mutant]) -> int:
    """Run the mutants, a few at once, and report on each."""
    survivors = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number, verdict in enumerate(pool.map(try_out, chosen), 1):
            noticed = verdict.test or f"SURVIVED: {verdict.mutant.breaks}"
            say(f"{number:3}/{len(chosen)}  {verdict.seconds:5.1f} s  {verdict.mutant.name:28} {noticed}")
            if not verdict.test:
                survivors.append(verdict.mutant.name)
    say(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants caught")
    for name in survivors:
        say(f"survived: {name}")
    return 1 if survivors else 0


def try_out(mutant: Mutant) -> Verdict:
    """Run the tests on scripts with the mistake in them, until one fails."""
    seconds = 0.0
    with mutated(mutant) as directory:
        for names in rounds(mutant):
            test, more = run(directory, names)
            seconds += more
            if test:
                return Verdict(mutant, test, seconds)
    return Verdict(mutant, "", seconds)


@contextmanager
def mutated(mutant: Mutant) -> Iterator[Path]:
    """Give a copy of the scripts with the mistake in it."""
    with tempfile.TemporaryDirectory() as directory:
        copy = shutil.copytree(LUA, Path(directory, "lua"))
        (copy / mutant.file).write_text(mutant.applied())
        yield copy


def rounds(mutant: Mutant) -> list[list[str]]:
    """Return the test files in three rounds: the likely ones, the quick ones, the slow ones."""
    stem = Path(mutant.file).stem
    words = ["full_memory"] if mutant.name.endswith("-memory") else LIKELY.get(stem, [stem])
    words = [
        policy
        for mark, policy in (("-key", "unique"), ("-limit", "limits"), ("-group", "fair"), ("-age", "ageing"))
        if mark in mutant.name
    ] or words
    likely = [f"tests/broker/test_{word}.py" for word in words]
    return [
        likely,
        [name for name in quick_files() if name not in likely],
        [name for name in SLOW if name not in likely],
    ]


def quick_files() -> list[str]:
    """Return the test files of the model and the broker, without the slow ones."""
    found = [*sorted(ROOT.glob("tests/model/test_*.py")), *sorted(ROOT.glob("tests/broker/test_*.py"))]
    names = [str(path.relative_to(ROOT)) for path in found if path.name not in BESIDE_THE_POINT]
    return [name for name in names if name not in SLOW]


def run(lua: Path, names: Sequence[str]) -> tuple[str, float]:
    """Run test files on the scripts of a directory; return the first test that fails, and how long it took."""
    env = {**os.environ, **SETTLED, DIRECTORY: str(lua)}
    start = time.monotonic()
    try:
        done = subprocess.run([*PYTEST, *names], cwd=ROOT, env=env, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return f"nothing ended within {LONGEST} s", time.monotonic() - start
    return verdict_of(done), time.monotonic() - start


def verdict_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return the first test that failed, empty where all passed.

    Raises:
        RuntimeError: pytest itself could not run.
    """
    if done.returncode == 0:
        return ""
    failed = re.search(r"^(?:FAILED|ERROR) (\S+::.*?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode != 1 or failed is None:
        raise RuntimeError(f"pytest could not run the tests:\n{done.stdout}\n{done.stderr}")
    return failed[1].removeprefix("tests/")


if __name__ == "__main__":
    sys.exit(main())
