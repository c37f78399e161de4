"""The page about unique jobs says what happens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import transaction
from django.utils import timezone

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


def test_the_last_notification_counts(backend: Any) -> None:
    page = load("how-to/unique")
    first, last = page.notify.delay(7, "sent"), page.notify.delay(7, "arrived")
    drain(backend)
    first.refresh()
    last.refresh()

    assert (first.replaced_by, last.return_value) == (last.id, "arrived")


def test_a_cart_that_is_touched_again_is_abandoned_later(backend: Any) -> None:
    page = load("how-to/unique")
    now = timezone.now()
    first = page.touched(7, now)
    second = page.touched(7, now + timedelta(minutes=5))
    due = now + timedelta(minutes=65)

    assert second.id == first.id
    assert backend.broker.client.zscore(backend.broker.keys["s"], first.id) == round(due.timestamp() * 1000)


def test_a_document_that_is_saved_often_is_indexed_once_with_what_was_last(backend: Any) -> None:
    page = load("how-to/unique")
    now = timezone.now()
    results = [page.saved(7, revision, now) for revision in range(5)]
    waiting = backend.broker.client.zrange(backend.broker.keys["s"], 0, -1)

    assert waiting == [results[-1].id]
    assert page.saved(8, 1, now).id not in waiting
