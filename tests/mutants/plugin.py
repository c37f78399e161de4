"""A pytest plugin that lets the broker load its scripts from the directory that ``BACKIE_MUTANT_LUA`` names."""

from __future__ import annotations

import os
from pathlib import Path

from django_backie.broker import scripts

DIRECTORY = "BACKIE_MUTANT_LUA"


def pytest_configure() -> None:
    """Point the loader to the changed scripts before any of them is loaded."""
    scripts._LUA = Path(os.environ[DIRECTORY])
    scripts.load.cache_clear()
