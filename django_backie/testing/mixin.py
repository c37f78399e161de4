"""The capture for tests that are classes."""

from __future__ import annotations

from typing import Any

from .capture import Capture


class BackieTestMixin:
    """Put it in front of a ``TestCase``: ``self.backie`` captures the jobs of each test.

    See ``Capture``: ``self.backie.jobs``, ``self.backie.drain()``, ``self.backie.assert_enqueued(task, ...)``. A
    ``setUp`` of your own calls ``super().setUp()`` first.
    """

    backie: Capture

    def setUp(self, *args: Any, **kwargs: Any) -> None:
        """Begin to capture."""
        self.backie = Capture()
        self.enterContext(self.backie.installed())  # type: ignore[attr-defined]
        super().setUp(*args, **kwargs)  # type: ignore[misc]
