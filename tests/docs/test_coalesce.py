"""The page about merged calls says what happens."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction

from .pages import load

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def count(backend: Any) -> int:
    return int(backend.broker.client.zcard(backend.broker.keys.queue("default")))


def test_each_product_is_indexed_once(backend: Any) -> None:
    page = load("how-to/coalesce")
    page.restock([SimpleNamespace(pk=pk, save=lambda: None) for pk in (1, 2, 1)])

    assert count(backend) == 2


def test_what_is_named_and_what_a_function_returns_is_compared(backend: Any) -> None:
    page = load("how-to/coalesce")
    with transaction.atomic():
        page.notify.delay(1, "sent")
        page.notify.delay(1, "arrived")
        page.purge_cache.delay("/a/1")
        page.purge_cache.delay("/a/2")

    assert count(backend) == 2
