"""What the threads of a child do, asked from outside: also where one of them keeps all others from running.

The child's answer is written by a signal handler in C (``faulthandler``), which needs no interpreter's lock, into a
pipe that its parent has made. Of each frame there are file, line and function, and no values.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import select
import signal

# Seconds for the first line, and between two pieces.
FIRST, NEXT = 0.5, 0.05
LONGEST_STACK = 8 * 1024

# As CPython writes it: the thread in hexadecimal, then a line for each frame, each indented.
_THREAD = re.compile(r"^(?:Current thread|Thread) 0x([0-9a-f]+)[^\n]*\n((?: +[^\n]*\n?)*)", re.MULTILINE)


class Stacks:
    """A pipe through which a child tells the stacks of its threads; made before the fork."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        # Who does not read must not hold up who writes, nor the other way round: what does not fit is cut off.
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def answer(self) -> None:
        """In the child: answer from now on."""
        faulthandler.register(signal.SIGUSR2, file=self._writer, all_threads=True, chain=False)
        os.register_at_fork(after_in_child=_forget)

    def ask(self, pid: int) -> dict[int, str]:
        """Return the stacks of a child's threads, the most recent call last; none where it does not answer."""
        self._read(0.0)
        os.kill(pid, signal.SIGUSR2)
        return parsed(self._read(FIRST))

    def _read(self, patience: float) -> str:
        pieces: list[bytes] = []
        while select.select([self._reader], [], [], patience)[0]:
            with contextlib.suppress(BlockingIOError):
                pieces.append(os.read(self._reader, 65_536))
            patience = min(patience, NEXT)
        return b"".join(pieces).decode(errors="replace")

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._reader)
        os.close(self._writer)


def parsed(dump: str) -> dict[int, str]:
    """Return the stacks of a dump by their threads, the most recent call last."""
    return {int(thread, 16): _turned(frames) for thread, frames in _THREAD.findall(dump)}


def _turned(frames: str) -> str:
    # As people know it from tracebacks.
    return "\n".join(reversed(frames.rstrip("\n").split("\n")))[-LONGEST_STACK:]


def _forget() -> None:
    # Processes that a task forks write into nobody's pipe.
    faulthandler.unregister(signal.SIGUSR2)
