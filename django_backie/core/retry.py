"""How long to wait before trying again."""

from __future__ import annotations

from .options import Backoff

LONGEST = 3600.0
JITTER = 0.2


def delay(backoff: Backoff, failures: int, dice: float) -> float:
    """Return the seconds to wait after the given number of failed attempts.

    A number doubles with each failure, up to one hour; a tuple is taken as written, its last value repeats.
    ``dice`` in [0, 1) spreads the result by +- 20 % so that jobs that failed together do not come back together
    (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """
    if isinstance(backoff, tuple):
        plain = backoff[min(failures, len(backoff)) - 1]
    else:
        plain = min(backoff * 2.0 ** min(failures - 1, 60), LONGEST)
    return plain * (1 - JITTER + 2 * JITTER * dice)
