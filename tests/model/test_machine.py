"""Whatever happens to the broker, in whatever order: it answers and looks like the reference.

Each run tries something else; what fails names the ``BACKIE_MODEL_SEED`` that repeats it. ``BACKIE_MODEL_EXAMPLES`` is
how many lives of a namespace are tried, of fifty steps each; ``BACKIE_MODEL_QUICK`` leaves a failure as long as it is.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from .clocked import ClockedBroker
from .machine import Machine

EXAMPLES = int(os.environ.get("BACKIE_MODEL_EXAMPLES", "300"))
SIZE = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, *([] if os.environ.get("BACKIE_MODEL_QUICK") else [Phase.shrink])],
)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_broker_does_what_the_reference_does(new_broker: Callable[..., ClockedBroker]) -> None:
    number = int(os.environ.get("BACKIE_MODEL_SEED") or random.SystemRandom().randrange(2**32))
    print(f"repeat with BACKIE_MODEL_SEED={number}")  # noqa: T201 - pytest shows it with a failure

    run_state_machine_as_test(seed(number)(lambda: Machine(new_broker)), settings=SIZE)
