"""Who listens to django.tasks' signals."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from django_backie import compat

SIGNAL = compat.task_signals.task_started


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat.LOGGER, "level", logging.WARNING)
    compat.LOGGER.manager._clear_cache()  # type: ignore[attr-defined]


def test_a_signal_that_django_would_only_log_below_the_level_is_not_heard() -> None:
    assert not compat.is_heard(SIGNAL, logging.INFO)


def test_a_signal_that_django_logs_is_heard() -> None:
    assert compat.is_heard(SIGNAL, logging.ERROR)


def test_a_signal_with_a_receiver_of_the_projects_is_heard() -> None:
    def receiver(**_: Any) -> None:
        """Receive."""

    SIGNAL.connect(receiver)
    assert compat.is_heard(SIGNAL, logging.INFO)


def test_a_receiver_of_the_projects_in_the_place_of_djangos_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    def receiver(**_: Any) -> None:
        """Receive."""

    monkeypatch.setattr(SIGNAL, "receivers", [])
    SIGNAL.connect(receiver)
    assert compat.is_heard(SIGNAL, logging.INFO)


def test_djangos_own_receiver_is_none_of_the_projects() -> None:
    assert not compat.has_receivers(SIGNAL)


def test_a_receiver_in_the_place_of_djangos_is_one_of_the_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the event loop it would not be allowed to use the database."""

    def receiver(**_: Any) -> None:
        """Receive."""

    monkeypatch.setattr(SIGNAL, "receivers", [])
    SIGNAL.connect(receiver)
    assert compat.has_receivers(SIGNAL)


def test_a_signal_without_any_receiver_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SIGNAL, "receivers", [])
    assert not compat.is_heard(SIGNAL, logging.INFO)
