"""What the threads of a worker tell its main thread."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass, field

from .attempt import Finished
from .listener import Heard

WAKE = "wake"


@dataclass(slots=True)
class Mail:
    """What has come since the last look."""

    finished: list[Finished] = field(default_factory=list)
    heard: Heard | None = None
    is_woken: bool = False


class Inbox:
    """A line that many fill and one empties; to put something is safe in a signal handler."""

    def __init__(self) -> None:
        self._line: queue.SimpleQueue[Finished | Heard | str] = queue.SimpleQueue()
        self.put = self._line.put

    def wake(self) -> None:
        """Let the main thread look around."""
        self._line.put(WAKE)

    def receive(self, patience: float, gather: Callable[[], None]) -> Mail:
        """Wait up to so many seconds for something, let more of it gather, and return all that has come."""
        mail = Mail()
        try:
            event = self._line.get(timeout=patience)
            gather()
            while True:
                if isinstance(event, Finished):
                    mail.finished.append(event)
                elif isinstance(event, Heard):
                    mail.heard = event
                else:
                    mail.is_woken = True
                event = self._line.get_nowait()
        except queue.Empty:
            return mail
