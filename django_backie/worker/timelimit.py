"""Interrupt an attempt in a thread: because its time is up, or because the worker stops.

Python can raise an exception in another thread only between bytecodes: a call that blocks in C is interrupted when it
returns.
"""

from __future__ import annotations

import ctypes
import threading
from types import TracebackType

from ..clock import SYSTEM, Clock
from ..exceptions import Shutdown, TaskTimeout

_raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
_raise_in.argtypes = (ctypes.c_ulong, ctypes.py_object)


class Limit:
    """A ``with`` block that another thread can interrupt, at most once and never after its end."""

    def __init__(self, timeout: float | None, clock: Clock = SYSTEM) -> None:
        self.thread = threading.get_ident()
        self.is_told = False
        self._lock = threading.Lock()
        self._active = False
        self._fired: type[BaseException] | None = None
        self.deadline = None if timeout is None else clock.monotonic() + timeout

    def __enter__(self) -> Limit:
        self._active = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._lock:
                self._active = False
            if self._fired is not None and (kind is None or not issubclass(kind, self._fired)):
                self._absorb()
        except (TaskTimeout, Shutdown):
            # It arrived after the task had ended: the task's own ending counts.
            self._active = False

    def interrupt(self, error: type[BaseException]) -> bool:
        """Raise an error in the block; tell whether it was still running."""
        with self._lock:
            if not self._active or self._fired is not None:
                return False
            self._fired = error
            _raise_in(self.thread, error)
            return True

    def is_unheeded(self, now: float, patience: float) -> bool:
        """Tell whether the block goes on so many seconds after its time was up, and nobody was told yet."""
        if self.deadline is None or self.is_told or now - self.deadline <= patience:
            return False
        return self._active and self._fired is not None and issubclass(self._fired, TaskTimeout)

    @staticmethod
    def _absorb() -> None:
        """Run bytecodes until the pending exception is raised here."""
        for _ in range(10_000):
            pass
