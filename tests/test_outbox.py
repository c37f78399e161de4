"""Keep jobs in the database until they have reached Redis."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from django_backie import outbox
from django_backie.broker.replies import Arrival
from django_backie.broker.sent import Restored
from django_backie.core import codec
from django_backie.core.job import Job, Packed
from django_backie.core.options import Options
from django_backie.core.states import State
from django_backie.exceptions import BrokerUnavailable
from django_backie.models import Job as JobRow
from django_backie.outbox import Entry

from .rows import CREATED, SIGNER, body_of, make_job, row, row_of, unpack

pytestmark = pytest.mark.django_db(databases=["default", "other"])

NOW = CREATED + outbox.GRACE + 0.001


class Push:
    """Stands in for ``broker.enqueue`` and keeps what it is given."""

    def __init__(self) -> None:
        self.jobs: list[Packed] = []

    def __call__(self, jobs: list[Packed]) -> list[Arrival]:
        self.jobs += jobs
        return [Arrival.ADDED] * len(jobs)

    @property
    def ids(self) -> list[str]:
        return [job.id for job in self.jobs]


def entry(job: Job) -> Entry:
    return Entry(job, codec.pack(job, SIGNER, 1000), {"shown": 1})


def relay(using: str = "default", now: float = NOW) -> list[Packed]:
    push = Push()
    assert outbox.relay(using, "default", push, now) == len(push.jobs)
    return push.jobs


def test_a_job_becomes_a_row_that_has_not_reached_redis() -> None:
    job = make_job(queue="mail", priority=3, options=Options(max_attempts=4), kwargs={"password": "hunter2"})
    outbox.write([entry(job)], "default")

    found = row_of(job)

    assert (found.state, found.version, found.attempt, found.max_attempts) == ("READY", 0, 0, 4)
    assert (found.queue, found.priority, found.arguments, found.body) == (
        "mail",
        3,
        {"shown": 1},
        body_of(job),
    )
    assert found.enqueued_at.timestamp() == pytest.approx(CREATED, abs=0.0005)


def test_a_job_of_the_future_is_scheduled() -> None:
    job = make_job(run_after=CREATED + 60)
    outbox.write([entry(job)], "default")

    assert (row_of(job).state, row_of(job).run_after.timestamp()) == (
        "SCHEDULED",
        pytest.approx(CREATED + 60, abs=0.0005),
    )


def test_many_jobs_are_few_queries(django_assert_max_num_queries: Any) -> None:
    entries = [entry(make_job()) for _ in range(200)]

    with django_assert_max_num_queries(8):
        outbox.write(entries, "default")


def test_a_row_goes_with_its_transaction() -> None:
    job = make_job()
    with transaction.atomic():
        outbox.write([entry(job)], "default")
        transaction.set_rollback(True)

    assert not JobRow.objects.filter(pk=job.id).exists()


def test_one_row_is_one_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        outbox.write([entry(make_job())], "default")


@pytest.mark.django_db(transaction=True)
def test_one_row_in_autocommit_is_one_statement_too() -> None:
    with CaptureQueriesContext(connection) as captured:
        outbox.write([entry(make_job())], "default")

    assert len(captured) == 1
    assert JobRow.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_rows_in_autocommit_are_written_all_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    made = [make_job() for _ in range(4)]
    row(made[-1])

    with pytest.raises(IntegrityError):
        outbox.write([entry(job) for job in made], "default")
    assert JobRow.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_refused_spoils_its_transaction() -> None:
    job = make_job()
    row(job)

    with transaction.atomic():
        with pytest.raises(IntegrityError):
            outbox.write([entry(job)], "default")
        with pytest.raises(TransactionManagementError):
            JobRow.objects.count()
        transaction.set_rollback(True)


def test_a_row_is_found_with_its_attempts(django_assert_num_queries: Any) -> None:
    job = make_job()
    row(job).attempts.create(
        number=1,
        worker="w",
        outcome="failed",
        started_at="2026-01-01T00:00Z",
        finished_at="2026-01-01T00:00Z",
    )

    found = outbox.find(job.id, "default")

    with django_assert_num_queries(0):
        assert [attempt.number for attempt in found.attempts.all()] == [1]
    assert outbox.find(job.id, "other") is None


def test_a_row_that_never_reached_redis_is_pushed_as_it_was_packed() -> None:
    job = make_job(queue="mail", priority=-7, args=["ä"], run_after=CREATED + 3600.007)
    outbox.write([entry(job)], "default")

    (packed,) = relay()

    assert packed == codec.pack(job, SIGNER, 1000)._replace(run_after=packed.run_after)
    assert packed.run_after == pytest.approx(CREATED + 3600.007, abs=0.0005)
    assert unpack(packed.id, packed.body).args == ["ä"]


@pytest.mark.parametrize(
    "values",
    [
        {"version": 1},
        {"state": State.RUNNING},
        {"state": State.SUCCESSFUL},
        {"state": State.FAILED},
        {"state": State.CANCELLED},
        {"backend": "mail"},
    ],
    ids=str,
)
def test_a_row_that_needs_no_push_gets_none(values: dict[str, Any]) -> None:
    row(make_job(), **values)

    assert relay() == []


@pytest.mark.parametrize("state", [State.SCHEDULED, State.BLOCKED, State.READY, State.RETRYABLE])
def test_every_waiting_row_is_pushed(state: State) -> None:
    job = make_job()
    row(job, state=state)

    assert [packed.id for packed in relay()] == [job.id]


def test_a_young_row_is_left_to_its_own_commit() -> None:
    row(make_job(created=NOW - outbox.GRACE + 0.002))

    assert relay() == []


def test_rows_are_pushed_in_the_order_of_enqueueing() -> None:
    made = [make_job(created=CREATED - at) for at in (1, 5, 3, 4, 2)]
    for job in made:
        row(job)

    assert [packed.id for packed in relay()] == [job.id for job in sorted(made, key=lambda job: job.created)]


def test_a_batch_is_bounded_and_the_oldest_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    made = [make_job(created=CREATED - at) for at in (1, 2, 3)]
    for job in made:
        row(job)

    assert {packed.id for packed in relay()} == {made[2].id, made[1].id}


def test_a_relayed_row_is_left_to_the_mirror_and_not_relayed_again() -> None:
    row(make_job())

    assert len(relay()) == 1
    assert relay() == []
    assert JobRow.objects.get().version == outbox.PUSHED


class FullFor:
    """Takes jobs of all queues but some."""

    def __init__(self, *queues: str) -> None:
        self.queues = queues
        self.taken: list[str] = []

    def __call__(self, jobs: list[Packed]) -> list[Arrival]:
        self.taken += [job.id for job in jobs if job.queue not in self.queues]
        return [Arrival.FULL if job.queue in self.queues else Arrival.ADDED for job in jobs]


def test_rows_of_a_full_queue_stay_until_there_is_room() -> None:
    job = make_job(queue="mail")
    row(job)

    assert outbox.relay("default", "default", FullFor("mail"), NOW) == 0
    assert row_of(job).version == 0
    assert [packed.id for packed in relay()] == [job.id]


def test_a_full_queue_does_not_stand_in_the_way_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 2)
    for at in range(5):
        row(make_job(queue="mail", created=CREATED - 10 + at))
    other = make_job(queue="other", created=CREATED - 1)
    row(other)
    push = FullFor("mail")

    outbox.relay("default", "default", push, NOW)

    assert push.taken == [other.id]


def test_a_push_that_fails_leaves_the_row_to_the_next_relay() -> None:
    def refuse(_: object) -> list[Arrival]:
        raise BrokerUnavailable("down")

    row(make_job())
    with pytest.raises(BrokerUnavailable):
        outbox.relay("default", "default", refuse, NOW)
    assert len(relay()) == 1


def test_a_late_push_leaves_out_what_was_pushed_meanwhile() -> None:
    early, late = make_job(), make_job()
    row(early)
    assert len(relay()) == 1
    row(late)
    push = Push()
    outbox.push_late([early.id, late.id], "default", push)
    assert [packed.id for packed in push.jobs] == [late.id]


def test_each_database_is_relayed_by_itself() -> None:
    here, there = make_job(), make_job(database="other")
    row(here)
    row(there, "other")

    assert [packed.id for packed in relay("other")] == [there.id]
    assert [packed.id for packed in relay("default")] == [here.id]


def test_a_push_that_fails_leaves_the_rows_for_the_next_time() -> None:
    job = make_job()
    row(job)

    def down(_: list[Packed]) -> list[Arrival]:
        raise BrokerUnavailable

    with pytest.raises(BrokerUnavailable):
        outbox.relay("default", "default", down, NOW)

    assert [packed.id for packed in relay()] == [job.id]


def test_nothing_to_relay_pushes_nothing() -> None:
    def never(_: list[Packed]) -> list[Arrival]:
        raise AssertionError

    assert outbox.relay("default", "default", never, NOW) == 0


def pages(before: float = CREATED + 0.001) -> list[list[str]]:
    return list(outbox.unfinished_pages("default", "default", before))


@pytest.mark.parametrize("state", [State.SCHEDULED, State.BLOCKED, State.READY, State.RETRYABLE, State.RUNNING])
def test_a_job_that_has_not_ended_is_looked_for(state: State) -> None:
    job = make_job()
    row(job, state=state, version=5)

    assert pages() == [[job.id]]


@pytest.mark.parametrize(
    "values",
    [
        {"state": "SUCCESSFUL"},
        {"state": "FAILED"},
        {"state": "CANCELLED"},
        {"version": 0},
        {"backend": "mail"},
    ],
    ids=str,
)
def test_other_jobs_are_not_looked_for(values: dict[str, Any]) -> None:
    row(make_job(), **{"version": 5, **values})

    assert pages() == []


def test_a_young_job_is_not_looked_for() -> None:
    row(make_job(), version=5)

    assert pages(CREATED - 0.001) == []


def test_the_pages_hold_every_job_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH", 3)
    made = {row(make_job(), version=1).pk for _ in range(7)}

    found = pages()

    assert [len(page) for page in found] == [3, 3, 1]
    assert {job_id for page in found for job_id in page} == set(map(str, made))


def brought_back(*ids: str, version: int = 1000) -> list[Restored]:
    """Return what the broker is asked to bring back; it answers with a version."""
    found: list[Restored] = []

    def bring_back(jobs: list[Restored]) -> list[int]:
        found.extend(jobs)
        return [version] * len(jobs)

    assert outbox.restore(ids, "default", bring_back) == (len(found) if version else 0)
    return found


def test_a_lost_job_is_remembered_as_it_was() -> None:
    job = make_job()
    row(job, state="RETRYABLE", version=5, attempt=2, crashes=1, run_after="2026-01-01T00:00:00.007Z")

    (found,) = brought_back(job.id)

    assert (found.id, found.body, found.attempt, found.crashes, found.version) == (job.id, body_of(job), 2, 1, 5)
    assert found.due == pytest.approx(1767225600.007, abs=0.0001)


@pytest.mark.parametrize(("attempt", "left"), [(2, 1), (1, 0), (0, 0)])
def test_the_attempt_that_was_running_does_not_count(attempt: int, left: int) -> None:
    job = make_job()
    row(job, state="RUNNING", version=5, attempt=attempt)

    assert brought_back(job.id)[0].attempt == left


@pytest.mark.parametrize("state", ["READY", "RUNNING", "BLOCKED"])
def test_a_job_whose_time_had_come_does_not_wait_for_it_again(state: str) -> None:
    job = make_job(run_after=CREATED + 1)
    row(job, state=state, version=5, attempt=1)

    assert brought_back(job.id)[0].due is None


@pytest.mark.parametrize(
    "values", [{"state": "SUCCESSFUL"}, {"state": "FAILED"}, {"state": "CANCELLED"}, {"body": ""}], ids=str
)
def test_what_has_ended_or_cannot_be_pushed_is_not_brought_back(values: dict[str, Any]) -> None:
    job = make_job()
    row(job, **{"state": "READY", "version": 5, **values})

    assert brought_back(job.id) == []


def test_nobody_missing_is_no_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert brought_back() == []


def test_a_snapshot_from_before_the_loss_does_not_end_a_job_that_was_brought_back() -> None:
    job = make_job()
    row(job, state="RUNNING", version=5)
    brought_back(job.id, version=1000)

    assert row_of(job).version == 999, "the next snapshot is written, an older one is not"


def test_the_row_of_a_job_that_redis_has_after_all_is_left_alone() -> None:
    job = make_job()
    row(job, state="RUNNING", version=5)
    brought_back(job.id, version=0)

    assert row_of(job).version == 5
