"""Several who write, or pause, one schedule at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.models.signals import pre_save
from django.test.utils import CaptureQueriesContext

from django_backie import registry, schedule_rows, task
from django_backie.exceptions import InvalidArguments
from django_backie.models import Schedule as Row
from tests.app.tasks import add, echo
from tests.helpers import NOON, wait_for_a_lock
from tests.helpers import NoonClock as Clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

ADD = "tests.app.tasks.add"
SUMS = {"task": ADD, "rule": "every 5 minutes", "args": [1, 2]}
ECHOES = {"task": "tests.app.tasks.echo", "rule": "@daily", "kwargs": {"text": "hello"}, "queue": "bulk"}

only_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL who waits for whom")


@pytest.fixture(autouse=True)
def exposed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a registry with two exposed tasks."""
    monkeypatch.setattr(registry, "_tasks", {})
    task(expose=True)(add.func)
    task(expose=True)(echo.func)


@pytest.fixture
def write(backend: Any) -> Callable[..., Any]:
    def written(values: dict[str, Any]) -> Any:
        return schedule_rows.write("nightly", backend, **values, clock=Clock())

    return written


@pytest.fixture
def another(write: Any) -> Iterator[Callable[[dict[str, Any]], Future[Any]]]:
    """Return what lets another process write, with a connection of its own."""

    def written(values: dict[str, Any]) -> Any:
        try:
            return write(values)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        yield lambda values: pool.submit(written, values)


def rows() -> list[tuple[Any, ...]]:
    return list(Row.objects.values_list("name", "task", "rule", "args", "kwargs", "queue"))


SUMS_ROW = ("nightly", ADD, "every 5 minutes", [1, 2], {}, "")
ECHOES_ROW = ("nightly", "tests.app.tasks.echo", "@daily", [], {"text": "hello"}, "bulk")


@only_postgresql
@pytest.mark.parametrize(("second", "expected"), [(SUMS, SUMS_ROW), (ECHOES, ECHOES_ROW)], ids=["the same", "other"])
def test_two_who_write_the_same_new_name_write_one_row_after_the_other(
    write: Any, another: Any, second: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    with transaction.atomic():
        first = write(SUMS)
        found = another(second)
        wait_for_a_lock()

    assert found.result(10).pk == first.pk
    assert rows() == [expected]


@pytest.mark.skipif(connection.vendor == "sqlite", reason="threads of a test share its database in memory")
def test_four_who_write_the_same_new_names_at_once_write_one_row_of_each(backend: Any) -> None:
    """Four, for more than two who wait for one may wait for each other then."""
    together = threading.Barrier(4)

    def work(values: dict[str, Any]) -> None:
        try:
            for number in range(15):
                together.wait(60)
                schedule_rows.write(f"nightly {number}", backend, **values)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, (SUMS, ECHOES, {**SUMS, "rule": "@hourly"}, SUMS)))

    assert sorted(Row.objects.values_list("name", flat=True)) == sorted(f"nightly {number}" for number in range(15))
    assert not Row.objects.filter(task="").exists()


def deadlocked(times: int, monkeypatch: pytest.MonkeyPatch, error: OperationalError) -> None:
    """Have the database fail the first transactions that look for a row."""
    errors = [error] * times
    looked = schedule_rows._locked

    def locked(*args: Any) -> Any:
        if errors:
            raise errors.pop()
        return looked(*args)

    monkeypatch.setattr(schedule_rows, "_locked", locked)


def found_by(code: str) -> OperationalError:
    """Return the error of a deadlock as a driver gives its code."""
    if code == "1213":
        return OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")
    error, cause = OperationalError("deadlock detected"), Exception()
    error.__cause__, cause.sqlstate = cause, code  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("code", ["1213", "40P01"])
def test_who_is_chosen_to_end_a_deadlock_writes_again(write: Any, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    deadlocked(3, monkeypatch, found_by(code))
    write(SUMS)

    assert rows() == [SUMS_ROW]


def test_deadlocks_without_end_are_told(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlocked(schedule_rows.TRIES, monkeypatch, found_by("1213"))

    with pytest.raises(OperationalError, match="Deadlock found"):
        write(SUMS)


def test_a_deadlock_in_a_transaction_of_the_caller_is_theirs(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlocked(1, monkeypatch, found_by("1213"))

    with pytest.raises(OperationalError, match="Deadlock found"), transaction.atomic():
        write(SUMS)


def test_another_error_of_the_database_is_told_at_once(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlocked(1, monkeypatch, OperationalError("the disk is full"))

    with pytest.raises(OperationalError, match="the disk is full"):
        write(SUMS)


@only_postgresql
def test_two_who_change_a_row_do_so_one_after_the_other(write: Any, another: Any) -> None:
    write(SUMS)
    with transaction.atomic():
        write({**SUMS, "rule": "@hourly", "queue": "mail", "kwargs": {}})
        found = another(ECHOES)
        wait_for_a_lock()
    found.result(10)

    assert rows() == [ECHOES_ROW]


@only_postgresql
def test_who_waited_for_one_that_was_rolled_back_writes_the_row(write: Any, another: Any) -> None:
    with transaction.atomic():
        write(SUMS)
        found = another(ECHOES)
        wait_for_a_lock()
        transaction.set_rollback(True)
    found.result(10)

    assert rows() == [ECHOES_ROW]


@only_postgresql
def test_who_waited_for_one_that_deletes_the_row_writes_it_anew(write: Any, another: Any) -> None:
    row = write(SUMS)
    with transaction.atomic():
        row.delete()
        found = another(ECHOES)
        wait_for_a_lock()
    found.result(10)

    assert rows() == [ECHOES_ROW]


@pytest.mark.parametrize("is_new", [True, False])
def test_the_first_thing_is_to_lock_what_comes_after_a_read_might_be_refused(write: Any, is_new: bool) -> None:
    if not is_new:
        write(SUMS)
    with CaptureQueriesContext(connection) as asked:
        write(ECHOES)
    statements = [query["sql"].split()[0] for query in asked.captured_queries]

    assert next(each for each in statements if each not in {"BEGIN", "SAVEPOINT"}) == "UPDATE"


@pytest.fixture
def meanwhile() -> Iterator[Callable[..., None]]:
    """Return what changes a row between the look at it and the next save."""
    receivers: list[Any] = []

    def change(**values: Any) -> None:
        def receiver(instance: Row, **_: Any) -> None:
            Row.objects.filter(pk=instance.pk).update(**values)

        receivers.append(receiver)
        pre_save.connect(receiver, sender=Row)

    yield change
    for receiver in receivers:
        pre_save.disconnect(receiver, sender=Row)


def test_a_pause_that_comes_between_is_kept(write: Any, meanwhile: Any) -> None:
    write(SUMS)
    meanwhile(is_paused=True)
    write(ECHOES)

    assert Row.objects.get().is_paused
    assert rows() == [ECHOES_ROW]


@pytest.mark.parametrize(("rule", "expected"), [("every 0:05:00", NOON), ("every 0:06:00", None)])
def test_a_change_in_the_admin_keeps_what_workers_and_pauses_have_written_meanwhile(
    admin_client: Any, write: Any, meanwhile: Any, rule: str, expected: Any
) -> None:
    row = write({**SUMS, "rule": "every 0:05:00"})
    Row.objects.update(last_slot=NOON - timedelta(minutes=5))
    form = {"backend": "default", "name": "nightly", "task": ADD, "rule": rule, "missed": "latest", "args": "[3, 4]"}
    meanwhile(is_paused=True, last_slot=NOON)
    answer = admin_client.post(
        f"/admin/django_backie/schedule/{row.pk}/change/",
        {**form, "overlap": "allow", "jitter": "0", "kwargs": "{}", "zone": "", "queue": "", "priority": ""},
    )

    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.args, row.rule, row.is_paused) == ([3, 4], rule, True)
    assert row.last_slot == expected if expected else row.last_slot > NOON


def test_what_could_not_run_changes_nothing(write: Any) -> None:
    write(SUMS)
    with pytest.raises(InvalidArguments):
        write({**ECHOES, "task": ADD})

    assert rows() == [SUMS_ROW]


def test_a_row_of_the_settings_with_the_same_name_is_let_alone(write: Any) -> None:
    kept = Row.objects.create(
        backend="default", name="nightly", task=ADD, rule="@daily", in_settings=True, last_slot=NOON
    )
    write(ECHOES)

    kept.refresh_from_db()
    assert (kept.task, kept.rule, Row.objects.count()) == (ADD, "@daily", 2)
