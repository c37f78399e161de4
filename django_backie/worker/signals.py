"""Signals of the parent and of the children."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

logger = logging.getLogger("django_backie.worker")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
HELD = {*STOP_SIGNALS, *([signal.SIGQUIT, signal.SIGUSR1] if hasattr(signal, "SIGQUIT") else [])}


class Wakeups:
    """A ``with`` block in which stop signals call ``stop`` and any signal, a child's death too, ends a wait."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Wakeups:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._fd_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            self._before[number] = signal.signal(number, self._on_stop)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _do_nothing)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, longest: float) -> None:
        """Wait until a signal arrives, at most the given seconds."""
        ready, _, _ = select.select([self._reader], [], [], longest)
        if ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reader, 4096)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop()


def fork_with_signals_held() -> int:
    """Fork; in the child, signals wait until ``on_stop_signals`` has given them their handlers."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    pid = 0
    try:
        pid = os.fork()
    except OSError:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
        raise
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    return pid


def on_stop_signals(stop: Callable[[], None], abort: Callable[[], None]) -> None:
    """In a child: stop at SIGTERM, abort at SIGQUIT; Ctrl-C is the parent's to pass on."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop())
    signal.signal(signal.SIGQUIT, lambda _number, _frame: abort())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Processes that a task forks (multiprocessing) must not take our handlers with them: terminate() would do nothing.
    os.register_at_fork(after_in_child=_forget_handlers)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)


def _forget_handlers() -> None:
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def watch_lifeline(reader: int, stop: Callable[[], None]) -> None:
    """Stop when the parent is gone: its end of the pipe closes however it died."""

    def watch() -> None:
        os.read(reader, 1)
        logger.warning("the parent process is gone: stopping")
        stop()

    threading.Thread(target=watch, name="backie-lifeline", daemon=True).start()


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Have a handler, for without one the signal would not wake a wait."""
