"""Notice that code has changed, and start again.

In the parent and without Django's autoreloader: that one runs the command in a daemon thread, where no signal handler
may be set. Children are forked after the code was imported, so the parent itself has to start again.
"""

from __future__ import annotations

import os
import sys

from django.utils import autoreload

from ..clock import SYSTEM, Clock


class FileWatch:
    """Compares the times of all imported modules' files, about once a second; made before the tasks are imported."""

    def __init__(self, clock: Clock = SYSTEM, interval: float = 1.0) -> None:
        self._clock = clock
        self._interval = interval
        self._looked = clock.monotonic()
        self._times = _times()
        self._began = clock.now()

    def has_changed(self) -> bool:
        """Tell whether a file has changed since the last look."""
        if self._clock.monotonic() - self._looked < self._interval:
            return False
        self._looked = self._clock.monotonic()
        before, self._times = self._times, _times()
        # A module that was imported since the last look may have changed since its import.
        return any(before[path] != time if path in before else time > self._began for path, time in self._times.items())


def restart() -> None:
    """Replace this process by a new one with the same command line."""
    arguments = autoreload.get_child_arguments()
    os.execv(sys.executable, arguments)  # noqa: S606


def _times() -> dict[str, float]:
    times = {}
    for path in autoreload.iter_all_python_module_files():
        try:
            times[str(path)] = path.stat().st_mtime
        except OSError:
            continue
    return times
