"""In what order a worker asks the queues that it was given."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Dice = Callable[[], float]


def drawn(queues: Sequence[str], weights: Sequence[float], dice: Dice = random.random) -> tuple[str, ...]:
    """Return queues in an order whose first is drawn by weight, then the second of those left, and so on.

    Without weights the order stays. One key for each does it: dice to the power of 1 / weight, the largest first
    (Efraimidis and Spirakis, Weighted random sampling with a reservoir, 2006).
    """
    if not weights:
        return tuple(queues)
    keys = [dice() ** (1 / weight) for weight in weights]
    return tuple(queue for _, queue in sorted(zip(keys, queues, strict=True), reverse=True))
