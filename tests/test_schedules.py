"""Tasks that make jobs by themselves."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from django_backie import cron, every, registry, task
from django_backie.broker.replies import Ending
from django_backie.core.states import State
from django_backie.core.timetable import Schedule
from django_backie.duties.rota import duties_of
from django_backie.duties.schedules import Schedules
from django_backie.exceptions import InvalidOption
from django_backie.models import Job
from django_backie.models import Schedule as Row
from tests.app.tasks import add, echo
from tests.helpers import NOON, drain, lease, mirror
from tests.helpers import NoonClock as Clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

WORKER = "host:1.0:abcd.0"  # of tests.helpers.lease


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the registry, which has no task of other tests."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(registry, "_tasks", found)
    return found


def scheduled(schedule: Any, **options: Any) -> Any:
    """Return a task with a schedule."""
    return task(schedule=schedule, **options)(echo.func)


def times() -> list[str]:
    """Return the times of the slots that were taken up, by the ids of the jobs: their first part is the slot."""
    keys = sorted(str(job_id) for job_id in Job.objects.values_list("pk", flat=True))
    slots = [int(key.replace("-", "")[:12], 16) / 1000 for key in keys]
    return [datetime.fromtimestamp(slot, UTC).strftime("%H:%M:%S") for slot in slots]


def test_a_slot_makes_a_job_when_it_has_come(backend: Any, clock: Clock) -> None:
    scheduled("30 12 * * *")
    duty = Schedules(backend, clock)
    duty.tick()
    clock.forward(minutes=29, seconds=59)
    duty.tick()
    assert times() == []

    clock.forward(seconds=1)
    duty.tick()
    assert times() == ["12:30:00"]


def test_the_job_runs(backend: Any, clock: Clock) -> None:
    scheduled("30 12 * * *")
    duty = Schedules(backend, clock)
    duty.tick()
    clock.forward(minutes=30)
    duty.tick()
    drain(backend)
    mirror(backend)

    (row,) = Job.objects.all()
    assert (row.state, row.result) == ("SUCCESSFUL", '{"args":[],"kwargs":{}}')


def test_a_schedule_begins_when_it_is_first_seen(backend: Any, clock: Clock) -> None:
    scheduled("0 11 * * *")
    Schedules(backend, clock).tick()

    assert times() == []


def test_each_slot_is_taken_up_once_by_any_number_of_workers_one_after_the_other(backend: Any, clock: Clock) -> None:
    scheduled(every(minutes=1))
    duties = [Schedules(backend, clock) for _ in range(3)]
    for _ in range(30):
        for duty in duties:
            duty.tick()
        clock.forward(seconds=20)
    for duty in duties:
        duty.tick()

    assert times() == [f"12:{minute:02}:00" for minute in range(1, 11)]


def test_each_slot_is_taken_up_once_by_any_number_of_workers_at_the_same_time(
    backend: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All have read the row before any of them moves it on."""
    scheduled(every(minutes=1))
    Schedules(backend, clock).tick()
    clock.forward(minutes=1)
    together = threading.Barrier(3)
    move_on = Schedules._move_on

    def at_once(duty: Schedules, *arguments: Any) -> None:
        together.wait(20)
        move_on(duty, *arguments)

    monkeypatch.setattr(Schedules, "_move_on", at_once)

    def work() -> None:
        try:
            Schedules(backend, clock).tick()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert times() == ["12:01:00"]


def test_nothing_is_taken_up_where_the_transaction_fails_and_all_of_it_later(
    backend: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scheduled(every(minutes=1))
    duty = Schedules(backend, clock)
    duty.tick()
    clock.forward(minutes=1)
    with monkeypatch.context() as patch:
        patch.setattr(type(backend), "submit_as", _broken)
        duty.tick()
    assert (times(), Row.objects.get().last_slot) == ([], NOON)
    assert "'default' is left out for now: disk full" in caplog.text

    clock.forward(seconds=1)
    duty.tick()
    assert times() == ["12:01:00"]


def _broken(*_: Any, **__: Any) -> None:
    raise OperationalError("disk full")


@pytest.mark.parametrize(
    ("missed", "expected"),
    [("latest", ["15:00:00"]), ("skip", []), ("all", ["13:00:00", "14:00:00", "15:00:00"])],
)
def test_slots_at_which_no_worker_was_there_are_taken_up_as_wanted(
    backend: Any, clock: Clock, missed: Any, expected: list[str]
) -> None:
    scheduled(cron("0 * * * *", missed=missed))
    Schedules(backend, clock).tick()
    clock.forward(hours=3, minutes=20)
    Schedules(backend, clock).tick()
    assert times() == expected

    clock.forward(minutes=40)
    Schedules(backend, clock).tick()
    assert times() == [*expected, "16:00:00"]


def test_the_next_look_is_at_the_next_slot_or_in_a_second(backend: Any, clock: Clock) -> None:
    scheduled(every(seconds=10))
    duty = Schedules(backend, clock)
    assert duty.tick() == 1.0
    clock.forward(seconds=9.75)
    assert duty.tick() == pytest.approx(0.25)
    clock.forward(seconds=0.25)
    duty.tick()
    assert times() == ["12:00:10"]


def test_between_slots_the_database_is_not_asked(backend: Any, clock: Clock, django_assert_num_queries: Any) -> None:
    scheduled("30 12 * * *")
    duty = Schedules(backend, clock)
    duty.tick()
    clock.forward(minutes=10)
    with django_assert_num_queries(0):
        duty.tick()


def test_a_jitter_spreads_the_jobs_each_by_its_own_part(backend: Any, clock: Clock) -> None:
    scheduled(every(minutes=1, jitter=30, missed="all"))
    Schedules(backend, clock).tick()
    clock.forward(minutes=20)
    Schedules(backend, clock).tick()

    waits = [row.run_after.timestamp() - int(str(row.pk).replace("-", "")[:12], 16) / 1000 for row in Job.objects.all()]
    assert len(waits) == 20
    assert all(0 <= wait <= 30 for wait in waits)
    assert max(waits) - min(waits) > 10


def test_times_are_those_of_the_project(backend: Any, clock: Clock, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    scheduled("30 21 * * *")
    duty = Schedules(backend, clock)
    duty.tick()
    clock.forward(minutes=30)
    duty.tick()

    assert times() == ["12:30:00"]


def test_a_job_is_the_task_s_with_its_options_and_always_in_the_outbox(backend: Any, clock: Clock) -> None:
    scheduled(every(minutes=1), queue_name="nightly", priority=5, durability="now", max_attempts=2)
    duty = Schedules(backend, clock)
    duty.tick()
    clock.forward(minutes=1)
    duty.tick()

    (row,) = Job.objects.all()
    assert (row.queue, row.priority, row.max_attempts, row.task) == ("nightly", 5, 2, "tests.app.tasks.echo")


def test_a_rule_that_is_changed_begins_anew(backend: Any, clock: Clock, tasks: dict[str, Any]) -> None:
    scheduled("0 11 * * *")
    Schedules(backend, clock).tick()
    tasks.clear()
    clock.forward(hours=3)
    scheduled("0 14 * * *")
    Schedules(backend, clock).tick()
    assert times() == []
    assert {row.rule for row in Row.objects.all()} == {"0 11 * * *", "0 14 * * *"}

    clock.forward(hours=23)
    Schedules(backend, clock).tick()
    assert times() == ["14:00:00"]


def test_a_paused_schedule_makes_no_job_and_goes_on_with_the_latest(backend: Any, clock: Clock) -> None:
    scheduled(every(minutes=1))
    duty = Schedules(backend, clock)
    duty.tick()
    Row.objects.update(is_paused=True)
    clock.forward(minutes=10)
    duty.tick()
    assert times() == []

    Row.objects.update(is_paused=False)
    clock.forward(seconds=5)
    duty.tick()
    assert times() == ["12:10:00"]


def test_tasks_of_other_aliases_and_without_a_schedule_are_left_alone(backend: Any, clock: Clock) -> None:
    scheduled(every(minutes=1), backend="now")
    registry.register(add.job_name, add)
    duty = Schedules(backend, clock)
    duty.tick()
    clock.forward(minutes=5)
    duty.tick()

    assert (times(), Row.objects.count()) == ([], 0)


def test_a_database_that_went_back_does_not_stop_a_schedule(
    backend: Any, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    scheduled(every(minutes=1))
    duty = Schedules(backend, clock)
    duty.tick()
    clock.forward(minutes=1)
    duty.tick()
    Row.objects.update(last_slot=NOON)
    Schedules(backend, clock).tick()
    assert "the job of 2026-03-10 12:01:00+00:00 is there already" in caplog.text

    clock.forward(minutes=1)
    duty.tick()
    assert times() == ["12:01:00", "12:02:00"]


def test_the_duty_is_among_those_of_a_backend_with_a_table(backend: Any) -> None:
    assert "schedules" in [duty.name for duty in duties_of(backend)]


# Jobs that take longer than their interval.


def slots_pass(backend: Any, clock: Clock, duty: Schedules, count: int) -> None:
    for _ in range(count):
        clock.forward(minutes=5)
        duty.tick()


def states() -> list[str]:
    """Return the states of the slots' jobs, in the order of the slots."""
    return list(Job.objects.order_by("pk").values_list("state", flat=True))


def begun(backend: Any, clock: Clock, overlap: Any, **options: Any) -> Schedules:
    scheduled(every(minutes=5, overlap=overlap), **options)
    duty = Schedules(backend, clock)
    duty.tick()
    return duty


def test_jobs_may_overlap_unless_told_otherwise(backend: Any, clock: Clock) -> None:
    duty = begun(backend, clock, "allow")
    slots_pass(backend, clock, duty, 2)

    assert len(lease(backend)) == 2


def test_a_slot_is_skipped_while_the_former_one_s_job_is_not_over(backend: Any, clock: Clock) -> None:
    duty = begun(backend, clock, "skip")
    slots_pass(backend, clock, duty, 1)
    (first,) = lease(backend)
    slots_pass(backend, clock, duty, 2)
    mirror(backend)

    assert states() == ["RUNNING", "CANCELLED", "CANCELLED"]
    assert {row.reason for row in Job.objects.filter(state="CANCELLED")} == {f"duplicate of {first.id}"}


def test_a_job_that_waits_or_is_retried_is_not_over(backend: Any, clock: Clock) -> None:
    duty = begun(backend, clock, "skip")
    slots_pass(backend, clock, duty, 2)
    (first,) = lease(backend)
    backend.broker.turn(WORKER, [Ending(first.id, first.token, State.RETRYABLE, delay=3600.0)])
    slots_pass(backend, clock, duty, 1)
    mirror(backend)

    assert states() == ["RETRYABLE", "CANCELLED", "CANCELLED"]


def test_when_it_is_over_the_next_slot_has_a_job_again(backend: Any, clock: Clock) -> None:
    duty = begun(backend, clock, "skip")
    for _ in range(3):
        slots_pass(backend, clock, duty, 1)
        drain(backend)
    mirror(backend)

    assert states() == ["SUCCESSFUL"] * 3


def test_one_job_queues_behind_the_one_that_runs(backend: Any, clock: Clock) -> None:
    duty = begun(backend, clock, "queue")
    slots_pass(backend, clock, duty, 1)
    (first,) = lease(backend)
    slots_pass(backend, clock, duty, 3)
    assert lease(backend) == []
    mirror(backend)
    assert states() == ["RUNNING", "READY", "CANCELLED", "CANCELLED"]

    backend.broker.turn(WORKER, [Ending(first.id, first.token, State.SUCCESSFUL)])
    (second,) = lease(backend)
    assert second.id == str(Job.objects.order_by("pk")[1].pk)


def test_calls_of_the_task_are_not_held_up_and_hold_up_nobody(backend: Any, clock: Clock) -> None:
    duty = begun(backend, clock, "queue")
    (found,) = registry._tasks.values()
    found.delay()
    slots_pass(backend, clock, duty, 1)
    found.delay()

    assert len(lease(backend)) == 3


def test_coalescing_tasks_may_queue(backend: Any, clock: Clock) -> None:
    duty = begun(backend, clock, "skip", coalesce=True)
    slots_pass(backend, clock, duty, 2)
    mirror(backend)

    assert states() == ["READY", "CANCELLED"]


@pytest.mark.parametrize("overlap", ["skip", "queue"])
@pytest.mark.parametrize("options", [{"unique": True}, {"concurrency": 1}, {"concurrency_key": ()}])
def test_options_of_the_same_kind_exclude_each_other(overlap: Any, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InvalidOption, match=f"overlap='{overlap}' of the schedule and {name} exclude each other"):
        scheduled(every(minutes=5, overlap=overlap), **options)
    assert scheduled(every(minutes=5), **options).schedule.overlap == "allow"


def test_an_overlap_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidOption, match="overlap is 'wait', it must be one of 'allow', 'skip', 'queue'"):
        cron("@daily", overlap="wait")  # type: ignore[arg-type]


# Mistakes.


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("61 * * * *", r"tests.app.tasks.echo: schedule: the cron expression '61 \* \* \* \*' cannot be read"),
        (timedelta(0), "takes an interval of a second to ten years"),
        (5, "a schedule is a cron expression"),
    ],
)
def test_a_schedule_that_cannot_work_is_refused_at_import(schedule: Any, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        scheduled(schedule)


def test_a_task_that_needs_arguments_is_refused_at_import() -> None:
    with pytest.raises(InvalidOption, match=r"a schedule calls its task without arguments: missing .*'a'; give them"):
        task(schedule="@daily")(add.func)


def test_a_call_has_no_schedule() -> None:
    with pytest.raises(InvalidOption, match="a call has no schedule; set it on the task"):
        echo.using(schedule="@daily")  # type: ignore[call-arg]


def test_the_short_forms_become_schedules() -> None:
    assert isinstance(scheduled("@daily").schedule, Schedule)
    assert scheduled(timedelta(hours=1)).schedule == every(hours=1)


# What people do.


def shown(*arguments: str) -> str:
    """Return what a command of ours says."""
    output = StringIO()
    call_command("backie", *arguments, stdout=output)
    return output.getvalue()


def test_the_command_lists_schedules_with_their_next_times(backend: Any) -> None:
    scheduled("30 12 * * *")
    registry.register(add.job_name, add)
    (line,) = shown("schedules").splitlines()

    assert re.fullmatch(r"tests\.app\.tasks\.echo  30 12 \* \* \* +next (\d{4}-\d\d-\d\d 12:30:00(, )?){3}", line)


def test_the_command_tells_machines_too(backend: Any, clock: Clock) -> None:
    scheduled("30 12 * * *")
    Schedules(backend, clock).tick()
    (entry,) = json.loads(shown("schedules", "--json"))

    assert (entry["task"], entry["rule"], entry["is_paused"]) == ("tests.app.tasks.echo", "30 12 * * *", False)
    assert (entry["last"], len(entry["coming"])) == ("2026-03-10T12:00:00Z", 3)


def test_a_schedule_is_paused_and_resumed_by_command(backend: Any, clock: Clock) -> None:
    scheduled(every(minutes=1))
    duty = Schedules(backend, clock)
    duty.tick()
    shown("pause-schedule", "tests.app.tasks.echo")
    assert "paused" in shown("schedules")
    clock.forward(minutes=2)
    duty.tick()
    assert times() == []

    shown("resume-schedule", "tests.app.tasks.echo")
    clock.forward(seconds=5)
    duty.tick()
    assert times() == ["12:02:00"]


def test_a_schedule_that_no_worker_has_seen_yet_can_be_paused(backend: Any, clock: Clock) -> None:
    scheduled(every(minutes=1))
    shown("pause-schedule", "tests.app.tasks.echo")
    Schedules(backend, clock).tick()

    assert Row.objects.get().is_paused


def test_a_scheduled_task_is_run_now_by_command(backend: Any) -> None:
    scheduled("@yearly")
    job_id = shown("run-schedule", "tests.app.tasks.echo").split()[0]

    assert str(Job.objects.get().pk) == job_id


def test_a_command_names_the_tasks_that_have_a_schedule(backend: Any) -> None:
    scheduled("@yearly")
    with pytest.raises(
        CommandError,
        match=r"no schedule 'echo' in 'default'; known: tests\.app\.tasks\.echo",
    ):
        shown("pause-schedule", "echo")


def test_a_schedule_without_a_table_is_told_by_manage_py_check(backend: Any) -> None:
    scheduled("@daily", backend="now")
    found = [message for message in run_checks() if message.id == "django_backie.E011"]

    assert [message.msg for message in found] == [
        "the task 'tests.app.tasks.echo' has a schedule, but TASKS['now']['OPTIONS']['DATABASES'] is empty."
    ]


def no_key(text: str = "") -> str:
    """Fail, as a project's function may."""
    raise LookupError("no such tenant")


def add_nothing(text: str = "") -> None:
    """Do nothing."""


def test_a_schedule_that_raises_stops_no_other_and_is_said_once(
    backend: Any, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """They are looked at in the order of their names: the broken one comes first."""
    task(schedule=every(minutes=5), concurrency_key=no_key)(add_nothing)
    scheduled(every(minutes=5))
    duty = Schedules(backend, clock)
    duty.tick()
    slots_pass(backend, clock, duty, 2)

    assert times() == ["12:05:00", "12:10:00"]
    assert caplog.text.count("is broken and left out: no such tenant") == 1
