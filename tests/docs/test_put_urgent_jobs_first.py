"""The page about priorities says what happens."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import outlast_millisecond
from tests.test_ageing import order, with_options

from .pages import load

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def test_the_urgent_mail_is_sent_first(backend: Any) -> None:
    page = load("how-to/put-urgent-jobs-first")
    page.send_newsletter.delay_many([(number, 1) for number in range(3)])
    page.send_newsletter.using(priority=5).delay(7, 12)
    page.send_password_mail.delay(9)

    assert order(backend) == [[9], [7, 12], [0, 1], [1, 1], [2, 1]]


def test_a_newsletter_is_overtaken_by_as_many_as_the_queue_says(backend: Any, settings: Any) -> None:
    page = load("how-to/put-urgent-jobs-first")
    options = page.TASKS["default"]["OPTIONS"]
    # A thousandth of it, so that the test has not to make twenty thousand jobs.
    with_options(settings, AGEING={"mail": options["AGEING"]["mail"] // 1000})
    newsletter = page.send_newsletter.using(queue_name="mail").delay(0, 1)
    outlast_millisecond(newsletter.id)
    page.send_password_mail.using(queue_name="mail").delay_many([(number,) for number in range(1, 31)])

    assert order(backend).index([0, 1]) == 19
