"""Schedules that people write as rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from django_backie import compat, registry, schedule_rows, task
from django_backie.broker.replies import Ending
from django_backie.core.states import State
from django_backie.duties.rota import duties_of
from django_backie.duties.schedule_rows import ScheduleRows
from django_backie.duties.schedules import Schedules
from django_backie.exceptions import InvalidArguments, InvalidOption, UnknownTask
from django_backie.models import Job
from django_backie.models import Schedule as Row
from tests.app.tasks import add, echo
from tests.helpers import NOON, lease, mirror
from tests.helpers import NoonClock as Clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

ADD = "tests.app.tasks.add"
WORKER = "host:1.0:abcd.0"  # of tests.helpers.lease


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the registry, which has one exposed task and one that is not."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(registry, "_tasks", found)
    task(expose=True)(add.func)
    task(echo.func)
    return found


@pytest.fixture
def write(backend: Any, clock: Clock) -> Any:
    def written(name: str = "sums", **values: Any) -> Any:
        given = {"task": ADD, "rule": "every 5 minutes", "args": [1, 2], "clock": clock}
        return schedule_rows.write(name, backend, **{**given, **values})

    return written


def made() -> list[tuple[str, Any]]:
    """Return the times and the arguments of the jobs that were made."""
    keys = sorted((str(job.pk).replace("-", "")[:12], list(job.arguments.values())) for job in Job.objects.all())
    return [(datetime.fromtimestamp(int(slot, 16) / 1000, UTC).strftime("%H:%M"), args) for slot, args in keys]


def test_a_row_makes_a_job_with_its_arguments_at_each_slot_once(backend: Any, clock: Clock, write: Any) -> None:
    write(queue="nightly", priority=7)
    duty = ScheduleRows(backend, clock)
    for _ in range(22):
        clock.forward(seconds=30)
        duty.tick()

    assert [time for time, _ in made()] == ["12:05", "12:10"]
    assert {(job.queue, job.priority, job.task) for job in Job.objects.all()} == {("nightly", 7, ADD)}
    assert [args for _, args in made()] == [[1, 2], [1, 2]]


def test_two_rows_may_name_one_task_by_the_same_rule(backend: Any, clock: Clock, write: Any) -> None:
    write("one", args=[1, 1])
    write("two", args=[2, 2])
    clock.forward(minutes=5)
    ScheduleRows(backend, clock).tick()

    assert sorted(made()) == [("12:05", [1, 1]), ("12:05", [2, 2])]


def test_two_workers_make_one_job_of_a_slot(backend: Any, clock: Clock, write: Any) -> None:
    write()
    duties = [ScheduleRows(backend, clock) for _ in range(2)]
    for duty in duties:
        duty.tick()
    clock.forward(seconds=299)
    for duty in duties:
        duty.tick()
    clock.forward(seconds=1)
    # Both have read the row as it was.
    duties[0].tick()
    duties[1].tick()

    assert len(made()) == 1


def test_a_row_that_is_deleted_makes_no_job_within_five_seconds(backend: Any, clock: Clock, write: Any) -> None:
    row = write(rule="every 10 s")
    duty = ScheduleRows(backend, clock)
    duty.tick()
    row.delete()
    clock.forward(seconds=10)
    duty.tick()

    assert made() == []


def test_a_row_deleted_since_it_was_read_makes_no_job(backend: Any, clock: Clock, write: Any) -> None:
    row = write(rule="every 2 s")
    duty = ScheduleRows(backend, clock)
    duty.tick()
    row.delete()
    clock.forward(seconds=2)
    duty.tick()

    assert made() == []


def test_a_row_may_not_have_the_name_of_a_schedule_in_the_code(write: Any, tasks: dict[str, Any]) -> None:
    tasks.clear()
    task(schedule="every 5 minutes", expose=True)(echo.func)
    with pytest.raises(InvalidOption, match="has a schedule of its own, which is known by this name"):
        write("tests.app.tasks.echo", task="tests.app.tasks.echo", args=[1])


def test_who_writes_a_row_need_not_have_met_its_task(write: Any, tasks: dict[str, Any], monkeypatch: Any) -> None:
    found = tasks.copy()
    tasks.clear()
    monkeypatch.setattr(registry, "discover", lambda modules=(): tasks.update(found))

    assert write().pk


def test_a_paused_row_makes_no_job(backend: Any, clock: Clock, write: Any) -> None:
    write()
    Row.objects.update(is_paused=True)
    clock.forward(minutes=5)
    ScheduleRows(backend, clock).tick()

    assert made() == []


def test_a_row_that_is_written_again_begins_anew(backend: Any, clock: Clock, write: Any) -> None:
    write()
    clock.forward(minutes=7)
    write(rule="every 6 minutes", args=[3, 4])
    duty = ScheduleRows(backend, clock)
    duty.tick()
    assert made() == []

    clock.forward(minutes=5)
    duty.tick()
    assert (made(), Row.objects.count()) == ([("12:12", [3, 4])], 1)


def slots_pass(duty: ScheduleRows, clock: Clock, count: int) -> None:
    for _ in range(count):
        clock.forward(minutes=5)
        duty.tick()


def states() -> list[str]:
    """Return the states of the slots' jobs, in the order of the slots."""
    return list(Job.objects.order_by("pk").values_list("state", flat=True))


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("allow", ["RUNNING", "READY", "READY"]),
        ("skip", ["RUNNING", "CANCELLED", "CANCELLED"]),
        ("queue", ["RUNNING", "READY", "CANCELLED"]),
    ],
)
def test_a_slot_of_a_row_whose_former_job_is_not_over_is_taken_up_as_wanted(
    backend: Any, clock: Clock, write: Any, overlap: str, expected: list[str]
) -> None:
    write(overlap=overlap)
    duty = ScheduleRows(backend, clock)
    slots_pass(duty, clock, 1)
    (first,) = lease(backend)
    slots_pass(duty, clock, 2)
    mirror(backend)

    assert states() == expected
    assert len(lease(backend)) == (2 if overlap == "allow" else 0)

    backend.broker.turn(WORKER, [Ending(first.id, first.token, State.SUCCESSFUL)])
    assert len(lease(backend)) == (1 if overlap == "queue" else 0)


@pytest.mark.parametrize("overlap", ["skip", "queue"])
def test_rows_and_settings_and_calls_of_one_task_do_not_hold_each_other_up(
    backend: Any, clock: Clock, write: Any, settings: Any, overlap: Any
) -> None:
    entry = {"task": ADD, "schedule": "every 5 minutes", "args": [1, 2], "overlap": overlap}
    default = settings.TASKS["default"]
    changed = {**default, "OPTIONS": {**default["OPTIONS"], "SCHEDULES": {"sums": entry}}}
    settings.TASKS = {**settings.TASKS, "default": changed}
    backend = compat.get_backend("default")
    write(overlap=overlap)
    write("others", overlap=overlap)
    duties = [Schedules(backend, clock), ScheduleRows(backend, clock)]
    for minutes in (0, 5):
        clock.forward(minutes=minutes)
        for duty in duties:
            duty.tick()
    registry.get(ADD).delay(1, 2)

    assert len(lease(backend)) == 4


def test_a_row_that_is_renamed_still_waits_for_its_own_job(backend: Any, clock: Clock, write: Any) -> None:
    write(overlap="skip")
    duty = ScheduleRows(backend, clock)
    slots_pass(duty, clock, 1)
    Row.objects.update(name="totals")
    slots_pass(duty, clock, 1)
    mirror(backend)

    assert states() == ["READY", "CANCELLED"]


def test_a_jitter_spreads_the_jobs_of_a_row_each_by_its_own_part(backend: Any, clock: Clock, write: Any) -> None:
    write(rule="every minute", jitter=30, missed="all")
    clock.forward(minutes=20)
    ScheduleRows(backend, clock).tick()

    waits = [job.run_after.timestamp() - int(str(job.pk).replace("-", "")[:12], 16) / 1000 for job in Job.objects.all()]
    assert len(waits) == 20
    assert all(0 <= wait <= 30 for wait in waits)
    assert max(waits) - min(waits) > 10


@pytest.mark.parametrize("change", [{"overlap": "allow"}, {"jitter": 0.0}])
def test_a_row_changed_since_it_was_read_does_not_fire_as_it_was(
    backend: Any, clock: Clock, write: Any, change: dict[str, Any]
) -> None:
    write(overlap="skip", jitter=0.1)
    clock.forward(minutes=4, seconds=58)
    duty = ScheduleRows(backend, clock)
    duty.tick()
    Row.objects.update(**change)
    clock.forward(seconds=2)
    duty.tick()
    assert made() == []

    clock.forward(seconds=3)
    duty.tick()
    assert [time for time, _ in made()] == ["12:05"]


@pytest.mark.parametrize("options", [{"unique": True}, {"concurrency": 1}])
def test_overlap_beside_an_option_of_the_same_kind_is_refused(
    tasks: dict[str, Any], write: Any, options: dict[str, Any]
) -> None:
    tasks.clear()
    task(expose=True, **options)(add.func)
    with pytest.raises(InvalidOption, match=f"overlap='skip' of the schedule and {next(iter(options))} exclude"):
        write(overlap="skip")
    assert write(overlap="allow").pk


def test_between_slots_the_rows_are_read_every_five_seconds(
    backend: Any, clock: Clock, write: Any, django_assert_num_queries: Any
) -> None:
    write()
    duty = ScheduleRows(backend, clock)
    duty.tick()
    with django_assert_num_queries(0):
        clock.forward(seconds=4)
        duty.tick()
    with django_assert_num_queries(1):
        clock.forward(seconds=1)
        duty.tick()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"task": "gone"}, UnknownTask, "no task is registered as 'gone'"),
        ({"task": "tests.app.tasks.echo"}, InvalidOption, "not exposed to rows; set expose=True"),
        ({"rule": "every 5 fortnights"}, InvalidOption, "every 5 minutes"),
        ({"rule": "0 3 * *"}, InvalidOption, "4 fields, not 5"),
        ({"args": [1]}, InvalidArguments, "missing"),
        ({"args": [1, {3}]}, InvalidArguments, "must be JSON"),
        ({"args": [1, float("nan")]}, InvalidArguments, "must be JSON"),
        ({"missed": "never"}, InvalidOption, "missed is 'never'"),
        ({"overlap": "wait"}, InvalidOption, "overlap is 'wait', it must be one of 'allow', 'skip', 'queue'"),
        ({"jitter": -1}, InvalidOption, "jitter is -1, it must be a number of seconds from 0"),
        ({"name": ""}, InvalidOption, "a name of 1 to 100"),
    ],
)
def test_what_could_not_run_is_not_saved(write: Any, values: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        write(**values)
    assert not Row.objects.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"task": "gone"},
        {"rule": "nonsense"},
        {"args": [1]},
        {"args": 5},
        {"zone": "X/Y"},
        {"overlap": "wait"},
        {"jitter": -1.0},
    ],
)
def test_a_broken_row_is_said_once_and_stops_no_other(
    backend: Any, clock: Clock, write: Any, caplog: pytest.LogCaptureFixture, change: dict[str, Any]
) -> None:
    write("broken")
    write("whole")
    Row.objects.filter(name="broken").update(**change)
    duty = ScheduleRows(backend, clock)
    for _ in range(5):
        clock.forward(minutes=1)
        duty.tick()

    assert [time for time, _ in made()] == ["12:05"]
    assert caplog.text.count("the schedule 'broken' is broken and left out") == 1


def test_a_task_that_is_not_exposed_any_more_is_not_run(
    backend: Any, clock: Clock, write: Any, tasks: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    write()
    tasks.clear()
    task(add.func)
    clock.forward(minutes=5)
    ScheduleRows(backend, clock).tick()

    assert made() == []
    assert "not exposed" in caplog.text


def test_a_call_cannot_be_exposed() -> None:
    with pytest.raises(InvalidOption, match="set expose on the task"):
        echo.using(expose=True)  # type: ignore[call-arg]


def test_only_true_and_false_expose_a_task() -> None:
    with pytest.raises(InvalidOption, match="expose is 'yes', it must be True or False"):
        task(expose="yes")(echo.func)  # type: ignore[call-overload]


def test_the_duty_is_among_those_of_a_backend_with_a_table(backend: Any) -> None:
    assert "schedule_rows" in [duty.name for duty in duties_of(backend)]


def test_the_migration_goes_back_and_keeps_the_schedules_of_the_code(write: Any) -> None:
    write()
    Row.objects.create(backend="default", task=ADD, rule="@daily", last_slot=NOON)
    try:
        MigrationExecutor(connections["default"]).migrate([("django_backie", "0006_pause")])
    finally:
        executor = MigrationExecutor(connections["default"])
        executor.migrate(executor.loader.graph.leaf_nodes())

    assert [(row.rule, row.name) for row in Row.objects.all()] == [("@daily", "")]


def test_the_migration_of_overlap_goes_back_and_keeps_the_rows(write: Any) -> None:
    write(overlap="skip", jitter=30)
    try:
        MigrationExecutor(connections["default"]).migrate([("django_backie", "0009_schedule_in_settings")])
    finally:
        executor = MigrationExecutor(connections["default"])
        executor.migrate(executor.loader.graph.leaf_nodes())

    assert [(row.name, row.overlap, row.jitter) for row in Row.objects.all()] == [("sums", "allow", 0.0)]


def test_code_of_before_the_migration_may_write_rows_after_it(write: Any) -> None:
    write()
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_backie_schedule"
            " (backend, task, rule, last_slot, is_paused, name, zone, missed, args, kwargs, queue)"
            " SELECT backend, task, rule, last_slot, is_paused, 'older', zone, missed, args, kwargs, queue"
            " FROM django_backie_schedule"
        )

    assert [(row.overlap, row.jitter) for row in Row.objects.filter(name="older")] == [("allow", 0.0)]
