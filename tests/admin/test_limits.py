"""Why a ready job does not start, on its page."""

from __future__ import annotations

from html import unescape
from unittest import mock

import pytest

from django_backie import limits
from django_backie.broker import inspect
from django_backie.exceptions import BrokerUnavailable
from django_backie.models import Job
from tests.app.limits import charge, newsletter, sync
from tests.helpers import lease

from .support import page_of, text_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def notice_of(root, result) -> str:
    text = unescape(text_of(root.get(page_of(Job.objects.get(pk=result.id)))))
    return text.partition('<p class="bk-notice">')[2].partition("</p>")[0]


def test_a_job_that_waits_for_a_slot_says_so(root, backend):
    first, second = sync.delay(1), sync.delay(1)
    lease(backend)

    assert notice_of(root, second).startswith("This job waits for a slot: as many jobs of its concurrency limit run")
    assert notice_of(root, first) == ""


def test_a_job_that_waits_for_its_rate_says_so(root, backend):
    made = newsletter.delay_many([(number,) for number in range(3)])
    lease(backend)

    assert notice_of(root, made[2]) == "This job waits for its rate limit."


def test_a_job_whose_limit_is_held_says_until_when(root, backend):
    limits.hold("stripe", 3600, account="acme")
    made = charge.delay("acme")
    lease(backend)

    assert notice_of(root, made).startswith("This job waits: its limit is held until ")


def test_a_job_that_waits_for_a_worker_says_nothing(root, backend):
    assert notice_of(root, sync.delay(1)) == ""


def test_the_page_is_there_without_redis(root, backend):
    made = sync.delay(1)
    with mock.patch.object(inspect, "waits_for", side_effect=BrokerUnavailable("down")):
        assert notice_of(root, made) == ""
