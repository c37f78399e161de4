"""Schedules that stand in the settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from django_backie import compat, cron, every, registry, schedule_rows, schedule_settings, task, timetables
from django_backie.duties.schedule_rows import ScheduleRows
from django_backie.duties.schedules import Schedules
from django_backie.exceptions import InvalidArguments, InvalidOption, UnknownTask, UnserializableValue
from django_backie.models import Job
from django_backie.models import Schedule as Row
from tests.app.tasks import add, echo
from tests.helpers import NOON, drain, lease, mirror
from tests.helpers import NoonClock as Clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

ADD = "tests.app.tasks.add"
ECHO = "tests.app.tasks.echo"
FIVE = {"task": ADD, "schedule": "every 5 minutes", "args": [1, 2]}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def tasks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the registry, which has two tasks, neither of them exposed."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(registry, "_tasks", found)
    task(add.func)
    task(echo.func)
    return found


@pytest.fixture
def using(backend: Any, settings: Any) -> Callable[..., Any]:
    """Return what puts schedules into the settings, and answers the backend that has them."""

    def put(schedules: dict[Any, Any], alias: str = "default", **options: Any) -> Any:
        params = settings.TASKS[alias]
        changed = {**params, "OPTIONS": {**params["OPTIONS"], "SCHEDULES": schedules, **options}}
        settings.TASKS = {**settings.TASKS, alias: changed}
        return compat.get_backend(alias)

    return put


def made() -> list[tuple[str, Any]]:
    """Return the times and the arguments of the jobs that were made."""
    keys = sorted((str(job.pk).replace("-", "")[:12], list(job.arguments.values())) for job in Job.objects.all())
    return [(datetime.fromtimestamp(int(slot, 16) / 1000, UTC).strftime("%H:%M"), args) for slot, args in keys]


def forward(duty: Any, clock: Clock, times: int, **step: float) -> None:
    for _ in range(times):
        clock.forward(**step)
        duty.tick()


def test_an_entry_makes_a_job_with_its_arguments_at_each_slot_once(clock: Clock, using: Any) -> None:
    duty = Schedules(using({"sums": {**FIVE, "queue": "bulk", "priority": 5}}), clock)
    duty.tick()
    forward(duty, clock, 22, seconds=30)

    assert made() == [("12:05", [1, 2]), ("12:10", [1, 2])]
    assert {(job.queue, job.priority, job.task) for job in Job.objects.all()} == {("bulk", 5, ADD)}


def test_the_job_runs(clock: Clock, using: Any) -> None:
    backend = using({"sums": FIVE})
    duty = Schedules(backend, clock)
    duty.tick()
    forward(duty, clock, 1, minutes=5)
    drain(backend)
    mirror(backend)

    (row,) = Job.objects.all()
    assert (row.state, row.result) == ("SUCCESSFUL", "3")


def test_two_workers_make_one_job_of_a_slot(clock: Clock, using: Any) -> None:
    backend = using({"sums": FIVE})
    duties = [Schedules(backend, clock) for _ in range(2)]
    for minutes in (0, 5):
        clock.forward(minutes=minutes)
        for duty in duties:
            duty.tick()

    assert len(made()) == 1


def test_two_workers_that_have_read_the_same_row_make_one_job(
    clock: Clock, using: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = using({"sums": FIVE})
    Schedules(backend, clock).tick()
    clock.forward(minutes=5)
    move_on = Schedules._move_on

    def overtaken(duty: Schedules, *arguments: Any) -> None:
        # The other one is done between this one's look and its step.
        monkeypatch.setattr(Schedules, "_move_on", move_on)
        Schedules(backend, clock).tick()
        assert len(made()) == 1
        move_on(duty, *arguments)

    monkeypatch.setattr(Schedules, "_move_on", overtaken)
    Schedules(backend, clock).tick()

    assert len(made()) == 1


def test_a_slot_is_not_lost_where_its_job_cannot_be_written(
    clock: Clock, using: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = using({"sums": FIVE})
    duty = Schedules(backend, clock)
    duty.tick()

    def broken(*_: Any) -> None:
        raise DatabaseError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(type(backend), "submit_as", broken)
        forward(duty, clock, 1, minutes=5)
    assert (made(), Row.objects.get().last_slot) == ([], NOON)

    forward(duty, clock, 1, seconds=1)
    assert made() == [("12:05", [1, 2])]


def test_one_task_may_have_several_entries_beside_its_own_schedule_and_a_row(
    clock: Clock, using: Any, tasks: dict[str, Any]
) -> None:
    tasks.clear()
    task(schedule=every(minutes=5), expose=True)(echo.func)
    entry = {"task": ECHO, "schedule": every(minutes=5)}
    backend = using({"one": {**entry, "args": [1]}, "two": {**entry, "args": [2]}})
    schedule_rows.write("three", backend, task=ECHO, rule="every 0:05:00", args=[3], clock=clock)
    duties = [Schedules(backend, clock), ScheduleRows(backend, clock)]
    for duty in duties:
        duty.tick()
    clock.forward(minutes=5)
    for duty in duties:
        duty.tick()

    assert sorted(json.dumps(args[:1]) for _, args in made()) == ["[[1]]", "[[2]]", "[[3]]", "[]"]
    assert Row.objects.count() == 4


def test_the_rows_of_entries_are_not_those_of_people(clock: Clock, using: Any) -> None:
    backend = using({"sums": FIVE})
    Schedules(backend, clock).tick()

    assert (Row.objects.get().in_settings, schedule_rows.rows(backend).count()) == (True, 0)


@pytest.mark.parametrize(("overlap", "most"), [("allow", 2), ("skip", 1), ("queue", 1)])
def test_overlap_is_of_each_entry_by_itself(clock: Clock, using: Any, overlap: str, most: int) -> None:
    backend = using({"one": {**FIVE, "overlap": overlap}, "two": {**FIVE, "overlap": overlap, "args": [3, 4]}})
    duty = Schedules(backend, clock)
    duty.tick()
    forward(duty, clock, 2, minutes=5)
    drain(backend)
    mirror(backend)

    done = [list(job.arguments.values()) for job in Job.objects.filter(state="SUCCESSFUL")]
    assert (done.count([1, 2]), done.count([3, 4])) == (most, most)


def test_one_job_of_each_entry_queues_behind_that_which_runs(clock: Clock, using: Any) -> None:
    backend = using({"one": {**FIVE, "overlap": "queue"}, "two": {**FIVE, "overlap": "queue", "args": [3, 4]}})
    duty = Schedules(backend, clock)
    duty.tick()
    forward(duty, clock, 1, minutes=5)
    first = {taken.id for taken in lease(backend)}
    forward(duty, clock, 2, minutes=5)

    assert len(first) == 2
    assert lease(backend) == []
    mirror(backend)
    assert sorted(Job.objects.values_list("state", flat=True)) == [
        *["CANCELLED"] * 2,
        *["READY"] * 2,
        *["RUNNING"] * 2,
    ]


def test_jitter_and_missed_and_zone_are_those_of_the_entry(clock: Clock, using: Any) -> None:
    backend = using({"sums": {**FIVE, "schedule": "30 13 * * *", "zone": "Europe/Berlin", "jitter": 30}})
    duty = Schedules(backend, clock)
    duty.tick()
    forward(duty, clock, 1, minutes=30)

    (job,) = Job.objects.all()
    assert made() == [("12:30", [1, 2])]
    assert timedelta(0) < job.run_after - datetime(2026, 3, 10, 12, 30, tzinfo=UTC) < timedelta(seconds=30)


def test_all_missed_slots_are_made_where_the_entry_wants_them(clock: Clock, using: Any) -> None:
    backend = using({"sums": {**FIVE, "missed": "all"}})
    Schedules(backend, clock).tick()
    clock.forward(minutes=15)
    Schedules(backend, clock).tick()

    assert [time for time, _ in made()] == ["12:05", "12:10", "12:15"]


def test_the_keys_of_an_entry_win_over_those_of_its_schedule(using: Any) -> None:
    rule = cron("0 3 * * *", missed="all", overlap="skip")
    backend = using({"sums": {**FIVE, "schedule": rule, "zone": "Europe/Berlin", "overlap": "queue"}})

    expected = cron("0 3 * * *", zone="Europe/Berlin", missed="all", overlap="queue")
    assert schedule_settings.plan_of("sums", backend).schedule == expected


def test_an_entry_that_is_taken_out_makes_no_more_jobs(clock: Clock, using: Any) -> None:
    Schedules(using({"sums": FIVE}), clock).tick()
    clock.forward(minutes=5)
    Schedules(using({}), clock).tick()

    assert made() == []


def test_an_entry_whose_rule_has_changed_begins_anew(clock: Clock, using: Any) -> None:
    Schedules(using({"sums": FIVE}), clock).tick()
    clock.forward(minutes=7)
    duty = Schedules(using({"sums": {**FIVE, "schedule": "every 6 minutes"}}), clock)
    duty.tick()
    assert made() == []

    forward(duty, clock, 1, minutes=5)
    assert made() == [("12:12", [1, 2])]


def test_between_slots_the_database_is_not_asked(clock: Clock, using: Any, django_assert_num_queries: Any) -> None:
    duty = Schedules(using({"sums": FIVE, "broken": {"task": "gone"}}), clock)
    duty.tick()
    with django_assert_num_queries(0):
        forward(duty, clock, 9, seconds=30)


WRONG: list[tuple[Any, type[Exception], str]] = [
    ({**FIVE, "shedule": 1}, InvalidOption, "unknown key 'shedule', did you mean 'schedule'"),
    ({**FIVE, 5: 1}, InvalidOption, "unknown key 5"),
    ({"task": ADD}, InvalidOption, "the key 'schedule' is missing"),
    ({"schedule": "@daily"}, InvalidOption, "the key 'task' is missing"),
    ("@daily", InvalidOption, "a schedule is a mapping such as"),
    ({**FIVE, "task": "tests.app.tasks.ad"}, UnknownTask, f"did you mean '{ADD}'"),
    ({**FIVE, "task": add}, InvalidOption, "task is .*must be a string"),
    ({**FIVE, "schedule": "0 3 * *"}, InvalidOption, "has 4 fields, not 5"),
    ({**FIVE, "schedule": "every blue moon"}, InvalidOption, "write it as 'every 5 minutes'"),
    ({**FIVE, "schedule": 300}, InvalidOption, "schedule is 300, it must be"),
    ({**FIVE, "zone": "Europe/Berlin"}, InvalidOption, "has no time zone"),
    ({**FIVE, "schedule": every(minutes=5), "zone": "Europe/Berlin"}, InvalidOption, "leave zone out"),
    ({**FIVE, "schedule": "@daily", "zone": "Mars/Olympus"}, InvalidOption, "'Mars/Olympus' is not known"),
    ({**FIVE, "zone": 1}, InvalidOption, "zone is 1, it must be a string"),
    ({**FIVE, "args": [1]}, InvalidArguments, "missing"),
    ({**FIVE, "args": "12"}, InvalidArguments, "args is '12', it must be a list"),
    ({**FIVE, "kwargs": {"c": 1}}, InvalidArguments, "'c'"),
    ({**FIVE, "kwargs": [3]}, InvalidArguments, "kwargs is .*a mapping"),
    ({**FIVE, "args": [1, object()]}, UnserializableValue, "object"),
    ({**FIVE, "queue": 5}, InvalidOption, "queue is 5, it must be a string"),
    ({**FIVE, "queue": ""}, compat.InvalidTask, "Queue name must be"),
    ({**FIVE, "priority": "high"}, InvalidOption, "priority is 'high'"),
    ({**FIVE, "priority": True}, InvalidOption, "priority is True"),
    ({**FIVE, "priority": 300}, compat.InvalidTask, "priority"),
    ({**FIVE, "missed": "never"}, InvalidOption, "missed is 'never'"),
    ({**FIVE, "overlap": "no"}, InvalidOption, "overlap is 'no'"),
    ({**FIVE, "jitter": "1m"}, InvalidOption, "jitter is '1m'"),
]


@pytest.mark.parametrize(("entry", "error", "message"), WRONG)
def test_a_wrong_entry_is_refused_with_what_it_must_be(using: Any, entry: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        schedule_settings.plan_of("sums", using({"sums": entry}))


@pytest.mark.parametrize("entry", [entry for entry, *_ in WRONG])
def test_a_broken_entry_is_said_once_and_stops_no_other(
    clock: Clock, using: Any, caplog: pytest.LogCaptureFixture, entry: Any
) -> None:
    duty = Schedules(using({"broken": entry, "whole": FIVE}), clock)
    duty.tick()
    forward(duty, clock, 5, minutes=1)

    assert made() == [("12:05", [1, 2])]
    assert caplog.text.count("the schedule 'broken' is broken and left out") == 1


def test_an_entry_whose_job_cannot_be_made_is_said_once_and_stops_no_other(
    clock: Clock, using: Any, caplog: pytest.LogCaptureFixture
) -> None:
    large = {"task": ECHO, "schedule": "every 5 minutes", "args": ["x" * 200]}
    duty = Schedules(using({"large": large, "whole": FIVE}, MAX_PAYLOAD=100), clock)
    duty.tick()
    forward(duty, clock, 8, minutes=1)

    assert made() == [("12:05", [1, 2])]
    assert caplog.text.count("the schedule 'large' is broken and left out") == 1


@pytest.mark.parametrize("name", ["", "x" * 101, 7, "a\nb"])
def test_a_name_is_a_line_of_text(using: Any, name: Any) -> None:
    ((culprit, problem),) = schedule_settings.problems(using({name: FIVE}))

    assert culprit == name
    assert "a name of 1 to 100 printable characters" in problem


def test_overlap_beside_a_task_that_is_unique_itself_is_refused(using: Any, tasks: dict[str, Any]) -> None:
    tasks.clear()
    task(unique=True)(add.func)

    with pytest.raises(InvalidOption, match="overlap='skip' of the schedule and unique exclude each other"):
        schedule_settings.plan_of("sums", using({"sums": {**FIVE, "overlap": "skip"}}))


def test_a_task_of_another_alias_is_refused(using: Any) -> None:
    with pytest.raises(InvalidOption, match=r"is of 'default'; write its schedule in TASKS\['default'\]"):
        schedule_settings.plan_of("sums", using({"sums": FIVE}, "now"))


def test_an_entry_may_not_be_mistaken_for_the_schedule_of_a_task(using: Any, tasks: dict[str, Any]) -> None:
    tasks.clear()
    task(schedule="@daily")(echo.func)

    with pytest.raises(InvalidOption, match="choose another name"):
        schedule_settings.plan_of(ECHO, using({ECHO: {"task": ECHO, "schedule": "@daily"}}))


def checked() -> dict[str, str]:
    found = [message for message in run_checks() if "SCHEDULES" in message.msg]
    return {message.msg: str(message.id).rpartition(".")[2] for message in found}


def test_manage_py_check_names_the_entry_and_the_way_out(using: Any) -> None:
    using({"sums": {**FIVE, "qeue": "bulk"}, "whole": FIVE})

    ((text, number),) = checked().items()
    assert number == "E012"
    assert text.startswith(
        "TASKS['default']['OPTIONS']['SCHEDULES']['sums']: unknown key 'qeue', did you mean 'queue'?; known are task, "
    )


def test_right_entries_need_no_word(using: Any) -> None:
    using({"sums": FIVE, "ping": {"task": ECHO, "schedule": every(minutes=5), "overlap": "queue", "jitter": 30}})

    assert checked() == {}


def test_schedules_without_a_table_are_told(using: Any) -> None:
    using({"sums": {**FIVE, "task": "gone"}}, "now")

    assert sorted(checked().values()) == ["E011", "E012"]


def command(*arguments: str) -> str:
    output = StringIO()
    call_command("backie", *arguments, stdout=output, no_color=True)
    return output.getvalue()


def test_the_commands_know_the_rows_that_people_wrote_by_their_names(clock: Clock, using: Any, tasks: Any) -> None:
    tasks.clear()
    exposed = task(expose=True)(echo.func)
    backend = using({"sums": {"task": ECHO, "schedule": "@daily", "args": [1]}})
    schedule_rows.write("mine", backend, task=ECHO, rule="0 3 * * *", zone="Asia/Tokyo", args=[2], clock=clock)
    schedule_rows.write("yours", backend, task=ECHO, rule="@daily", args=[3], clock=clock)
    Row.objects.filter(name="yours").update(task="gone")

    command("pause-schedule", "mine")
    command("pause-schedule", "yours")
    assert command("run-schedule", "mine").endswith("is on its way\n")
    assert [next(iter(job.arguments.values())) for job in Job.objects.all()] == [[2]]
    listed = {entry["name"]: entry for entry in json.loads(command("schedules", "--json"))}
    assert {name: entry["stands_in"] for name, entry in listed.items()} == {
        "sums": "settings",
        "mine": "table",
        "yours": "table",
    }
    assert [entry["is_paused"] for entry in listed.values()] == [False, True, True]
    assert (listed["mine"]["rule"], len(listed["mine"]["coming"])) == ("0 3 * * * Asia/Tokyo", 3)
    assert listed["yours"]["problem"] == "no task is registered as 'gone'"
    Row.objects.filter(name="mine").update(name="sums")
    command("resume-schedule", "sums")
    assert Row.objects.get(name="sums", in_settings=False).is_paused, "the settings have had the name"
    Row.objects.filter(name="sums", in_settings=False).update(name="mine")
    command("resume-schedule", "mine")
    assert not Row.objects.get(name="mine").is_paused
    assert exposed.schedule is None


def test_the_command_lists_whole_and_broken_entries(using: Any) -> None:
    using({"my sums": FIVE, "broken": {"task": ADD}})
    first, second = command("schedules").splitlines()

    assert first.startswith("my sums  every 0:05:00  next 20")
    assert first.endswith(f"  of {ADD}")
    assert second.startswith("broken   broken ")
    assert second.endswith("the key 'schedule' is missing")
    entries = json.loads(command("schedules", "--json"))
    assert [(entry["name"], entry["task"], entry["problem"]) for entry in entries] == [
        ("my sums", ADD, ""),
        ("broken", "", "the key 'schedule' is missing"),
    ]


def test_a_paused_entry_makes_no_job_until_it_is_resumed(clock: Clock, using: Any) -> None:
    duty = Schedules(using({"my sums": FIVE, "other": {**FIVE, "args": [3, 4]}}), clock)
    duty.tick()
    assert command("pause-schedule", "my sums") == "my sums is paused\n"
    assert "my sums  every 0:05:00  paused" in command("schedules")
    forward(duty, clock, 1, minutes=5)
    assert made() == [("12:05", [3, 4])]

    command("resume-schedule", "my sums")
    forward(duty, clock, 1, seconds=5)
    assert ("12:05", [1, 2]) in made()


def test_an_entry_is_run_now_by_its_name(using: Any) -> None:
    using({"my sums": {**FIVE, "queue": "bulk", "overlap": "skip"}})
    command("run-schedule", "my sums")
    command("run-schedule", "my sums")

    assert [(job.queue, list(job.arguments.values())) for job in Job.objects.all()] == [("bulk", [1, 2])] * 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("other", "no schedule 'other' in 'default'; known: sums, crowded"),
        ("sums", "the key 'schedule' is missing"),
        ("crowded", "priority"),
    ],
)
def test_the_commands_say_why_there_is_nothing_to_run(using: Any, name: str, message: str) -> None:
    using({"sums": {"task": ADD}, "crowded": {**FIVE, "priority": 300}})

    with pytest.raises(CommandError, match=message):
        command("run-schedule", name)


def test_those_who_ask_by_code_see_them_too(using: Any) -> None:
    (entry,) = timetables.overview(using({"sums": FIVE}))

    assert (entry.name, entry.task, entry.rule, entry.last, len(entry.coming)) == (
        "sums",
        ADD,
        "every 0:05:00",
        None,
        3,
    )


def test_the_migration_goes_back_and_keeps_all_other_schedules(clock: Clock, using: Any) -> None:
    Schedules(using({"sums": FIVE}), clock).tick()
    values = {"backend": "default", "task": ADD, "rule": "@daily", "last_slot": NOON}
    Row.objects.create(**values)
    Row.objects.create(**values, name="sums")
    try:
        MigrationExecutor(connections["default"]).migrate([("django_backie", "0008_schedule_rows")])
    finally:
        executor = MigrationExecutor(connections["default"])
        executor.migrate(executor.loader.graph.leaf_nodes())

    assert sorted(Row.objects.values_list("rule", "name", "in_settings")) == [
        ("@daily", "", False),
        ("@daily", "sums", False),
    ]
