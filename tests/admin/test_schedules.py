"""Schedules in the admin: those of the code to look at, those of people to write, for exposed tasks only."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.utils import timezone

from django_backie import compat, registry, schedule_rows, schedule_settings, task, timetables
from django_backie.models import Job, Schedule
from tests.app.exposed import hidden, report, tidy

from .support import text_of

SCHEDULES = "/admin/django_backie/schedule/"
ADD = f"{SCHEDULES}add/"
BLANK = {
    "backend": "default",
    "name": "nightly",
    "task": report.job_name,
    "rule": "0 3 * * *",
    "zone": "",
    "missed": "latest",
    "overlap": "allow",
    "jitter": "0.0",
    "args": '["eu"]',
    "kwargs": "{}",
    "queue": "",
    "priority": "",
}

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(autouse=True)
def own_redis(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep to a namespace of the test's own, and to a copy of the registry."""
    monkeypatch.setattr(registry, "_tasks", {**registry._tasks})


def write(name: str = "nightly", **values: Any) -> Schedule:
    wanted = {"task": report.job_name, "rule": "0 3 * * *", "args": ["eu"], **values}
    row: Schedule = schedule_rows.write(name, compat.get_backend("default"), **wanted)
    return row


def act(client: Any, action: str, *rows: Schedule) -> Any:
    data = {"action": action, "_selected_action": [row.pk for row in rows], "index": "0"}
    return client.post(SCHEDULES, data, follow=True)


def coded() -> Schedule:
    """Return the row of a schedule that stands in the code."""
    made = task(schedule="@daily")(tidy)
    row: Schedule = timetables.row_of(timetables.of_code(made, made.schedule), compat.get_backend("default"), 0.0)
    return row


def test_a_schedule_is_written_in_the_admin(root, caplog):
    with caplog.at_level(logging.INFO, "django_backie.admin"):
        text_of(root.post(ADD, BLANK, follow=True))

    row = Schedule.objects.get(name="nightly")
    assert (row.task, row.rule, row.args, row.kwargs) == (report.job_name, "0 3 * * *", ["eu"], {})
    assert "add of schedule nightly by root" in caplog.text
    assert LogEntry.objects.get().is_addition()


def test_a_schedule_may_have_a_queue_and_a_priority_of_its_own(root):
    text_of(root.post(ADD, {**BLANK, "queue": "mail", "priority": "7", "kwargs": '{"month": 2}'}, follow=True))
    act(root, "run_schedules", Schedule.objects.get())

    job = Job.objects.get()
    assert (job.queue, job.priority, job.arguments) == ("mail", 7, {"region": "eu", "month": 2})


def test_overlap_and_jitter_are_written_and_changed_and_do_not_begin_anew(root):
    text_of(root.post(ADD, {**BLANK, "overlap": "skip", "jitter": "30"}, follow=True))
    row = Schedule.objects.get()
    assert (row.overlap, row.jitter) == ("skip", 30.0)

    Schedule.objects.update(last_slot="2020-01-01T00:00Z")
    page = text_of(root.get(f"{SCHEDULES}{row.pk}/change/"))
    assert '<option value="skip" selected>' in page
    assert 'value="30.0"' in page
    root.post(f"{SCHEDULES}{row.pk}/change/", {**BLANK, "overlap": "queue", "jitter": "0.5"})
    row.refresh_from_db()
    assert (row.overlap, row.jitter, row.last_slot.year) == ("queue", 0.5, 2020)


def test_overlap_beside_an_option_of_the_same_kind_is_refused_in_the_form(root):
    alone = task(expose=True, unique=True)(tidy)
    response = root.post(ADD, {**BLANK, "task": alone.job_name, "args": "[]", "overlap": "skip"})

    assert "of the schedule and unique exclude each other" in text_of(response)
    assert not Schedule.objects.exists()


def test_the_list_tells_the_next_times_and_who_is_broken(root):
    write()
    write("interval", rule="every 5 minutes")
    Schedule.objects.filter(pk=write("lost").pk).update(task="gone.task")

    text = text_of(root.get(SCHEDULES))
    assert "03:00:00" in text or "3:00" in text
    # No line ends within a rule.
    assert "every\N{NO-BREAK SPACE}5\N{NO-BREAK SPACE}minutes" in text
    assert "broken: no task is registered as &#x27;gone.task&#x27;" in text


@pytest.mark.parametrize("page", [SCHEDULES, f"{SCHEDULES}{{pk}}/change/"], ids=["list", "page"])
def test_a_schedule_has_no_last_time_before_its_first(root, page):
    row = write()
    assert 'datetime="2020-01-01T03:00' not in text_of(root.get(page.format(pk=row.pk)))
    Schedule.objects.update(last_slot="2020-01-01T02:59:59Z")
    assert 'datetime="2020-01-01' not in text_of(root.get(page.format(pk=row.pk)))
    Schedule.objects.update(last_slot="2020-01-01T03:00Z")
    assert 'datetime="2020-01-01T03:00' in text_of(root.get(page.format(pk=row.pk)))


def test_the_page_of_a_schedule_of_the_code_tells_how_it_does_and_asks_for_nothing(root):
    row = Schedule.objects.create(backend="default", task="gone.task", rule="0 3 * * *", last_slot="2020-01-01T03:00Z")

    text = text_of(root.get(f"{SCHEDULES}{row.pk}/change/"))
    assert "broken: " in text
    assert 'datetime="2020-01-01T03:00' in text
    assert "Only tasks that their authors" not in text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("task", hidden.job_name, "Select a valid choice"),
        ("task", "gone.task", "Select a valid choice"),
        ("rule", "61 * * * *", "61"),
        ("rule", "every blue moon", "cannot be read"),
        ("zone", "Mars/Olympus", "Mars/Olympus"),
        ("args", '["eu", 1, 2, 3]', "too many"),
        ("args", '{"a": 1}', "arguments are a list"),
        ("kwargs", '{"planet": 1}', "planet"),
        ("args", "[", "Enter a valid JSON"),
        ("name", "", "required"),
        ("missed", "never", "Select a valid choice"),
        ("overlap", "wait", "Select a valid choice"),
        ("jitter", "-1", "greater than or equal to 0"),
        ("jitter", "1e12", "jitter is 1000000000000.0"),
        ("jitter", "", "required"),
        ("priority", "300", "300"),
    ],
)
def test_what_could_not_run_is_not_saved(root, field, value, words):
    response = root.post(ADD, {**BLANK, field: value})

    assert words in text_of(response)
    assert not Schedule.objects.exclude(name="").exists()


def test_a_name_is_given_once(root):
    write()
    assert "with this name already" in text_of(root.post(ADD, {**BLANK, "rule": "0 4 * * *"}))


def test_a_changed_rule_begins_anew_and_other_changes_do_not(root):
    row = write()
    Schedule.objects.filter(pk=row.pk).update(last_slot="2020-01-01T00:00Z")
    change = f"{SCHEDULES}{row.pk}/change/"

    root.post(change, {**BLANK, "args": '["us"]'})
    row.refresh_from_db()
    assert (row.args, row.last_slot.year) == (["us"], 2020)
    root.post(change, {**BLANK, "rule": "0 4 * * *"})
    row.refresh_from_db()
    assert (row.rule, row.last_slot.year > 2020) == ("0 4 * * *", True)


def test_schedules_are_paused_resumed_and_run(root):
    row, other = write(), coded()

    act(root, "pause_schedules", row, other)
    assert set(Schedule.objects.values_list("is_paused", flat=True)) == {True}
    act(root, "resume_schedules", row, other)
    assert set(Schedule.objects.values_list("is_paused", flat=True)) == {False}
    assert "2 jobs are made" in text_of(act(root, "run_schedules", row, other))
    assert sorted(Job.objects.values_list("task", flat=True)) == sorted([report.job_name, other.task])
    assert Job.objects.get(task=report.job_name).arguments == {"region": "eu"}


def test_who_is_broken_is_not_run_and_says_why(root):
    row = write()
    Schedule.objects.update(task="gone.task")

    assert "no task is registered as" in text_of(act(root, "run_schedules", row))
    assert not Job.objects.exists()


def test_what_stands_in_the_code_is_neither_changed_nor_deleted(root):
    row = coded()

    assert root.post(f"{SCHEDULES}{row.pk}/change/", BLANK).status_code == 403
    assert root.post(f"{SCHEDULES}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in text_of(root.get(SCHEDULES))


def test_a_row_is_deleted(root):
    row = write()
    root.post(f"{SCHEDULES}{row.pk}/delete/", {"post": "yes"})

    assert not Schedule.objects.exists()


@pytest.fixture
def in_settings(settings):
    """Return the row of a schedule that stands in the settings, and names a task that is not exposed."""
    entry = {"task": hidden.job_name, "schedule": "0 3 * * *", "args": ["secret"], "queue": "bulk", "overlap": "skip"}
    default = settings.TASKS["default"]
    changed = {**default, "OPTIONS": {**default["OPTIONS"], "SCHEDULES": {"nightly": entry}}}
    settings.TASKS = {**settings.TASKS, "default": changed}
    backend = compat.get_backend("default")
    return timetables.row_of(schedule_settings.plan_of("nightly", backend), backend, 0.0)


def test_a_schedule_of_the_settings_is_listed_paused_resumed_and_run(root, in_settings):
    text = text_of(root.get(SCHEDULES))
    assert "the settings" in text
    assert "active" in text
    assert ">nightly<" in text

    act(root, "pause_schedules", in_settings)
    assert Schedule.objects.get().is_paused
    act(root, "resume_schedules", in_settings)
    assert not Schedule.objects.get().is_paused
    act(root, "run_schedules", in_settings)
    (job,) = Job.objects.all()
    assert (job.task, job.queue, job.arguments) == (hidden.job_name, "bulk", {"region": "secret"})


def test_what_stands_in_the_settings_is_neither_changed_nor_deleted(root, in_settings):
    assert root.post(f"{SCHEDULES}{in_settings.pk}/change/", BLANK).status_code == 403
    assert root.post(f"{SCHEDULES}{in_settings.pk}/delete/", {"post": "yes"}).status_code == 403
    assert (Schedule.objects.get().task, Schedule.objects.get().in_settings) == (hidden.job_name, True)


def test_its_page_shows_what_the_row_knows(root, in_settings):
    text = text_of(root.get(f"{SCHEDULES}{in_settings.pk}/change/"))

    assert hidden.job_name in text
    assert "missed" not in text
    assert "secret" not in text


def test_one_that_was_taken_out_of_the_settings_is_broken_and_makes_nothing(root, in_settings, settings):
    default = settings.TASKS["default"]
    settings.TASKS = {**settings.TASKS, "default": {**default, "OPTIONS": {**default["OPTIONS"], "SCHEDULES": {}}}}

    assert "broken: The settings have no such schedule any more." in text_of(root.get(SCHEDULES))
    assert "no such schedule" in text_of(act(root, "run_schedules", in_settings))
    assert not Job.objects.exists()


def test_people_may_not_write_one_of_the_same_name(root, in_settings):
    assert "; choose another name" in text_of(root.post(ADD, BLANK, follow=True))
    assert Schedule.objects.get() == in_settings


def test_one_that_had_its_name_before_the_settings_may_be_changed_and_deleted(root, in_settings):
    row = Schedule.objects.create(
        backend="default", name="nightly", task=report.job_name, rule="0 3 * * *", last_slot=timezone.now()
    )
    root.post(f"{SCHEDULES}{row.pk}/change/", {**BLANK, "rule": "every 7 minutes"}, follow=True)
    row.refresh_from_db()
    assert row.rule == "every 7 minutes"

    root.post(f"{SCHEDULES}{row.pk}/delete/", {"post": "yes"})
    assert Schedule.objects.get() == in_settings


def test_each_right_stands_by_itself(client, django_user_model):
    row = write()
    user = django_user_model.objects.create_user("ann", is_staff=True)
    client.force_login(user)
    assert client.get(SCHEDULES).status_code == 403

    def may(codename: str) -> None:
        user.user_permissions.add(Permission.objects.get(codename=codename))

    may("view_schedule")
    assert client.get(SCHEDULES).status_code == 200
    assert client.post(ADD, BLANK).status_code == 403
    act(client, "pause_schedules", row)
    assert not Schedule.objects.get().is_paused
    may("run_schedule")
    act(client, "pause_schedules", row)
    assert Schedule.objects.get().is_paused
    assert client.post(f"{SCHEDULES}{row.pk}/change/", BLANK).status_code == 403
    assert client.post(f"{SCHEDULES}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    may("add_schedule")
    assert client.post(ADD, {**BLANK, "name": "another"}).status_code == 302


def test_nothing_happens_by_a_link(root):
    row = write()
    root.get(SCHEDULES, {"action": "pause_schedules", "_selected_action": row.pk})

    assert not Schedule.objects.get().is_paused


def test_what_people_write_is_text(root):
    evil = "<img src=x onerror=alert(1)>"
    row = write(evil, args=[evil])
    Schedule.objects.filter(pk=write("other").pk).update(task=evil, rule=evil, zone=evil)

    for address in (SCHEDULES, f"{SCHEDULES}{row.pk}/change/"):
        assert "<img src=x" not in root.get(address).content.decode()


def test_the_tasks_of_the_form_are_those_that_are_exposed(root):
    text = text_of(root.get(ADD))

    assert report.job_name in text
    assert hidden.job_name not in text
    assert registry.get(hidden.job_name)
