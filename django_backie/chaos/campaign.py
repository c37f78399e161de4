"""A campaign from its beginning to its end, with everything cleared away."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from django.db import DatabaseError

from ..broker.connection import command_client
from ..broker.redis import RedisBroker
from ..conf import Config
from ..exceptions import BackieError
from . import tables
from .database import Database, private_database
from .facts import Facts, Outages, Remains
from .gather import gather, remains, unfinished
from .layout import LEASE, NAMESPACE, Layout
from .plan import NEED_NETWORK, Fault, draw
from .processes import Keeper, Program, run_to_end
from .report import Report, Setup, head, judge
from .server import Server
from .servers import Servers
from .stage import Stage, Struck, heal, outages
from .strikes import strike

PRODUCERS = 2
# Committed jobs a second of all producers, while nothing hinders them.
RATE = 150.0
WORKER_OPTIONS = ("--threads", "4", "--async-concurrency", "10", "--grace", "2", "--no-reload", "-v", "1")
START, QUIET, MIRRORED, STOP, LAPSED = 30.0, 90.0, 5.0, 20.0, 3 * LEASE
MOST_AT_ONCE = 24
PROGRESS = 60.0


class CannotRun(BackieError):
    """The campaign's own processes do not start."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks for. ``keep`` leaves the logs and executions behind, as a failed campaign does."""

    seed: int
    seconds: float
    faults: tuple[Fault, ...]
    database: str
    binary: str
    workers: int
    keep: bool = False


class Campaign:
    """1. Build a world. 2. Load and strike it. 3. Heal it, wait until it is quiet. 4. Judge what is left."""

    def __init__(self, wishes: Wishes, say: Callable[[str], object]) -> None:
        self._wishes = wishes
        self._say = say
        self._keeps = wishes.keep

    def run(self) -> Report:
        """Run the campaign and clear everything away, whatever happens.

        Raises:
            BackieError: it could not be run; that is not a verdict.
        """
        with _interruptible(), ExitStack() as stack:
            try:
                return self._run(stack)
            finally:
                _hold_interrupts()

    def _run(self, stack: ExitStack) -> Report:
        directory = stack.enter_context(_directory(lambda: self._keeps, self._say))
        database = stack.enter_context(private_database(self._wishes.database, directory))
        secret = secrets.token_hex(16)
        long = not NEED_NETWORK.isdisjoint(fault.name for fault in self._wishes.faults)
        servers = Servers(self._wishes.binary, directory, secret, long=long)
        stack.callback(servers.end)
        servers.start()
        layout = Layout(str(directory), database.entry, servers.url, secret)
        setup = self._setup(database, servers.master)
        self._say(head(setup))
        _prepare(database, layout)
        workers, producer, operator = self._programs(directory)
        for programs in (workers, producer, operator):
            stack.callback(programs.end)
        workers.start()
        _wait_for_workers(servers.master, self._wishes.workers)
        producer.start()
        operator.start()
        stage = Stage(servers, database, workers.programs, producer.programs[0])
        struck = self._storm(stage)
        producer.end()
        heal(stage)
        operator.stop(STOP)
        self._say(f"{self._wishes.seconds:5.0f} s   no more faults; waiting until all work is done, up to {QUIET:g} s")
        quiet_after = _wait(lambda: _is_done(database), QUIET)
        facts = _facts(database, layout, servers.master, workers, outages(struck, self._wishes.workers))
        report = judge(setup, struck, facts, quiet_after)
        # A seed repeats the faults, not the turns of the processes: what has failed may not be seen again.
        self._keeps |= not report.passed
        if self._keeps:
            _write_evidence(directory, struck, facts)
        return report

    def _setup(self, database: Database, server: Server) -> Setup:
        wishes = self._wishes
        names = tuple(fault.name for fault in wishes.faults)
        return Setup(wishes.seed, wishes.seconds, names, database.vendor, server.version(), wishes.workers, LEASE)

    def _programs(self, directory: Path) -> tuple[Keeper, Keeper, Keeper]:
        command = ["-m", "django", "runworker", *WORKER_OPTIONS]
        workers = [Program(f"worker-{n}", command, directory) for n in range(self._wishes.workers)]
        rate = RATE / PRODUCERS
        producer = ["-m", "django_backie.chaos.producer", str(self._wishes.seed), str(PRODUCERS), str(rate)]
        operator = ["-m", "django_backie.chaos.operator", str(self._wishes.seed)]
        return (
            Keeper(workers),
            Keeper([Program("producer", producer, directory)]),
            Keeper([Program("operator", operator, directory)]),
        )

    def _storm(self, stage: Stage) -> list[Struck]:
        """Do the planned faults at their times, each in a thread of its own."""
        began, told = time.monotonic(), 0.0
        done: list[Future[Struck | None]] = []
        with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
            try:
                for planned in draw(self._wishes.seed, self._wishes.seconds, self._wishes.faults):
                    time.sleep(max(0.0, began + planned.at - time.monotonic()))
                    if planned.at >= told + PROGRESS:
                        told += PROGRESS
                        self._say(f"{told:5.0f} s   {len(done)} faults")
                    done.append(pool.submit(strike, stage, planned))
                time.sleep(max(0.0, began + self._wishes.seconds - time.monotonic()))
            finally:
                stage.over.set()
        return [struck for future in done if (struck := future.result()) is not None]


def _prepare(database: Database, layout: Layout) -> None:
    layout.write()
    try:
        run_to_end(["-m", "django", "migrate", "-v0"], layout.path)
    except subprocess.CalledProcessError as error:
        msg = f"the campaign's database cannot be migrated: {error.stderr.decode(errors='replace')[-500:]}"
        raise CannotRun(msg) from error
    with database.cursor() as cursor:
        tables.create(cursor)


def _broker(server: Server) -> RedisBroker:
    config = Config(alias="default", url=server.url, namespace=NAMESPACE, lease=LEASE)
    return RedisBroker(config, command_client(server.url))


def _wait_for_workers(server: Server, count: int) -> None:
    broker = _broker(server)
    if _wait(lambda: _count_workers(broker) >= count, START) is None:
        msg = f"no {count} workers within {START:g} s; --keep leaves their logs behind"
        raise CannotRun(msg)


def _is_done(database: Database) -> bool:
    try:
        return unfinished(database) == 0
    except DatabaseError:
        return False


def _facts(database: Database, layout: Layout, server: Server, workers: Keeper, when: Outages) -> Facts:
    """Return the facts: as soon as the mirror has caught up, or should have; then without the workers."""
    broker = _broker(server)
    _wait(lambda: _is_mirrored(remains(broker)), MIRRORED)
    quiet = remains(broker)
    # Those that were killed last are struck off by others, when their lease has lapsed: these must not stop before.
    _wait(lambda: _count_workers(broker) <= len(workers.programs), LAPSED)
    workers.stop(STOP)
    return gather(database, layout, quiet, remains(broker), when)


def _write_evidence(directory: Path, struck: Sequence[Struck], facts: Facts) -> None:
    (directory / "faults.log").write_text("".join(fault.line() for fault in struck))
    (directory / "facts.json").write_text(json.dumps(asdict(facts)))


def _count_workers(broker: RedisBroker) -> int:
    return int(broker.client.zcard(broker.keys["w"]))


def _is_mirrored(left: Remains) -> bool:
    return not left.marked and not left.jobs


def _wait(condition: Callable[[], bool], seconds: float) -> float | None:
    """Wait for a condition; return after how many seconds it held, or None."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(0.3)
    return time.monotonic() - began


@contextmanager
def _directory(keeps: Callable[[], bool], say: Callable[[str], object]) -> Iterator[Path]:
    """Give a directory that only this user can read."""
    path = Path(tempfile.mkdtemp(prefix="backie-chaos-"))
    try:
        yield path
    finally:
        if keeps():
            say(f"kept: {path}")
        else:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM end the campaign as Ctrl-C does, also one in the background: everything is cleared away."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _hold_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
