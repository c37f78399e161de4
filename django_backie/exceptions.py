"""Every error of the package. All derive from ``BackieError``."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from datetime import timedelta

from django.core.exceptions import ImproperlyConfigured


class BackieError(Exception):
    """Something went wrong in django-backie."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


class ConfigurationError(BackieError, ImproperlyConfigured):
    """The settings of a task backend are wrong."""


class InvalidOption(BackieError, TypeError):
    """An option of a task or of a call does not exist or has a wrong value."""


class InvalidArguments(BackieError, TypeError):
    """The arguments do not fit the signature of the task."""


class UnserializableValue(BackieError, TypeError):
    """A value cannot be written as JSON."""


class PayloadTooLarge(BackieError, ValueError):
    """Arguments or a return value exceed the configured size."""


class InvalidProgress(BackieError, ValueError):
    """What a task reports of its progress cannot be."""


class BrokerError(BackieError):
    """Redis answered with an error."""


class BrokerUnavailable(BrokerError, ConnectionError):
    """Redis cannot be reached, or cannot serve for the time being."""


class QueueFull(BrokerError):
    """A queue has as many ready jobs as MAX_QUEUE_LENGTH allows."""


class DuplicateJob(BackieError):
    """Another job has the unique key of a call; nothing was enqueued.

    ``survivor`` is that job's id, ``index`` tells which of the calls of ``delay_many`` it was.
    """

    def __init__(self, message: str = "", *, survivor: str = "", index: int = 0) -> None:
        super().__init__(message)
        self.survivor = survivor
        self.index = index


class UnreadableBody(BackieError, ValueError):
    """A job body cannot be decoded, or its signature does not match."""


class NewerBody(UnreadableBody):
    """A job body was written by a newer release than this one."""


class UnknownTask(BackieError, LookupError):
    """No task of this name is registered."""


class TaskTimeout(BackieError, TimeoutError):
    """The attempt ran longer than its timeout."""


class HardTimeout(TaskTimeout):
    """The attempt ran longer than its hard timeout, and its worker process was replaced."""


class Cancelled(BackieError):
    """The job was cancelled before it finished."""


class WorkerLost(BackieError):
    """The worker died while it ran the job."""


class NotYet(BackieError, TimeoutError):
    """A job has not ended within the time that somebody has waited for it."""


class WouldNeverEnd(BackieError, RuntimeError):
    """Somebody waits for a job that cannot begin before the waiting is over."""


class TooEarly(BackieError, RuntimeError):
    """A job cannot be cancelled before the transaction that makes it is committed."""


class Verdict(BackieError):
    """Raised by a task to say what becomes of its job. ``reason`` is shown to people."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)


class Retry(Verdict):
    """Try again, whatever ``retry_for`` says; the attempt counts.

    ``after`` is the exact time to wait, a number of seconds or a timedelta; without it the job's ``backoff`` decides.
    Where the attempts are used up the job fails. ``raise Retry(...) from error`` shows people the error.
    """

    def __init__(self, reason: str = "", *, after: float | timedelta | None = None) -> None:
        super().__init__(reason)
        self.after = None if after is None else _seconds("Retry(after=)", after)


class Snooze(Verdict):
    """Come back later, after a number of seconds or a timedelta; the attempt does not count."""

    def __init__(self, for_: float | timedelta, reason: str = "") -> None:
        super().__init__(reason or "snoozed")
        self.seconds = _seconds("Snooze(for_=)", for_)


class Cancel(Verdict):
    """End the job as cancelled: it must not go on."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        # Where nobody has said why, the job bears no reason, and not what stands above.
        self.args = (reason,)


class Discard(Verdict):
    """End the job as cancelled: it is not needed any more, as when what it works on is gone."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(f"discarded: {reason}" if reason else "discarded")


class Shutdown(BaseException):
    """The worker stops: the attempt is interrupted and handed back.

    Derives from ``BaseException`` so that a task's ``except Exception`` does not swallow it.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the known word nearest to ``word``, else an empty string."""
    nearest = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f", did you mean {nearest[0]!r}?" if nearest else ""


def _seconds(what: str, value: float | timedelta) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        msg = f"{what} takes a number of seconds or a timedelta, not {value!r}"
        raise InvalidOption(msg)
    if not 0 <= seconds <= _TEN_YEARS or not math.isfinite(seconds):
        msg = f"{what} takes 0 seconds to ten years, not {value!r}"
        raise InvalidOption(msg)
    return float(seconds)


_TEN_YEARS = 10 * 366 * 86_400
