"""Copy job states from Redis into the job table."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from django_backie import mirror, outbox, upsert
from django_backie.broker.replies import Snapshot
from django_backie.cleansing import STARS, cleanse
from django_backie.core import codec
from django_backie.core.job import Job
from django_backie.core.options import Options
from django_backie.core.states import State
from django_backie.models import Attempt
from django_backie.models import Job as JobRow
from django_backie.outbox import Entry
from django_backie.rows import Reader

from .rows import CREATED, SIGNER, body_of, make_job, note, row, row_of, snapshot_of, unpack

pytestmark = pytest.mark.django_db(databases=["default", "other"])

BOTH = ("default", "other")
ROUTE = "change"


@pytest.fixture(params=["change", "insert"], autouse=True)
def route(request: pytest.FixtureRequest) -> str:
    """Write rows by either statement: the one that inserts meets rows that are there, whoever was faster to insert."""
    global ROUTE  # noqa: PLW0603
    ROUTE = str(request.param)
    return ROUTE


def describe(job: Job) -> dict[str, Any]:
    return cleanse({**job.kwargs, "args": job.args})


def write(*snapshots: Snapshot, databases: Sequence[str] = BOTH) -> frozenset[str]:
    return mirror.write(snapshots, databases, unpack, describe, "default", are_new=ROUTE == "insert").failed


def time_of(seconds: float) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=round(seconds * 1000))


def life(job: Job) -> list[Snapshot]:
    """Return the snapshots of a job that fails once and then succeeds."""
    first, second = note(1, r=CREATED + 10), note(2, "succeeded", v="42")
    at = {"first_started": CREATED + 1}
    return [
        snapshot_of(job, 1),
        snapshot_of(job, 2, State.RUNNING, attempt=1, worker="w1", started=CREATED + 1, **at),
        snapshot_of(job, 3, State.RETRYABLE, attempt=1, worker="w1", due=CREATED + 10, attempts=(first,), **at),
        snapshot_of(job, 4, State.RUNNING, attempt=2, worker="w2", started=CREATED + 10, attempts=(first,), **at),
        snapshot_of(
            job,
            5,
            State.SUCCESSFUL,
            attempt=2,
            worker="w2",
            finished=CREATED + 11,
            attempts=(first, second),
            **at,
        ),
    ]


def seen(job: Job) -> tuple[Any, ...]:
    """Return everything that the table says of a job."""
    found = JobRow.objects.filter(pk=job.id).values().get()
    attempts = Attempt.objects.filter(job_id=job.id).order_by("number").values_list("number", "outcome", "retry_at")
    return found, list(attempts)


def test_a_new_job_becomes_a_row() -> None:
    job = make_job(
        queue="mail", priority=7, args=[1], kwargs={"to": "ä"}, options=Options(max_attempts=9), backend="now",
        run_after=CREATED + 60,
    )  # fmt: skip
    write(snapshot_of(job, 5, State.SCHEDULED, due=CREATED + 60))

    found = row_of(job)

    assert (found.task, found.queue, found.priority, found.backend) == (
        "tests.app.tasks.add",
        "mail",
        7,
        "now",
    )
    assert (found.state, found.version, found.max_attempts) == ("SCHEDULED", 5, 9)
    assert found.arguments == {"to": "ä", "args": [1]}
    assert found.body == body_of(job)
    assert (found.enqueued_at, found.run_after) == (time_of(CREATED), time_of(CREATED + 60))


def test_a_row_of_the_outbox_is_taken_over() -> None:
    job = make_job()
    row(job, arguments={"a": 1}, max_attempts=5)
    write(snapshot_of(job, 1, State.RUNNING, attempt=1, worker="w1"))

    found = row_of(job)

    assert (found.state, found.version, found.worker, found.arguments) == ("RUNNING", 1, "w1", {"a": 1})


def test_an_ended_job_shows_how_it_ended() -> None:
    job = make_job()
    write(life(job)[-1])

    found = row_of(job)

    assert (found.state, found.attempt, found.worker, found.result) == ("SUCCESSFUL", 2, "w2", "42")
    # By the worker's clock, as the attempt beside it shows.
    assert (found.started_at, found.finished_at) == (time_of(CREATED + 1), time_of(CREATED + 2.5))
    assert (found.error_class, found.error_message) == ("", "")


def test_a_failed_job_shows_its_last_error() -> None:
    job = make_job()
    last = note(2, c="shop.errors.Declined", m="card declined")
    write(snapshot_of(job, 1, State.FAILED, attempt=2, crashes=1, attempts=(note(1), last)))

    found = row_of(job)

    assert (found.error_class, found.error_message, found.crashes) == (
        "shop.errors.Declined",
        "card declined",
        1,
    )


def test_a_retry_that_is_due_later_shows_when() -> None:
    job = make_job()
    write(snapshot_of(job, 1, State.RETRYABLE, due=CREATED + 99, attempts=(note(),)))

    assert row_of(job).run_after == time_of(CREATED + 99)


@pytest.mark.parametrize("order", list(itertools.permutations(range(5))), ids=lambda order: "".join(map(str, order)))
def test_snapshots_may_come_in_any_order_one_by_one(order: tuple[int, ...]) -> None:
    job, straight = make_job(), make_job()
    for snapshot in life(straight):
        write(snapshot)
    for at in order:
        write(life(job)[at])

    (found, attempts), (expected, expected_attempts) = seen(job), seen(straight)
    same = {"id": None, "body": None}
    assert {**found, **same} == {**expected, **same}
    assert attempts == expected_attempts


def test_a_late_snapshot_changes_nothing() -> None:
    job = make_job()
    for snapshot in life(job):
        write(snapshot)
    before = seen(job)

    for snapshot in life(job):
        write(snapshot)

    assert seen(job) == before


def test_the_same_version_is_not_written_twice() -> None:
    job = make_job()
    write(snapshot_of(job, 7, State.RUNNING))
    write(snapshot_of(job, 7, State.FAILED))

    assert row_of(job).state == "RUNNING"


def test_an_attempt_is_written_once() -> None:
    job = make_job()
    first = note(1)
    for version in (3, 4, 4, 2):
        write(snapshot_of(job, version, State.RETRYABLE, attempts=(first,)))

    assert [attempt.number for attempt in row_of(job).attempts.all()] == [1]


def test_an_attempt_is_written_with_everything_that_is_known() -> None:
    job = make_job()
    write(snapshot_of(job, 1, State.RETRYABLE, attempts=(note(1, r=CREATED + 30),)))

    (attempt,) = row_of(job).attempts.all()

    assert (attempt.number, attempt.worker, attempt.outcome) == (1, "w1", "failed")
    assert (attempt.started_at, attempt.finished_at) == (time_of(CREATED + 1), time_of(CREATED + 1.5))
    assert attempt.retry_at == time_of(CREATED + 30)
    assert (attempt.error_class, attempt.error_message) == ("builtins.ValueError", "boom")
    assert attempt.traceback == "Traceback ..."


def test_an_attempt_of_which_redis_knows_nothing_any_more_leaves_no_trace() -> None:
    """A snapshot from before the loss comes late: the job was brought back and will run again."""
    job = make_job()
    row(job, state="READY", version=999)
    write(snapshot_of(job, 5, State.SUCCESSFUL, attempts=(note(1, "succeeded", v="1"),)))

    assert (row_of(job).state, row_of(job).attempts.count()) == ("READY", 0)


def test_a_job_that_has_succeeded_stays_so_whatever_a_server_tells_that_has_lost_its_end() -> None:
    job = make_job()
    write(snapshot_of(job, 5, State.SUCCESSFUL, attempts=(note(1, "succeeded", v="1"),)))
    write(snapshot_of(job, 6, State.RUNNING), snapshot_of(make_job(), 6))
    write(snapshot_of(job, 7, State.SUCCESSFUL, attempts=(note(3, "succeeded", v="2"),)))

    found = row_of(job)
    assert (found.state, found.version, found.result) == ("SUCCESSFUL", 5, "1")
    assert [attempt.number for attempt in found.attempts.all()] == [1]


def test_the_first_success_that_redis_tells_completes_what_an_atomic_attempt_has_settled() -> None:
    job = make_job()
    row(job, state="SUCCESSFUL", settled=True, result="1", version=3)
    lost = note(1, "lost")
    write(snapshot_of(job, 5, State.READY, crashes=1, attempts=(lost,)))
    assert (row_of(job).state, row_of(job).settled, row_of(job).crashes) == ("SUCCESSFUL", True, 1)

    write(snapshot_of(job, 6, State.SUCCESSFUL, crashes=1, attempts=(lost, note(2, "succeeded", v="1"))))
    assert (row_of(job).state, row_of(job).settled, row_of(job).result) == ("SUCCESSFUL", False, "1")
    assert row_of(job).attempts.count() == 2

    write(snapshot_of(job, 7, State.SUCCESSFUL, attempts=(note(5, "succeeded", v="1"),)))
    assert row_of(job).attempts.count() == 2


def test_rows_that_are_newer_than_their_snapshots_are_told() -> None:
    behind, same, new = make_job(), make_job(database="other"), make_job()
    row(behind, version=999)
    row(same, "other", version=5)
    found = mirror.write(
        [snapshot_of(job, 5, State.RUNNING) for job in (behind, same, new)], BOTH, unpack, describe, "default"
    )

    assert found == mirror.Written(behind={behind.id: 999})


def test_two_lost_attempts_of_one_number_are_both_kept() -> None:
    job = make_job()
    lost = [note(1, "lost", s=CREATED + at, e=CREATED + at + 1) for at in (1, 5)]
    write(snapshot_of(job, 1, State.RETRYABLE, crashes=2, attempts=tuple(lost)))

    assert row_of(job).attempts.count() == 2


def test_arguments_are_written_once_and_never_changed_by_a_later_state() -> None:
    job = make_job(kwargs={"a": 1})
    write(snapshot_of(job, 1))
    mirror.write([snapshot_of(job, 2, State.RUNNING)], BOTH, unpack, lambda job: {"other": True}, "default")

    assert row_of(job).arguments == {"a": 1, "args": []}


@pytest.mark.parametrize(
    ("state", "kept"),
    [(State.SUCCESSFUL, False), (State.FAILED, True), (State.CANCELLED, True), (State.RUNNING, True)],
)
def test_the_body_of_a_success_is_not_kept_where_it_holds_a_secret(state: State, kept: bool) -> None:
    job = make_job(kwargs={"password": "hunter2"})
    write(snapshot_of(job, 1), snapshot_of(make_job(), 1))
    write(snapshot_of(job, 2, state, attempts=(note(1, "succeeded", v="1"),)))

    found = row_of(job)

    assert bool(found.body) is kept
    assert found.arguments["password"] == STARS


def test_a_body_that_cannot_be_read_becomes_a_row_without_a_name() -> None:
    job = make_job(queue="mail", priority=3)
    body = body_of(job)[:-1] + "?"
    write(snapshot_of(job, 1_700_000_000_000, State.BLOCKED, body=body, reason="bad signature"))

    found = row_of(job)

    assert (found.task, found.queue, found.priority) == ("?", "mail", 3)
    assert (found.state, found.reason, found.body) == ("BLOCKED", "bad signature", body)
    assert found.enqueued_at == time_of(1_700_000_000)


@pytest.mark.parametrize("body", ["not a body", "1\nmail\nsoon\nsignature\n{}", "\n\n\n\n"])
def test_one_damaged_body_does_not_keep_the_others_from_the_table(body: str) -> None:
    damaged, job = make_job(), make_job()
    write(snapshot_of(damaged, 1_700_000_000_000, State.BLOCKED, body=body), snapshot_of(job, 1))

    assert row_of(job).version == 1


def test_a_job_without_a_body_is_passed_over() -> None:
    job = make_job()
    write(snapshot_of(job, 1, body=""))

    assert not JobRow.objects.filter(pk=job.id).exists()


def test_each_job_goes_to_its_own_database() -> None:
    here, there = make_job(), make_job(database="other")
    write(
        snapshot_of(here, 1, State.FAILED, attempts=(note(),)),
        snapshot_of(there, 1, State.FAILED, attempts=(note(),)),
    )

    assert row_of(here).attempts.count() == 1
    assert row_of(there, "other").attempts.count() == 1
    assert [JobRow.objects.using(alias).count() for alias in BOTH] == [1, 1]


def test_a_job_of_a_database_without_a_job_table_goes_to_the_first() -> None:
    job = make_job(database="gone")
    write(snapshot_of(job, 1), databases=["other"])

    assert row_of(job, "other").version == 1


def test_texts_longer_than_their_columns_are_cut() -> None:
    job = make_job(task="t" * 300)
    error = note(1, c="c" * 300, m="m" * 900)
    write(snapshot_of(job, 1, State.FAILED, worker="w" * 200, reason="r" * 300, attempts=({**error, "w": "w" * 200},)))

    found = row_of(job)

    assert [len(text) for text in (found.task, found.worker, found.reason)] == [200, 100, 200]
    assert [len(text) for text in (found.error_class, found.error_message)] == [200, 500]


def test_a_job_that_was_recovered_gives_no_reason() -> None:
    job = make_job()
    write(snapshot_of(job, 1, reason="recovered"))

    assert row_of(job).reason == ""


def test_many_new_jobs_are_written_by_few_queries(django_assert_max_num_queries: Any) -> None:
    snapshots = [snapshot_of(make_job(), 1, State.RETRYABLE, attempts=(note(),)) for _ in range(500)]

    with django_assert_max_num_queries(12):
        write(*snapshots)

    assert JobRow.objects.count() == Attempt.objects.count() == 500


def unused(*_: Any) -> Any:
    raise AssertionError("the row has it all")


@pytest.mark.skipif(connection.vendor == "mysql", reason="its only statement for many rows inserts them")
@pytest.mark.parametrize("route", ["change"], indirect=True)
def test_jobs_that_have_rows_are_written_by_two_statements_and_no_body_is_opened() -> None:
    made = [make_job() for _ in range(500)]
    outbox.write([Entry(job, codec.pack(job, SIGNER, 1000), {}) for job in made], "default")
    ended = [snapshot_of(job, 5, State.SUCCESSFUL, attempts=(note(1, "succeeded", v="1"),)) for job in made]

    with CaptureQueriesContext(connection) as captured:
        written = mirror.write(ended, BOTH, unused, unused, "default")

    around = ("SAVEPOINT", "RELEASE", "SET LOCAL")
    assert len([query for query in captured if not query["sql"].startswith(around)]) == 2
    assert len(captured) <= 5
    assert written == mirror.Written()
    assert JobRow.objects.filter(state="SUCCESSFUL", version=5).count() == Attempt.objects.count() == 500


def test_a_job_whose_time_has_come_shows_when_that_was_and_not_when_it_was_retried() -> None:
    job = make_job(run_after=CREATED + 60)
    row(job)
    write(snapshot_of(job, 1, State.RETRYABLE, due=CREATED + 99, attempts=(note(),)))
    assert row_of(job).run_after == time_of(CREATED + 99)

    write(snapshot_of(job, 2, State.RUNNING, attempts=(note(),)))
    assert row_of(job).run_after == time_of(CREATED + 60)


def test_a_row_keeps_the_body_that_it_came_with() -> None:
    job = make_job()
    row(job)
    write(snapshot_of(job, 1, State.BLOCKED, body=body_of(job).replace("default", "paid", 1), reason="bad signature"))

    assert (row_of(job).state, row_of(job).body) == ("BLOCKED", body_of(job))


def test_a_job_that_was_brought_back_from_its_row_keeps_the_time_when_it_first_began() -> None:
    job = make_job()
    row(job, version=5, started_at=time_of(CREATED + 1))
    write(snapshot_of(job, 6, State.READY))

    assert row_of(job).started_at == time_of(CREATED + 1)


def test_what_is_too_large_for_one_statement_is_written_by_several(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    insert = upsert.insert

    def noted(rows: Sequence[Any], alias: str) -> int | None:
        sizes.append(len(rows))
        return insert(rows, alias)

    monkeypatch.setattr(upsert, "insert", noted)
    monkeypatch.setattr(mirror, "LARGEST_CHUNK", 10_000)
    long = {"t": "x" * 4000}
    assert write(*(snapshot_of(make_job(), 1, State.FAILED, attempts=(note() | long,)) for _ in range(5))) == set()

    assert sizes == [2, 2, 1]
    assert Attempt.objects.count() == 5


def test_rows_are_written_in_the_order_of_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    insert = upsert.insert

    def noted(rows: Sequence[Any], alias: str) -> int | None:
        given.append([row["id"] for row in rows])
        return insert(rows, alias)

    monkeypatch.setattr(upsert, "insert", noted)
    made = sorted((make_job() for _ in range(20)), key=lambda job: job.id)
    write(*(snapshot_of(job, 1) for job in reversed(made)))

    assert given == [sorted(given[0])]


LIKE_ENVELOPES = (
    {"d": "other", "r": 1},
    {"text": '"c":1,"d":"other","r":1}'},
    {'"c":1,"d":"other"': [{"c": 1, "d": "other"}]},
    {"c": 1, "d": "other", "b": {"d": "other"}},
)


@pytest.mark.parametrize("arguments", LIKE_ENVELOPES, ids=str)
@pytest.mark.parametrize("database", BOTH)
@pytest.mark.parametrize("run_after", [None, CREATED + 60.007])
def test_what_stands_in_arguments_is_not_taken_for_the_job_s_own(
    arguments: dict[str, Any], database: str, run_after: float | None
) -> None:
    options = Options(max_attempts=9, backoff=(1.5, 2), timeout=None, atomic=True)
    values = {"database": database, "run_after": run_after, "task": 'a"c":1,"d":"other"', "backend": '","d":"other'}
    job = make_job(args=[arguments], kwargs=arguments, options=options, **values)
    plain = make_job(args=[arguments], kwargs=arguments, database=database, run_after=run_after)
    reader = Reader(unpack, describe, "default")

    for one in (job, plain):
        found = snapshot_of(one, 1)
        assert reader.database(found) == database
        assert reader.run_after(found) == (None if run_after is None else pytest.approx(run_after))


@pytest.mark.parametrize("has_rows", [True, False])
@pytest.mark.parametrize(
    "wrong",
    [{"n": "first"}, {"s": "yesterday"}, {"e": [1]}, {"s": 1e15}, {"w": None, "n": None}],
    ids=str,
)
def test_a_value_that_cannot_be_written_keeps_no_other_job_from_the_table(
    wrong: dict[str, Any], has_rows: bool
) -> None:
    made = [make_job() for _ in range(5)]
    if has_rows:
        for job in made:
            row(job)
    notes = [note() | (wrong if job is made[2] else {}) for job in made]

    failed = write(*(snapshot_of(job, 1, State.FAILED, attempts=(at,)) for job, at in zip(made, notes, strict=True)))

    assert failed == {made[2].id}
    assert JobRow.objects.filter(state="FAILED").count() == Attempt.objects.count() == 4


@pytest.mark.skipif(connection.vendor == "sqlite", reason="it takes any text")
@pytest.mark.parametrize("has_rows", [True, False])
def test_a_value_that_the_database_refuses_keeps_no_other_job_from_the_table(has_rows: bool) -> None:
    made = [make_job() for _ in range(5)]
    if has_rows:
        for job in made:
            row(job)
    refused = {"attempt": 2**40}

    failed = write(*(snapshot_of(job, 1, State.RUNNING, **(refused if job is made[2] else {})) for job in made))

    assert failed == {made[2].id}
    assert JobRow.objects.filter(state="RUNNING").count() == 4


def test_nothing_to_write_is_no_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        write()


def test_rows_of_erased_jobs_are_forgotten_with_their_attempts() -> None:
    gone, stays = make_job(), make_job(database="other")
    for job in (gone, stays):
        write(snapshot_of(job, 1, State.FAILED, attempts=(note(),)))
    mirror.forget([gone.id], BOTH)

    assert JobRow.objects.count() == Attempt.objects.count() == 0
    assert row_of(stays, "other").attempts.count() == 1


def test_jobs_and_attempts_are_written_together_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(mirror, "_insert_attempts", broken)
    job = make_job()

    assert write(snapshot_of(job, 1)) == {job.id}
    assert JobRow.objects.count() == 0


def test_an_end_is_written_though_another_mirror_inserts_an_older_state_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = make_job()
    *_, running, ended = life(job)
    update = upsert.update

    def overtaken(*args: Any) -> int:
        """Find no row, whereupon another mirror inserts one; what is read next sees it."""
        count = update(*args)
        row(job, version=running.version, state=State.RUNNING)
        return count

    monkeypatch.setattr(upsert, "update", overtaken)
    mirror.write([ended], BOTH, unpack, describe, "default")

    assert (row_of(job).state, row_of(job).version) == (ended.record.state, ended.version)


def test_two_attempts_of_one_millisecond_are_two() -> None:
    job = make_job()
    notes = [note(number, s=CREATED + number / 1_000_000, e=CREATED + 1) for number in (1, 2)]
    write(snapshot_of(job, 2, State.FAILED, attempt=2, attempts=tuple(notes)))
    write(snapshot_of(job, 3, State.FAILED, attempt=2, attempts=outbox.notes_of(row_of(job))))

    assert Attempt.objects.filter(job_id=job.id).count() == 2, "and read from the table they are the same two"
