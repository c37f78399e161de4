"""For the tests of projects: backends without Redis, and a capture of the jobs that a test enqueues.

``ImmediateBackend`` runs jobs where they are enqueued, ``DummyBackend`` only keeps them; both go into ``TASKS`` of the
test settings. ``BackieTestMixin`` and the pytest fixture ``backie`` need no settings: they put a capture in the place
of every backend of ours for one test.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backends import DummyBackend, ImmediateBackend
    from .capture import Capture
    from .mixin import BackieTestMixin

__all__ = ["BackieTestMixin", "Capture", "DummyBackend", "ImmediateBackend"]

# Lazy (PEP 562): pytest loads the plugin beside this file in every run, also where no Django project is.
_HOMES = {
    "BackieTestMixin": ".mixin",
    "Capture": ".capture",
    "DummyBackend": ".backends",
    "ImmediateBackend": ".backends",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
