"""Background work that gives way to what is in a hurry."""

from __future__ import annotations

import os

import pytest
from django.db import connections

from django_backie import mirror
from django_backie.courtesy import LITTLE, give_way

from .rows import make_job, row_of, snapshot_of, unpack

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_yield"), reason="macOS and Windows have no sched_yield(2)")


@pytest.fixture(name="given_way")
def count_what_is_given(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that grows whenever this process gives way; an entry tells whether it was within a transaction."""
    found: list[bool] = []
    monkeypatch.setattr(os, "sched_yield", lambda: found.append(connections["default"].in_atomic_block))
    return found


def test_a_little_work_gives_way_and_much_does_not(given_way: list[bool]) -> None:
    give_way(LITTLE + 1)
    assert given_way == []
    give_way(LITTLE)
    assert len(given_way) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("count", [3, LITTLE + 1])
def test_the_mirror_gives_way_between_its_steps_and_holds_no_locks_then(given_way: list[bool], count: int) -> None:
    jobs = [make_job() for _ in range(count)]
    mirror.write([snapshot_of(job, 1) for job in jobs], ["default"], unpack, lambda job: {}, "default")
    assert all(row_of(job) for job in jobs)
    assert (len(given_way) > count) == (count <= LITTLE)
    assert not any(given_way)
