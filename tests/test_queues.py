"""What people do with queues: pause, resume, purge, move."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections, transaction

from django_backie import compat, control, pauses, queues, task_pauses
from django_backie import mirror as mirrors
from django_backie.base_backend import describe
from django_backie.broker import inspect
from django_backie.broker.redis import RedisBroker
from django_backie.broker.replies import Pause
from django_backie.core import codec, head
from django_backie.core.states import State
from django_backie.duties.reconcile import Reconcile
from django_backie.exceptions import BrokerUnavailable, InvalidOption
from django_backie.models import Job
from django_backie.models import Pause as Row
from tests.app.tasks import add, echo, fail
from tests.helpers import StandingClock, counted, drain, empty, lease, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

mail = add.using(queue_name="mail")


class Clock(StandingClock):
    """Stands a minute ahead: all rows are old enough."""

    def __init__(self) -> None:
        self.time = time.time() + 60


def ready(backend: Any) -> dict[str, int]:
    return inspect.ready_counts(backend.broker)


def set_aside(backend: Any, queue: str, count: int = 150) -> list[Any]:
    """Return jobs of a paused task that a worker has come across."""
    task_pauses.pause(add)
    jobs = add.using(queue_name=queue).delay_many([(number, 1) for number in range(count)])
    while lease(backend):
        pass
    return jobs


def away(*arguments: Any, **named: Any) -> Any:
    raise BrokerUnavailable("Redis is away")


# Pause and resume.


def test_a_paused_queue_waits_and_goes_on(backend: Any) -> None:
    result = mail.delay(1, 2)
    queues.pause("mail")
    drain(backend)
    assert ready(backend) == {"mail": 1}

    assert queues.resume("mail") is True
    drain(backend)
    result.refresh()
    assert result.return_value == 3


def test_a_burst_ends_beside_a_paused_queue_and_runs_the_others(backend: Any) -> None:
    for number in range(50):
        mail.delay(number, 1)
    queues.pause("mail")
    result = add.delay(1, 2)
    with counted() as counts:
        drain(backend)

    result.refresh()
    assert result.is_finished
    assert ready(backend)["mail"] == 50
    assert counts["EVALSHA"] + counts["PIPELINE"] < 15


def test_all_about_a_pause_is_told(backend: Any) -> None:
    until = datetime(2040, 1, 1, 12, tzinfo=UTC)
    queues.pause("mail", until=until, reason=" provider\nis down ", by="ann")

    (row,) = Row.objects.all()
    found = queues.paused()["mail"]
    assert (row.backend, row.queue, row.until) == ("default", "mail", until)
    assert (row.reason, row.by) == ("provider is down", "ann")
    assert found == Pause(row.since.timestamp(), until.timestamp(), "provider is down", "ann")


def test_a_second_pause_changes_all_but_its_beginning(backend: Any) -> None:
    queues.pause("mail", until=timedelta(hours=1), reason="why", by="ann")
    since = Row.objects.get().since
    queues.pause("mail", by="bob")

    row = Row.objects.get()
    assert (row.since, row.until, row.reason, row.by) == (since, None, "", "bob")
    assert queues.paused()["mail"].by == "bob"


def test_a_pause_that_was_over_begins_anew(backend: Any) -> None:
    queues.pause("mail", reason="old")
    Row.objects.update(since=datetime(2020, 1, 1, tzinfo=UTC), until=datetime(2020, 1, 2, tzinfo=UTC))
    queues.pause("mail")

    assert Row.objects.get().since.year > 2020


def test_what_is_not_paused_may_be_resumed(backend: Any) -> None:
    assert queues.resume("mail") is False
    queues.pause("mail")
    assert [queues.resume("mail"), queues.resume("mail")] == [True, False]


def test_each_backend_has_its_own(backend: Any) -> None:
    queues.pause("mail", backend="default")
    queues.pause("mail", backend="now")

    assert [Row.objects.get().backend, *queues.paused(backend="now")] == ["default", "mail"]
    queues.resume("mail", backend="now")
    assert [*queues.paused()] == ["mail"]


def test_without_a_job_table_it_is_kept_in_redis_alone(backend: Any) -> None:
    queues.pause("mail", reason="first", backend="now")
    since = queues.paused(backend="now")["mail"].since
    queues.pause("mail", reason="second", backend="now")

    assert queues.paused(backend="now") == {"mail": Pause(since, reason="second")}
    assert not Row.objects.exists()
    assert queues.resume("mail", backend="now") is True
    assert queues.resume("mail", backend="now") is False


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb", 5])
@pytest.mark.parametrize("action", [queues.pause, queues.resume, queues.purge])
def test_what_is_no_name_is_refused(backend: Any, action: Callable[..., Any], name: Any) -> None:
    with pytest.raises(InvalidOption, match="Queue name must be 1 to 100 printable characters"):
        action(name)


@pytest.mark.parametrize("until", [timedelta(0), timedelta(seconds=-1), datetime(2020, 1, 1, tzinfo=UTC)])
def test_an_end_in_the_past_is_refused(backend: Any, until: Any) -> None:
    with pytest.raises(InvalidOption, match="until must be in the future"):
        queues.pause("mail", until=until)


def test_a_backend_without_redis_has_no_queues(settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_backie.testing.ImmediateBackend"}}
    with pytest.raises(InvalidOption, match="default is ImmediateBackend, not a RedisBackend: it has no queues"):
        queues.pause("mail", backend="default")


# The row is the record.


def test_a_pause_survives_an_emptied_redis(backend: Any) -> None:
    mail.delay(1, 2)
    mirror(backend)
    queues.pause("mail", reason="why")
    before = queues.paused()
    empty(backend)
    Reconcile(backend, Clock()).tick()

    assert queues.paused() == before
    drain(backend)
    assert ready(backend) == {"mail": 1}


def test_pauses_are_restored_before_the_jobs(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mail.delay(1, 2)
    mirror(backend)
    queues.pause("mail")
    empty(backend)
    restore, given = RedisBroker.restore, []

    def restored(broker: RedisBroker, *arguments: Any, **named: Any) -> Any:
        answers = restore(broker, *arguments, **named)
        given.append(lease(backend))
        return answers

    monkeypatch.setattr(RedisBroker, "restore", restored)
    Reconcile(backend, Clock()).tick()

    assert given == [[]]


def test_it_begins_when_redis_is_back(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(RedisBroker, "pause", away)
        with pytest.raises(BrokerUnavailable):
            queues.pause("mail")
    assert queues.paused() == {}

    assert pauses.restore(backend) == 1
    assert [*queues.paused()] == ["mail"]
    assert pauses.restore(backend) == 0


def test_it_ends_when_redis_is_back(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    queues.pause("mail")
    with monkeypatch.context() as patch:
        patch.setattr(RedisBroker, "resume", away)
        with pytest.raises(BrokerUnavailable):
            queues.resume("mail")

    assert pauses.restore(backend) == 1
    assert queues.paused() == {}


def test_what_redis_has_of_an_older_time_is_put_right(backend: Any) -> None:
    queues.pause("mail", reason="new")
    backend.broker.pause("mail", Pause(1.0, reason="old"))

    assert pauses.restore(backend) == 1
    assert queues.paused()["mail"].reason == "new"


def test_a_pause_whose_time_has_come_is_not_restored_and_its_row_goes(backend: Any) -> None:
    queues.pause("mail", until=timedelta(hours=1))
    long_ago = datetime.now(UTC) - timedelta(seconds=pauses.KEPT + 1)
    Row.objects.update(until=long_ago + timedelta(seconds=10))
    empty(backend)
    assert pauses.restore(backend) == 0
    assert Row.objects.exists()

    Row.objects.update(until=long_ago)
    assert pauses.restore(backend) == 0
    assert not Row.objects.exists()


def test_who_resumes_while_it_is_restored_has_the_last_word(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    queues.pause("mail")
    empty(backend)
    look = pauses._pauses
    looks: list[int] = []

    def overtaken(*arguments: Any) -> Any:
        found = look(*arguments)
        looks.append(1)
        if len(looks) == 2:
            queues.resume("mail")
        return found

    monkeypatch.setattr(pauses, "_pauses", overtaken)
    pauses.restore(backend)

    assert queues.paused() == {}


def test_who_pauses_anew_while_a_stray_is_removed_has_the_last_word(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.broker.pause("mail", Pause(1.0))
    resume = RedisBroker.resume

    def overtaken(broker: RedisBroker, queue: str) -> bool:
        queues.pause("mail", reason="anew")
        return resume(broker, queue)

    monkeypatch.setattr(RedisBroker, "resume", overtaken)
    pauses.restore(backend)

    assert queues.paused()["mail"].reason == "anew"


def test_once_a_minute_it_is_looked_for_what_went_wrong(backend: Any) -> None:
    clock = Clock()
    duty = Reconcile(backend, clock)
    duty.tick()
    duty.tick()
    queues.pause("mail")
    backend.broker.resume("mail")
    duty.tick()
    assert queues.paused() == {}

    clock.time += 61
    duty.tick()
    assert [*queues.paused()] == ["mail"]


def test_a_server_is_not_trusted_while_nobody_knows_what_is_paused(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*arguments: Any) -> None:
        raise OperationalError("the database is down")

    with monkeypatch.context() as patch:
        patch.setattr(pauses, "_rows", down)
        Reconcile(backend, Clock()).tick()
    assert backend.broker.client.get(backend.broker.keys["epoch"]) is None

    Reconcile(backend, Clock()).tick()
    assert backend.broker.client.get(backend.broker.keys["epoch"]) is not None


def test_a_transaction_that_is_rolled_back_has_paused_nothing(backend: Any) -> None:
    def try_it() -> None:
        with transaction.atomic():
            queues.pause("mail")
            assert queues.paused() == {}
            raise LookupError

    with pytest.raises(LookupError):
        try_it()
    assert (queues.paused(), Row.objects.count()) == ({}, 0)

    with transaction.atomic():
        queues.pause("mail")
    assert [*queues.paused()] == ["mail"]
    with transaction.atomic():
        assert queues.resume("mail") is True
        assert [*queues.paused()] == ["mail"]
    assert queues.paused() == {}


# Purge.


def test_a_purge_cancels_what_is_ready_and_nothing_else(backend: Any) -> None:
    waiting = [mail.delay(number, 1) for number in range(3)]
    other, later = add.delay(1, 2), mail.using(run_after=timedelta(hours=1)).delay(1, 2)

    assert queues.purge("mail", reason="too late") == 3
    assert {(row.state, row.reason) for row in Job.objects.filter(pk__in=[job.id for job in waiting])} == {
        (State.CANCELLED, "too late")
    }
    assert ready(backend) == {"default": 1, "mail": 0}
    assert [Job.objects.get(pk=job.id).state for job in (other, later)] == [State.READY, State.SCHEDULED]


def test_a_purge_leaves_running_jobs_alone(backend: Any) -> None:
    mail.delay(1, 2)
    lease(backend)
    mail.delay(3, 4)

    assert queues.purge("mail") == 1
    mirror(backend)
    assert sorted(Job.objects.values_list("state", "reason")) == [(State.CANCELLED, "purged"), (State.RUNNING, "")]


def test_a_purge_goes_page_by_page(backend: Any) -> None:
    add.using(queue_name="mail").delay_many([(number, 1) for number in range(250)])

    assert queues.purge("mail") == 250
    assert queues.purge("mail") == 0
    assert set(Job.objects.values_list("state", flat=True)) == {State.CANCELLED}


def test_a_purge_cancels_what_is_set_aside_too(backend: Any) -> None:
    jobs = set_aside(backend, "mail")
    (other,) = set_aside(backend, "default", count=1)

    assert queues.purge("mail") == len(jobs)
    assert {job.id for job in jobs} == {
        str(pk) for pk in Job.objects.filter(state=State.CANCELLED).values_list("pk", flat=True)
    }
    assert (inspect.parked(backend.broker), inspect.waits_for(backend.broker, other.id)) == (1, inspect.Waiting("task"))


def test_a_queue_whose_name_ends_like_another_keeps_what_is_set_aside(backend: Any) -> None:
    set_aside(backend, "1|mail", count=1)

    assert (queues.purge("mail"), queues.move("mail", "bulk")) == (0, queues.Move())
    assert inspect.parked(backend.broker) == 1


def test_a_purge_survives_an_emptied_redis(backend: Any) -> None:
    mail.delay(1, 2)
    queues.purge("mail")
    empty(backend)
    Reconcile(backend, Clock()).tick()

    assert ready(backend) == {}


def test_a_purge_needs_no_job_table(backend: Any) -> None:
    mail.using(backend="now", durability="now").delay(1, 2)

    assert queues.purge("mail", backend="now") == 1


def test_a_job_that_is_erased_meanwhile_leaves_no_row(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = mail.delay(1, 2)
    inspected = RedisBroker.inspect

    def overtaken(broker: RedisBroker, ids: Any) -> Any:
        found = inspected(broker, ids)
        if ids == [job.id] and found:
            control.erase([job.id])
        return found

    monkeypatch.setattr(RedisBroker, "inspect", overtaken)
    queues.purge("mail")

    assert not Job.objects.exists()


# Move.


def test_moved_jobs_run_in_the_other_queue(backend: Any) -> None:
    results = [mail.delay(number, 1) for number in range(3)]
    stays = add.delay(0, 0)

    assert queues.move("mail", "bulk") == queues.Move(3, 0)
    assert ready(backend) == {"bulk": 3, "default": 1, "mail": 0}
    assert set(Job.objects.exclude(pk=stays.id).values_list("queue", flat=True)) == {"bulk"}

    drain(backend, queues=("bulk",))
    mirror(backend)
    for number, result in enumerate(results):
        result.refresh()
        assert result.return_value == number + 1


def test_what_is_set_aside_moves_and_waits_in_the_other_queue(backend: Any) -> None:
    jobs = set_aside(backend, "mail")

    assert queues.move("mail", "bulk") == queues.Move(len(jobs), 0)
    assert (ready(backend)["bulk"], inspect.parked(backend.broker)) == (len(jobs), 0)
    assert set(Job.objects.values_list("queue", flat=True)) == {"bulk"}

    drain(backend, queues=("bulk",))
    assert inspect.parked(backend.broker) == len(jobs)
    task_pauses.resume(add)
    drain(backend, queues=("bulk",))
    for job in jobs:
        job.refresh()
    assert {job.status for job in jobs} == {"SUCCESSFUL"}


def test_what_is_set_aside_and_cannot_be_read_is_counted_once(backend: Any) -> None:
    for job in set_aside(backend, "mail", count=2):
        body = backend.broker.inspect([job.id])[job.id].body
        backend.broker.client.hset(backend.broker.keys["b"], job.id, body.replace(",1]", ",9]"))

    assert queues.move("mail", "bulk") == queues.Move(0, 2)
    assert inspect.parked(backend.broker) == 2


def test_the_signature_of_a_moved_job_is_good(backend: Any) -> None:
    result = mail.delay(1, 2)
    queues.move("mail", "bulk")

    body = backend.broker.inspect([result.id])[result.id].body
    assert backend.unpack(result.id, body).queue == "bulk"
    assert Job.objects.get().body == body


def test_what_only_a_later_release_understands_is_kept(backend: Any) -> None:
    result = mail.delay(1, 2)
    entry = backend.broker.inspect([result.id])[result.id].body.split("\n", 4)
    envelope = entry[4].replace('"c":', '"future":[1,2],"c":')
    sign = backend.signer.sign(codec._signed(result.id, "mail", entry[2], envelope))
    backend.broker.client.hset(backend.broker.keys["b"], result.id, "\n".join([*entry[:3], sign, envelope]))
    queues.move("mail", "bulk")

    body = backend.broker.inspect([result.id])[result.id].body
    assert '"future":[1,2]' in body
    assert backend.unpack(result.id, body).queue == "bulk"


def test_a_moved_job_comes_back_to_the_other_queue_from_its_row(backend: Any) -> None:
    mail.delay(1, 2)
    mirror(backend)
    queues.move("mail", "bulk")
    empty(backend)
    Reconcile(backend, Clock()).tick()

    assert ready(backend) == {"bulk": 1}


def test_a_moved_job_is_retried_in_the_other_queue(backend: Any) -> None:
    result = fail.using(queue_name="mail", backoff=3600.0, max_attempts=2).delay()
    queues.move("mail", "bulk")
    drain(backend)
    mirror(backend)
    assert control.run_now([result.id]).done == (result.id,)

    assert ready(backend) == {"bulk": 1, "mail": 0}


def test_a_move_goes_page_by_page_and_keeps_the_order(backend: Any) -> None:
    results = mail.delay_many([(number, 1) for number in range(250)])
    add.using(queue_name="bulk", priority=-1).delay(0, 0)
    assert queues.move("mail", "bulk").moved == 250

    pages = [job_id for page in inspect.ready_pages(backend.broker, "bulk") for job_id in page]
    assert pages[:250] == [result.id for result in results]
    assert Job.objects.filter(queue="bulk").count() == 251


def test_a_move_back_is_a_move_like_any_other(backend: Any) -> None:
    results = [mail.delay(number, 1) for number in range(3)]
    queues.move("mail", "bulk")
    queues.move("bulk", "mail")

    assert [job.id for job in lease(backend)] == [result.id for result in results]
    assert set(Job.objects.values_list("queue", flat=True)) == {"mail"}


def test_a_job_of_another_database_takes_its_row_along(backend: Any) -> None:
    mail.using(database="other").delay(1, 2)
    queues.move("mail", "bulk")

    assert Job.objects.using("other").get().queue == "bulk"


def test_a_job_whose_row_is_still_to_come_gets_the_new_one(backend: Any) -> None:
    mail.using(durability="now").delay(1, 2)
    before = backend.broker.take(1)
    assert queues.move("mail", "bulk").moved == 1
    # A mirror that had looked before the move comes late.
    mirrors.write(before, ["default"], backend.unpack, lambda job: describe(job, backend.config), "default")
    mirror(backend)

    row = Job.objects.get()
    assert (row.queue, head.place(row.body)) == ("bulk", ("bulk", 0))


def test_a_job_that_nobody_can_read_stays(backend: Any) -> None:
    unreadable, readable = mail.delay(1, 2), mail.delay(3, 4)
    body = backend.broker.inspect([unreadable.id])[unreadable.id].body
    backend.broker.client.hset(backend.broker.keys["b"], unreadable.id, body.replace("[1,2]", "[1,9]"))

    assert queues.move("mail", "bulk") == queues.Move(1, 1)
    assert [*inspect.ready_pages(backend.broker, "mail")] == [[unreadable.id]]
    assert Job.objects.get(pk=readable.id).queue == "bulk"


def test_nothing_is_moved_while_a_database_is_down(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mail.delay(1, 2)

    def down(*arguments: Any, **named: Any) -> None:
        raise OperationalError("the database is down")

    monkeypatch.setattr(connections["other"].ops, "quote_name", down)
    with pytest.raises(OperationalError):
        queues.move("mail", "bulk")

    assert ready(backend) == {"mail": 1}
    assert Job.objects.get().queue == "mail"


def test_nothing_is_moved_where_it_is(backend: Any) -> None:
    with pytest.raises(InvalidOption, match="jobs are moved to another queue, not from 'mail' to 'mail'"):
        queues.move("mail", "mail")


def test_a_move_needs_no_job_table(backend: Any) -> None:
    mail.using(backend="now", durability="now").delay(1, 2)

    assert queues.move("mail", "bulk", backend="now").moved == 1
    assert ready(compat.get_backend("now")) == {"bulk": 1, "mail": 0}


# The commands.


def shown(*arguments: str) -> str:
    """Return what a command of ours says."""
    output = StringIO()
    call_command("backie", *arguments, stdout=output)
    return output.getvalue()


def test_the_commands_pause_and_resume(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    mail.delay(1, 2)
    assert shown("pause", "mail", "--reason", "provider is down", "--for", "10m") == "mail is paused\n"
    (found,) = queues.paused().values()
    assert (found.reason, found.by, found.until - found.since) == ("provider is down", "ann", pytest.approx(600, abs=1))

    assert shown("resume", "mail") == "mail goes on\n"
    assert shown("resume", "mail") == "mail was not paused\n"


def test_a_user_without_a_name_may_pause(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise OSError("no such user")

    monkeypatch.setattr("getpass.getuser", nameless)
    shown("pause", "mail")

    assert queues.paused()["mail"].by == ""


def test_a_queue_that_nobody_knows_is_told_of(backend: Any) -> None:
    mail.delay(1, 2)

    assert shown("pause", "mial").splitlines() == [
        "mial is paused",
        "no task names the queue 'mial', and no job has come into it, did you mean 'mail'?",
    ]


@pytest.mark.parametrize("duration", ["10", "0m", "m", "-1h", "1.5h", "1w"])
def test_what_is_no_duration_is_refused(backend: Any, duration: str) -> None:
    with pytest.raises(CommandError, match="is not a duration, such as 90s, 10m, 2h or 1d"):
        shown("pause", "mail", f"--for={duration}")


def test_stats_show_what_is_paused(backend: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mail.delay(1, 2)
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    shown("pause", "mail", "--reason", "provider is down", "--for", "1h")
    shown("pause", "bulk")

    bulk, line, *_ = shown("stats").splitlines()
    assert bulk.startswith("bulk" + " " * 37 + "0 ready  paused since ")
    assert " until 2" in line
    assert line.startswith("mail" + " " * 37 + "1 ready  paused since ")
    assert line.endswith(" by ann: provider is down")
    found = json.loads(shown("stats", "--json"))["paused"]
    assert (found["mail"]["reason"], found["mail"]["by"], found["bulk"]["until"]) == ("provider is down", "ann", None)


def test_the_command_purges_what_is_confirmed(backend: Any) -> None:
    mail.delay(1, 2)
    with pytest.raises(CommandError, match="nothing was cancelled; add --yes where nobody can be asked"):
        shown("purge", "mail")
    assert ready(backend) == {"mail": 1}

    assert shown("purge", "mail", "--yes", "--reason", "why").splitlines() == [
        "1 job(s) to cancel in mail",
        "1 job(s) cancelled",
    ]
    assert Job.objects.get().reason == "why"
    assert shown("purge", "mail") == "0 job(s) to cancel in mail\n"


def test_the_command_purges_what_is_set_aside(backend: Any) -> None:
    set_aside(backend, "mail")

    assert shown("purge", "mail", "--yes") == "150 job(s) to cancel in mail\n150 job(s) cancelled\n"


def test_the_command_moves_and_tells_what_stays(backend: Any) -> None:
    results = [mail.delay(number, 1) for number in range(3)]
    assert shown("move", "mail", "bulk") == "3 job(s) moved to bulk\n"

    backend.broker.client.hset(backend.broker.keys["b"], results[0].id, "1\nbulk\n0\nx\n{}")
    with pytest.raises(CommandError, match=r"1 job\(s\) stay in bulk: they cannot be read"):
        shown("move", "bulk", "mail")
    assert ready(backend) == {"bulk": 1, "mail": 2}


def test_the_commands_serve_another_backend(backend: Any) -> None:
    shown("--backend", "now", "pause", "mail")

    assert ([*queues.paused(backend="now")], queues.paused()) == (["mail"], {})
    echo.delay()
    drain(backend)
