"""The pytest plugin: one fixture. Loaded in every run of pytest, so it imports nothing until a test asks for it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .capture import Capture


@pytest.fixture
def backie() -> Iterator[Capture]:
    """Capture the jobs that this test enqueues, instead of sending them to Redis.

    ``backie.jobs``, ``backie.drain()``, ``backie.assert_enqueued(task, *args, **kwargs)``; see
    ``django_backie.testing.Capture``.
    """
    # Only now, because Django's settings may be absent in other runs.
    module = importlib.import_module("django_backie.testing.capture")
    with module.Capture().installed() as capture:
        yield capture
