"""How long to wait before trying again."""

from __future__ import annotations

from collections.abc import Collection

from .options import DEFAULT_BACKOFF, OF_THE_TASK, Backoff, Options

LONGEST = 3600.0
JITTER = 0.2


def delay(backoff: Backoff, failures: int, dice: float) -> float:
    """Return the seconds to wait after the given number of failed attempts.

    A number doubles with each failure, up to one hour; a tuple is taken as written, its last value repeats.
    ``dice`` in [0, 1) spreads the result by +- 20 % so that jobs that failed together do not come back together
    (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """
    if backoff == OF_THE_TASK:
        # Its function has been taken away since, or has failed.
        backoff = DEFAULT_BACKOFF
    if isinstance(backoff, tuple):
        plain = backoff[min(failures, len(backoff)) - 1]
    else:
        plain = min(backoff * 2.0 ** min(failures - 1, 60), LONGEST)
    return plain * (1 - JITTER + 2 * JITTER * dice)


def is_wanted(options: Options, kinds: Collection[str]) -> bool:
    """Tell whether an exception, given the paths of its classes, is one of those that another attempt may heal."""
    return not options.retry_for or not set(options.retry_for).isdisjoint(kinds)


def is_moot(options: Options, kinds: Collection[str]) -> bool:
    """Tell whether an exception, given the paths of its classes, says that the job is not needed any more."""
    return not set(options.discard_for).isdisjoint(kinds)
