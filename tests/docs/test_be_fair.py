"""The page about fairness says what happens."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers import lease

from .pages import load

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def started(backend: Any) -> list[list[Any]]:
    return [backend.unpack(one.id, one.body).args for one in lease(backend)]


def test_tenants_take_turns(backend: Any) -> None:
    page = load("how-to/be-fair")
    page.export.delay_many([(1, product) for product in range(30)])
    page.export.delay(2, 99)

    assert started(backend)[:3] == [[1, 0], [2, 99], [1, 1]]


def test_a_business_tenant_has_five_reports_for_one_of_a_free_one(backend: Any) -> None:
    page = load("how-to/be-fair")
    page.render.delay_many([(1, "a"), (1, "b"), *((2, str(number)) for number in range(7))])

    assert [tenant for tenant, _ in started(backend)] == [1, 2, 2, 2, 2, 2, 1, 2, 2]


def test_exports_and_mails_of_a_tenant_share_its_turns(backend: Any) -> None:
    page = load("how-to/be-fair")
    page.export.delay_many([(1, 1), (1, 2)])
    page.mail.delay(1, "ann@example.org")
    page.mail.delay(2, "bo@example.org")

    assert [tenant for tenant, _ in started(backend)] == [1, 2, 1, 1]
