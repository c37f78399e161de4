"""The page about unique jobs says what happens."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from django.db import transaction

from django_backie.exceptions import DuplicateJob
from tests.helpers import drain, lease

from .pages import load

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def count(backend: Any) -> int:
    return int(backend.broker.client.zcard(backend.broker.keys.queue("default")))


def test_five_clicks_make_one_export(backend: Any) -> None:
    page = load("how-to/unique")

    assert page.click(7) is True
    assert count(backend) == 1


def test_what_is_named_and_what_a_function_returns_is_compared(backend: Any) -> None:
    page = load("how-to/unique")
    page.sync.delay(1, "sent")
    page.sync.delay(1, "arrived")
    page.purge.delay("/a/1")
    page.purge.delay("/a/2")

    assert count(backend) == 2


def test_a_second_charge_is_refused(backend: Any) -> None:
    page = load("how-to/unique")
    first = page.charge.delay(7)
    with pytest.raises(DuplicateJob) as found:
        page.charge.delay(7)

    assert found.value.survivor == first.id


def test_a_page_that_is_being_published_may_be_published_again(backend: Any) -> None:
    page = load("how-to/unique")
    page.publish.delay(7)
    lease(backend)
    page.publish.delay(7)
    page.publish.delay(7)

    assert count(backend) == 1


def test_nobody_is_reminded_twice_an_hour(backend: Any) -> None:
    page = load("how-to/unique")
    first = page.remind.delay(7, "mail")
    drain(backend)

    assert page.remind.delay(7, "mail").id == first.id
    assert page.remind.delay(7, "letter").id != first.id


def test_a_handle_tells_which_job_does_the_work(backend: Any) -> None:
    page = load("how-to/unique")
    first = page.export.delay(7)
    with mock.patch.object(type(backend.broker), "holders", return_value=[""]), transaction.atomic():
        second = page.export.delay(7)

    assert second.id != first.id
    assert page.survivor(second) == page.survivor(first) == first.id
