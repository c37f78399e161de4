"""The processes of a campaign, kept at their number as a process manager does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .layout import SETTINGS, VARIABLE

BEAT = 0.1
PATIENCE = 20.0
# Beats of the keeper.
FORGET_AFTER = 20


class Program:
    """One program that is to run all the time, in a process group of its own."""

    def __init__(self, name: str, arguments: Sequence[str], directory: Path) -> None:
        self.name = name
        self._arguments = [sys.executable, *arguments]
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        # Groups whose leader is dead, but perhaps not all of its children.
        self._former: list[int] = []

    @property
    def pid(self) -> int:
        """Return the pid of the leader; 0 while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def start(self) -> None:
        """Start the program."""
        with (self._directory / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                cwd=self._directory,
                env=_environment(self._directory),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def keep(self) -> None:
        """Start the program again if it has ended."""
        self._bury()
        if self._process is None:
            self.start()

    def forget(self, living: set[int]) -> None:
        """Forget the groups of which nothing is left, before their numbers are given to others."""
        self._former = [group for group in self._former if group in living]

    def _bury(self) -> None:
        process = self._process
        if process is not None and process.poll() is not None:
            self._former.append(process.pid)
            _close(process)
            self._process = None

    def send(self, number: signal.Signals) -> bool:
        """Signal the leader; tell whether there was one."""
        pid = self.pid
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return bool(pid)

    def send_tree(self, number: signal.Signals) -> None:
        """Signal the leader and its children."""
        if self.pid:
            _signal_group(self.pid, number)

    def stop(self, patience: float) -> None:
        """Ask the program to end."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(patience)

    def end(self) -> None:
        """Kill what is left, children of former leaders too, and wait until they are gone."""
        process = self._process
        if process is not None:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
        self._bury()
        deadline = time.monotonic() + PATIENCE
        self.forget(groups())
        while self._former and time.monotonic() < deadline:
            for group in self._former:
                _signal_group(group, signal.SIGKILL)
            time.sleep(0.05)
            self.forget(groups())


class Keeper:
    """Keeps programs running, in a thread, until it is stopped."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self.programs = tuple(programs)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="backie-chaos-keeper", daemon=True)

    def start(self) -> None:
        """Start the programs."""
        for program in self.programs:
            program.start()
        self._thread.start()

    def rest(self) -> None:
        """Keep them no longer."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def stop(self, patience: float) -> None:
        """Ask all programs to end."""
        self.rest()
        for program in self.programs:
            program.send(signal.SIGTERM)
        for program in self.programs:
            program.stop(patience)

    def end(self) -> None:
        """Kill them, and wait until they are gone."""
        self.rest()
        for program in self.programs:
            program.end()

    def _keep(self) -> None:
        beats = 0
        while not self._over.wait(BEAT):
            beats += 1
            living = groups() if beats % FORGET_AFTER == 0 else None
            for program in self.programs:
                program.keep()
                if living is not None:
                    program.forget(living)


def children(pid: int) -> list[int]:
    """Return the pids of a process's children, in the order of their birth."""
    try:
        # Where the kernel tells, for to list all processes takes long when it is done several times a second.
        return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return sorted(child for child, parent, _ in _processes() if parent == pid)


def groups() -> set[int]:
    """Return the process groups in which anything lives."""
    return {group for _, _, group in _processes()}


def _processes() -> Iterator[tuple[int, int, int]]:
    """Yield pid, parent and group of all processes but zombies, for which nobody may ever care."""
    command = ["/bin/ps", "-A", "-o", "pid=,ppid=,pgid=,stat="]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in listing.stdout.splitlines():
        pid, parent, group, state = line.split()
        if not state.startswith("Z"):
            yield int(pid), int(parent), int(group)


def _environment(directory: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        VARIABLE: str(directory),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONUNBUFFERED": "1",
    }


def run_to_end(arguments: Sequence[str], directory: Path) -> None:
    """Run a program to its end.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    subprocess.run(
        [sys.executable, *arguments], cwd=directory, env=_environment(directory), check=True, capture_output=True
    )


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()


def _signal_group(group: int, number: int) -> bool:
    """Signal a process group; tell whether there is one."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS: only zombies are left of it
        return False
    return True
