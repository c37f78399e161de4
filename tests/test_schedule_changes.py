"""Schedules whose rule changes, and changes back: what was not in force is not missed, and a deploy loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

from django_backie import compat, cron, every, registry, task, timetables
from django_backie.duties.schedules import Schedules
from django_backie.models import Job
from django_backie.models import Schedule as Row
from tests.app.tasks import add, echo
from tests.helpers import NOON
from tests.helpers import NoonClock as Clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

ADD = "tests.app.tasks.add"
ECHO = "tests.app.tasks.echo"
HOURLY = every(hours=1, missed="all")
HALF_HOURLY = every(minutes=30, missed="all")


class Version(Schedules):
    """A worker's duty with the code of one version, whatever version is deployed after it."""

    def __init__(self, backend: Any, clock: Clock, schedule: Any) -> None:
        super().__init__(backend, clock)
        self._schedule = schedule

    def tick(self) -> float:
        registry._tasks.clear()
        task(schedule=self._schedule)(echo.func)
        return super().tick()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the registry, which has no task of other tests."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(registry, "_tasks", found)
    return found


@pytest.fixture
def version(backend: Any, clock: Clock) -> Callable[[Any], Version]:
    """Return what starts a worker with the code of a version, and lets it look once."""

    def started(schedule: Any) -> Version:
        found = Version(backend, clock, schedule)
        found.tick()
        return found

    return started


def times() -> list[str]:
    """Return the times of the slots that were taken up, by the ids of the jobs: their first part is the slot."""
    keys = sorted(str(job_id) for job_id in Job.objects.values_list("pk", flat=True))
    slots = [int(key.replace("-", "")[:12], 16) / 1000 for key in keys]
    return [datetime.fromtimestamp(slot, UTC).strftime("%d %H:%M") for slot in slots]


def ended() -> dict[str, bool]:
    return dict(Row.objects.values_list("rule", "is_ended"))


# A rule that comes back.


def test_a_rule_that_comes_back_makes_no_jobs_of_the_time_without_it(clock: Clock, version: Any) -> None:
    version(HOURLY)
    clock.forward(minutes=20)
    version(cron("@yearly", missed="all"))
    clock.forward(days=30)
    back = version(HOURLY)
    assert times() == []

    clock.forward(minutes=40)
    back.tick()
    assert times() == ["09 13:00"]
    assert ended() == {"every 1:00:00": False, "@yearly": True}


@pytest.mark.parametrize(
    "between",
    [{"schedule": "@yearly"}, {"task": ECHO, "args": []}, {"schedule": "@yearly", "task": ECHO, "args": []}],
    ids=["another rule", "another task", "both"],
)
def test_an_entry_of_the_settings_that_comes_back_makes_no_jobs_of_the_time_without_it(
    backend: Any, clock: Clock, settings: Any, between: dict[str, Any]
) -> None:
    task(add.func)
    task(echo.func)
    entry = {"task": ADD, "schedule": HOURLY, "args": [1, 2]}

    def deployed(values: dict[str, Any]) -> Schedules:
        default = settings.TASKS["default"]
        changed = {**default, "OPTIONS": {**default["OPTIONS"], "SCHEDULES": {"sums": values}}}
        settings.TASKS = {**settings.TASKS, "default": changed}
        duty = Schedules(compat.get_backend("default"), clock)
        duty.tick()
        return duty

    deployed(entry)
    clock.forward(minutes=20)
    deployed({**entry, **between})
    clock.forward(days=30)
    back = deployed(entry)
    assert times() == []

    clock.forward(minutes=40)
    back.tick()
    assert times() == ["09 13:00"]


def test_what_is_up_to_a_minute_late_when_a_rule_comes_back_is_taken_up(clock: Clock, version: Any) -> None:
    """A worker that has had the rule all the time may be about to make it."""
    version(HOURLY)
    version(HALF_HOURLY)
    clock.forward(days=30, seconds=59)
    version(HOURLY)

    assert times() == ["09 12:00"]


def test_the_rules_of_other_schedules_have_not_ended(clock: Clock, backend: Any, settings: Any) -> None:
    task(add.func)
    task(schedule=HOURLY)(echo.func)
    entry = {"task": ECHO, "schedule": HOURLY}
    default = settings.TASKS["default"]
    schedules = {"one": entry, "two": {**entry, "schedule": HALF_HOURLY}}
    changed = {**default, "OPTIONS": {**default["OPTIONS"], "SCHEDULES": schedules}}
    settings.TASKS = {**settings.TASKS, "default": changed}
    Row.objects.create(backend="default", task=ECHO, rule="@daily", name="one", last_slot=NOON)
    Row.objects.create(backend="now", task=ECHO, rule="@daily", last_slot=NOON)
    Row.objects.create(backend="default", task=ADD, rule="@daily", last_slot=NOON)
    Schedules(compat.get_backend("default"), clock).tick()

    assert list(Row.objects.values_list("is_ended", flat=True)) == [False] * 6


def test_when_a_rule_is_back_what_no_worker_took_up_was_missed(clock: Clock, version: Any) -> None:
    version(HOURLY)
    version(HALF_HOURLY)
    clock.forward(days=1)
    version(HOURLY)
    clock.forward(hours=3)
    version(HOURLY)

    assert times() == ["11 12:00", "11 13:00", "11 14:00", "11 15:00"]


def test_a_pause_of_the_rule_holds_when_it_comes_back(backend: Any, clock: Clock, version: Any) -> None:
    version(HOURLY)
    timetables.pause(ECHO, backend)
    version(HALF_HOURLY)
    clock.forward(days=30)
    back = version(HOURLY)
    timetables.resume(ECHO, backend)
    clock.forward(seconds=5)
    back.tick()

    assert times() == ["09 12:00"]


def test_a_database_that_is_down_when_a_rule_comes_back_brings_no_jobs_later(
    backend: Any, clock: Clock, version: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    version(HOURLY)
    version(HALF_HOURLY)
    clock.forward(days=30, minutes=20)
    put = timetables.put_in_force

    def broken(*arguments: Any) -> None:
        monkeypatch.setattr(timetables, "put_in_force", put)
        raise OperationalError("gone away")

    monkeypatch.setattr(timetables, "put_in_force", broken)
    back = version(HOURLY)
    assert ended() == {"every 1:00:00": True, "every 0:30:00": False}
    clock.forward(seconds=1)
    back.tick()

    assert times() == []
    assert ended() == {"every 1:00:00": False, "every 0:30:00": True}


# A deploy: for some minutes there are workers of both versions.


@pytest.mark.parametrize("order", [1, -1], ids=["former first", "latter first"])
def test_side_by_side_each_version_makes_each_of_its_slots_once(
    clock: Clock, version: Any, caplog: pytest.LogCaptureFixture, order: int
) -> None:
    minutely, other = every(minutes=1), every(minutes=2, missed="all")
    workers = [version(minutely), version(minutely)]
    clock.forward(seconds=50)
    for number in range(20):
        clock.forward(seconds=15)
        if number % 4 == 2:
            # Workers of both are started anew, as those are that have used too much memory.
            workers += [version(minutely), version(other)][::order]
        for worker in workers[::order]:
            worker.tick()

    assert "is there already" not in caplog.text
    # 12:00:50 to 12:05:50; the other rule is first seen at 12:01:35.
    assert sorted(times()) == sorted([*(f"10 12:0{n}" for n in range(1, 6)), "10 12:02", "10 12:04"])


def test_a_worker_of_the_former_version_that_is_started_in_a_deploy_takes_no_slot_away(
    clock: Clock, version: Any
) -> None:
    """The slot has come, no worker has looked yet, and one begins that does not know that the others were there."""
    daily = cron("0 13 * * *", missed="skip")
    old = version(daily)
    version(cron("0 14 * * *"))
    clock.forward(hours=1, seconds=30)
    version(daily)
    old.tick()

    assert times() == ["10 13:00"]


def test_a_worker_that_goes_on_makes_up_for_all_that_it_is_late_for(clock: Clock, version: Any) -> None:
    old = version(HOURLY)
    version(HALF_HOURLY)
    clock.forward(hours=2, minutes=10)
    old.tick()

    assert times() == ["10 13:00", "10 14:00"]


def test_a_worker_that_is_started_between_the_look_and_the_step_of_another_takes_no_slot_away(
    clock: Clock, version: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = version(HOURLY)
    version(HALF_HOURLY)
    clock.forward(hours=1, seconds=5)
    move_on = Schedules._move_on

    def overtaken(duty: Schedules, *arguments: Any) -> None:
        monkeypatch.setattr(Schedules, "_move_on", move_on)
        version(HOURLY)
        move_on(duty, *arguments)

    monkeypatch.setattr(Schedules, "_move_on", overtaken)
    old.tick()

    assert times() == ["10 13:00"]


def test_after_a_deploy_that_was_taken_back_the_former_workers_rule_is_in_force_again(
    clock: Clock, version: Any
) -> None:
    """They were never started anew: within an hour they see that the row of their rule was marked."""
    daily, other = cron("0 3 * * *", missed="all"), cron("0 4 * * *", missed="all")
    old = version(daily)
    version(other)
    assert ended() == {"0 3 * * *": True, "0 4 * * *": False}
    clock.forward(hours=1)
    old.tick()
    assert ended() == {"0 3 * * *": False, "0 4 * * *": True}

    # Then no worker is there at three o'clock, and the next one has not known the rule all the time.
    clock.forward(hours=17)
    version(daily)
    assert times() == ["11 03:00"]


def test_between_slots_the_row_is_looked_at_once_an_hour(
    clock: Clock, version: Any, django_assert_num_queries: Any
) -> None:
    worker = version(cron("@yearly"))
    with django_assert_num_queries(0):
        clock.forward(minutes=59)
        worker.tick()
    with django_assert_num_queries(1):
        clock.forward(minutes=1)
        worker.tick()


# The table.


def test_the_migration_goes_back_and_keeps_the_rows(version: Any) -> None:
    version(HOURLY)
    version(HALF_HOURLY)
    try:
        MigrationExecutor(connections["default"]).migrate([("django_backie", "0010_schedule_overlap")])
    finally:
        executor = MigrationExecutor(connections["default"])
        executor.migrate(executor.loader.graph.leaf_nodes())

    assert ended() == {"every 1:00:00": False, "every 0:30:00": False}


def test_rows_of_before_the_migration_are_marked_by_the_first_worker(clock: Clock, version: Any) -> None:
    Row.objects.create(backend="default", task=ECHO, rule="every 1:00:00", last_slot=NOON - timedelta(days=30))
    version(HALF_HOURLY)
    version(HOURLY)

    assert times() == ["10 12:00"]
