"""The fixture as pytest finds it through the entry point of an installed package."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_backie.testing.plugin import backie
from tests.contract_tasks import SEEN

__all__ = ["backie"]


@pytest.fixture(autouse=True)
def seen() -> Iterator[list[object]]:
    """Return what the tasks of this test have seen."""
    SEEN.clear()
    yield SEEN
    SEEN.clear()


@pytest.fixture
def nowhere() -> str:
    """Return the address of a server that does not exist."""
    return "redis://127.0.0.1:1/0"
