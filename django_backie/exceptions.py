"""Every error of the package. All derive from ``BackieError``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

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


class BrokerError(BackieError):
    """Redis answered with an error."""


class BrokerUnavailable(BrokerError, ConnectionError):
    """Redis cannot be reached, or cannot serve for the time being."""


class QueueFull(BrokerError):
    """A queue has as many ready jobs as MAX_QUEUE_LENGTH allows."""


class UnreadableBody(BackieError, ValueError):
    """A job body cannot be decoded, or its signature does not match."""


class NewerBody(UnreadableBody):
    """A job body was written by a newer release than this one."""


class UnknownTask(BackieError, LookupError):
    """No task of this name is registered."""


class TaskTimeout(BackieError, TimeoutError):
    """The attempt ran longer than its timeout."""


class Cancelled(BackieError):
    """The job was cancelled before it finished."""


class WorkerLost(BackieError):
    """The worker died while it ran the job."""


class Shutdown(BaseException):
    """The worker stops: the attempt is interrupted and handed back.

    Derives from ``BaseException`` so that a task's ``except Exception`` does not swallow it.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the known word nearest to ``word``, else an empty string."""
    nearest = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f", did you mean {nearest[0]!r}?" if nearest else ""
