"""The page about limits says what happens."""

from __future__ import annotations

from typing import Any

import pytest

from django_backie.broker.replies import Ending
from django_backie.core.states import State
from tests.helpers import drain, lease

from .pages import load

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

WORKER = "host:1.0:abcd.0"  # of tests.helpers.lease


def end(backend: Any, leases: list[Any], state: State) -> None:
    """End attempts of the worker that ``lease`` has taken them for."""
    backend.broker.turn(WORKER, [Ending(one.id, one.token, state) for one in leases])


def started(backend: Any) -> list[list[Any]]:
    return [backend.unpack(one.id, one.body).args for one in lease(backend)]


def test_two_reports_are_rendered_at_a_time(backend: Any) -> None:
    load("how-to/limit").render.delay_many([(number,) for number in range(4)])

    assert started(backend) == [[0], [1]]


def test_a_customer_has_one_sync_at_a_time(backend: Any) -> None:
    page = load("how-to/limit")
    for customer in (1, 1, 2):
        page.sync.delay(customer)

    assert started(backend) == [[1], [2]]


def test_a_hundred_letters_go_out_at_once_and_then_no_more(backend: Any) -> None:
    page = load("how-to/limit")
    page.newsletter.delay_many([(f"{number}@example.org",) for number in range(120)])

    assert len(started(backend)) + len(started(backend)) == 100


def test_each_host_gets_one_request_after_the_other(backend: Any) -> None:
    page = load("how-to/limit")
    page.crawl.delay_many([("a.example", "/1"), ("a.example", "/2"), ("b.example", "/1")])

    assert started(backend) == [["a.example", "/1"], ["b.example", "/1"]]


def test_charges_and_refunds_share_three_slots(backend: Any) -> None:
    page = load("how-to/limit")
    page.charge.delay_many([("acme", 1), ("acme", 2)])
    page.refund.delay_many([("acme", 3), ("acme", 4), ("other", 5)])

    assert started(backend) == [["acme", 1], ["acme", 2], ["acme", 3], ["other", 5]]


def test_a_provider_that_wants_a_rest_gets_one_from_all(backend: Any) -> None:
    page = load("how-to/limit")

    def send(number: str, text: str) -> None:
        raise page.TooManyRequests

    page.send = send
    first = page.text_message.delay("1", "hello")
    drain(backend)
    page.text_message.delay("2", "hello")

    first.refresh()
    assert (first.state, len(first.worker_ids)) == (State.SCHEDULED, 0)
    assert started(backend) == []


def test_a_view_takes_tokens_and_a_webhook_holds_a_limit(backend: Any) -> None:
    page = load("how-to/limit")
    assert [page.may_log_in("::1") for _ in range(5)] == [0.0] * 5
    assert 11 < page.may_log_in("::1") <= 12

    page.maintenance("acme")
    page.charge.delay("acme", 1)
    page.charge.delay("other", 1)
    assert started(backend) == [["other", 1]]


def test_deliveries_to_a_partner_begin_with_ten_and_find_their_measure(backend: Any) -> None:
    page = load("how-to/limit")
    page.deliver.delay_many([("acme", number) for number in range(60)])
    first = lease(backend)
    assert (len(first), page.right_now("acme")) == (10, 10)

    end(backend, first, State.SUCCESSFUL)

    assert page.right_now("acme") == 11
    assert len(lease(backend)) == 11
    assert page.right_now("other") == 10


def test_a_delivery_that_fails_leaves_half_of_the_slots(backend: Any) -> None:
    page = load("how-to/limit")
    page.deliver.delay_many([("acme", number) for number in range(20)])
    end(backend, lease(backend), State.FAILED)

    assert page.right_now("acme") == 5
