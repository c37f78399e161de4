"""Calls of one transaction that mean the same make one job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import transaction

from django_backie import task
from django_backie.exceptions import InvalidOption
from django_backie.models import Job
from tests.app.merged import notify, reindex, warm
from tests.app.tasks import add
from tests.helpers import drain

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

DURABILITIES = pytest.mark.parametrize("durability", ["outbox", "commit"])


def made(backend: Any) -> list[tuple[list[Any], dict[str, Any]]]:
    """Return the arguments of the jobs in Redis, in the order in which they were pushed."""
    ids = backend.broker.client.zrange(backend.broker.keys.queue("default"), 0, -1)
    found = backend.broker.inspect(ids)
    jobs = [backend.unpack(job_id, found[job_id].body) for job_id in ids]
    return [(job.args, job.kwargs) for job in jobs]


@contextmanager
def undone() -> Iterator[None]:
    """Roll back what is done in this block."""
    with suppress(ZeroDivisionError), transaction.atomic():
        yield
        raise ZeroDivisionError


@DURABILITIES
def test_the_same_calls_of_a_transaction_make_one_job(backend: Any, durability: Any) -> None:
    with transaction.atomic():
        results = [reindex.using(durability=durability).delay(7) for _ in range(100)]

    assert len({result.id for result in results}) == 1
    assert made(backend) == [([7], {})]
    assert Job.objects.count() == (1 if durability == "outbox" else 0)


def test_other_arguments_make_other_jobs(backend: Any) -> None:
    with transaction.atomic():
        for pk in (7, 8, 7):
            reindex.delay(pk)
        reindex.delay(7, deep=True)

    assert made(backend) == [([7], {}), ([8], {}), ([7], {"deep": True})]


def test_it_does_not_matter_how_an_argument_is_given(backend: Any) -> None:
    with transaction.atomic():
        reindex.delay(7)
        reindex.delay(pk=7)
        reindex.delay(7, False)

    assert made(backend) == [([7], {})]


def test_the_named_arguments_decide_and_the_first_call_counts(backend: Any) -> None:
    with transaction.atomic():
        notify.delay(7, "first")
        notify.delay(7, "second")
        notify.delay(8, "third")

    assert made(backend) == [([7, "first"], {}), ([8, "third"], {})]


def test_a_function_of_the_arguments_decides(backend: Any) -> None:
    with transaction.atomic():
        warm.delay("/a/1")
        warm.delay("/a/2", language="de")
        warm.delay("/b/1")

    assert made(backend) == [(["/a/1"], {}), (["/b/1"], {})]


def test_many_calls_at_once_are_merged_with_each_other_and_with_earlier_ones(backend: Any) -> None:
    with transaction.atomic():
        first = reindex.delay(1)
        results = reindex.delay_many([(2,), (1,), (2,), (3,)])

    assert [result.args for result in results] == [[2], [1], [2], [3]]
    assert results[1].id == first.id
    assert results[0].id == results[2].id
    assert made(backend) == [([1], {}), ([2], {}), ([3], {})]


def test_each_handle_shows_the_end_of_the_one_job(backend: Any) -> None:
    with transaction.atomic():
        results = [reindex.delay(7) for _ in range(2)]
    drain(backend)
    for result in results:
        result.refresh()

    assert {result.is_finished for result in results} == {True}


def test_each_transaction_makes_a_job_of_its_own(backend: Any) -> None:
    for _ in range(2):
        with transaction.atomic():
            reindex.delay(7)
    reindex.delay(7)
    reindex.delay_many([(7,), (7,)])

    assert len(made(backend)) == 5


def test_jobs_that_are_pushed_at_once_are_not_merged(backend: Any) -> None:
    with transaction.atomic():
        for _ in range(2):
            reindex.using(durability="now").delay(7)

    assert len(made(backend)) == 2


def test_tasks_and_databases_are_kept_apart(backend: Any) -> None:
    with transaction.atomic(), transaction.atomic(using="other"):
        reindex.delay(7)
        notify.delay(7)
        reindex.using(database="other").delay(7)

    assert len(made(backend)) == 3


# Savepoints.


def test_what_was_rolled_back_with_a_savepoint_is_made_anew(backend: Any) -> None:
    with transaction.atomic():
        with undone():
            former = reindex.delay(7)
        result = reindex.delay(7)

    assert result.id != former.id
    assert made(backend) == [([7], {})]
    assert [str(row.pk) for row in Job.objects.all()] == [result.id]


def test_a_call_in_a_savepoint_that_is_rolled_back_leaves_the_earlier_job(backend: Any) -> None:
    with transaction.atomic():
        result = reindex.delay(7)
        with undone():
            assert reindex.delay(7).id == result.id
        assert reindex.delay(7).id == result.id

    assert made(backend) == [([7], {})]


def test_a_call_in_a_savepoint_that_stays_counts_after_it(backend: Any) -> None:
    with transaction.atomic():
        with transaction.atomic():
            result = reindex.delay(7)
        assert reindex.delay(7).id == result.id

    assert made(backend) == [([7], {})]


def test_nothing_is_left_of_a_transaction_that_is_rolled_back(backend: Any) -> None:
    with undone():
        reindex.delay(7)
    with transaction.atomic():
        reindex.delay(7)

    assert len(made(backend)) == 1


def test_other_jobs_and_callbacks_of_the_transaction_do_not_matter(backend: Any) -> None:
    called = []
    with transaction.atomic():
        reindex.delay(7)
        transaction.on_commit(lambda: called.append(1))
        add.delay(1, 2)
        reindex.delay(7)

    assert called == [1]
    assert made(backend) == [([7], {}), ([1, 2], {})]


# Mistakes.


def test_a_name_that_is_no_argument_is_refused_at_import() -> None:
    with pytest.raises(InvalidOption, match=r"coalesce names 'pkk', which is no argument of it, did you mean 'pk'\?"):
        task(coalesce=["pkk"])(reindex.func)


@pytest.mark.parametrize("wrong", ["pk", [], [1], 5])
def test_what_can_be_no_key_is_refused_at_import(wrong: Any) -> None:
    with pytest.raises(InvalidOption, match="it must be True, a list of argument names, or a function"):
        task(coalesce=wrong)(reindex.func)


def test_a_function_that_raises_refuses_the_call(backend: Any) -> None:
    with transaction.atomic(), pytest.raises(AttributeError):
        warm.delay(5)  # type: ignore[arg-type]

    assert made(backend) == []


def test_a_function_does_not_travel() -> None:
    with pytest.raises(InvalidOption, match="set coalesce on the task"):
        reindex.using(coalesce=lambda pk: pk)
