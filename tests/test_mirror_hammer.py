"""Four mirrors write the same jobs at once, late, repeatedly and out of order: the newest of each remains."""

from __future__ import annotations

import functools
import itertools
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction

from django_backie import mirror
from django_backie.broker.replies import Snapshot
from django_backie.core.job import Job
from django_backie.core.states import State
from django_backie.models import Attempt
from django_backie.models import Job as JobRow

from .helpers import wait_for_a_lock
from .rows import CREATED, make_job, note, row, snapshot_of, unpack

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

JOBS, ATTEMPTS, WRITERS, MOST = 60, 3, 4, 25
VERSION = 1_700_000_000_000


@pytest.fixture
def alias(tmp_path: Path) -> Iterator[str]:
    """Return the alias of a database that several connections can write to as they do in production."""
    if connection.vendor != "sqlite":
        yield "default"
        return
    # A file in the place of a database in memory: connections that share one there do not wait for each other.
    in_memory, values = connections["other"], connections.settings["other"]
    connections.settings["other"] = {**values, "NAME": str(tmp_path / "hammer.sqlite3")}
    del connections["other"]
    call_command("migrate", "django_backie", database="other", verbosity=0)
    yield "other"
    connections["other"].close()
    connections["other"], connections.settings["other"] = in_memory, values


def clear(alias: str) -> None:
    Attempt.objects.using(alias).all().delete()
    JobRow.objects.using(alias).all().delete()


def life(job: Job) -> list[Snapshot]:
    """Return the snapshots of a job that fails some times and then succeeds, in order."""
    versions = itertools.count(VERSION)
    shots = [snapshot_of(job, next(versions))]
    notes: list[dict[str, Any]] = []
    for number in range(1, ATTEMPTS + 1):
        at = {"first_started": CREATED + 1, "attempt": number, "worker": f"w{number}"}
        shots.append(
            snapshot_of(job, next(versions), State.RUNNING, started=CREATED + number, attempts=tuple(notes), **at)
        )
        is_last = number == ATTEMPTS
        notes.append(note(number, "succeeded", v="42") if is_last else note(number, r=CREATED + 10 * number))
        state, due = (State.SUCCESSFUL, None) if is_last else (State.RETRYABLE, CREATED + 10 * number)
        at |= {"due": due, "finished": CREATED + number if is_last else None, "attempts": tuple(notes)}
        shots.append(snapshot_of(job, next(versions), state, **at))
    return shots


def batches(shots: list[Snapshot], dice: random.Random) -> Iterator[list[Snapshot]]:
    """Yield all snapshots, some of them twice, in batches in which no job comes twice, as Redis gives them."""
    rest = [*shots, *dice.sample(shots, len(shots) // 2)]
    dice.shuffle(rest)
    while rest:
        size = dice.randint(1, MOST)
        batch = {shot.id: shot for shot in rest[:size]}
        left_out = [shot for shot in rest[:size] if batch[shot.id] is not shot]
        rest = left_out + rest[size:]
        yield list(batch.values())


class Writer(threading.Thread):
    """A mirror with a connection of its own."""

    def __init__(self, shots: list[Snapshot], alias: str, seed: str, start: threading.Barrier) -> None:
        super().__init__(name=seed)
        self._shots, self._alias, self._start, self._dice = shots, alias, start, random.Random(seed)
        self.failed: set[str] = set()
        self.written = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._start.wait(10)
            for batch in batches(self._shots, self._dice):
                self.failed |= mirror.write(batch, [self._alias], unpack, lambda job: {"a": 1}, "default").failed
                self.written += len(batch)
        except BaseException as error:
            self.error = error
        finally:
            connections.close_all()


def hammer(shots: list[Snapshot], alias: str, seed: int) -> list[Writer]:
    """Let four writers write the same snapshots, and wait for them."""
    barrier = threading.Barrier(WRITERS)
    writers = [Writer(shots, alias, f"{seed}.{number}", barrier) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert not any(writer.is_alive() for writer in writers), "they wait for each other"
    return writers


def content(alias: str) -> dict[str, dict[str, Any]]:
    """Return all rows by id, without what only the clock of the insert decides."""
    return {str(found.pop("id")): found for found in JobRow.objects.using(alias).values()}


def attempts(alias: str) -> list[tuple[Any, ...]]:
    """Return all attempts, in an order of their own."""
    names = ("job_id", "number", "worker", "outcome", "started_at", "finished_at", "retry_at", "error_class")
    return sorted(Attempt.objects.using(alias).values_list(*names), key=str)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_newest_of_every_job_remains_and_every_attempt_once(alias: str, seed: int) -> None:
    jobs = [make_job() for _ in range(JOBS)]
    lives = [life(job) for job in jobs]
    # Half of them came through the outbox, whose rows the mirror takes over.
    for job in jobs[::2]:
        row(job, using=alias, arguments={"a": 1}, max_attempts=job.options.max_attempts)

    writers = hammer([shot for shots in lives for shot in shots], alias, seed)

    assert [writer.error for writer in writers] == [None] * WRITERS
    assert [writer.failed for writer in writers] == [set()] * WRITERS, "a deadlock, or a lock that was not waited for"
    assert sum(writer.written for writer in writers) > WRITERS * sum(map(len, lives))
    hammered, hammered_attempts = content(alias), attempts(alias)

    # What one mirror writes that is never late.
    clear(alias)
    for step in zip(*lives, strict=True):
        assert mirror.write(step, [alias], unpack, lambda job: {"a": 1}, "default") == mirror.Written()
    assert hammered == content(alias)
    assert hammered_attempts == attempts(alias)
    assert {found["version"] for found in hammered.values()} == {VERSION + 2 * ATTEMPTS}
    assert len(hammered_attempts) == JOBS * ATTEMPTS


@pytest.fixture
def writer() -> Iterator[Callable[[list[Snapshot]], Future[mirror.Written]]]:
    """Return what lets a mirror with a connection of its own write snapshots."""

    def write(shots: list[Snapshot], plan: str = "") -> mirror.Written:
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SET enable_nestloop = {'off' if plan == 'hash' else 'on'}")
            return mirror.write(shots, ["default"], unpack, lambda job: {"a": 1}, "default")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        yield functools.partial(pool.submit, write)


only_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL who waits for whom")


@only_postgresql
def test_what_waited_for_another_s_change_is_written_after_it(writer: Any) -> None:
    job = make_job()
    row(job)
    with transaction.atomic():
        JobRow.objects.filter(pk=job.id).update(state="RUNNING", version=5)
        found = writer([snapshot_of(job, 9, State.SUCCESSFUL, attempts=(note(1, "succeeded", v="1"),))])
        wait_for_a_lock()

    assert found.result(10) == mirror.Written()
    assert JobRow.objects.filter(state="SUCCESSFUL", version=9).count() == Attempt.objects.count() == 1


@only_postgresql
def test_what_another_has_made_newer_meanwhile_stays(writer: Any) -> None:
    job = make_job()
    row(job)
    with transaction.atomic():
        JobRow.objects.filter(pk=job.id).update(state="FAILED", version=9)
        found = writer([snapshot_of(job, 5, State.RUNNING, attempts=(note(1),))])
        wait_for_a_lock()

    assert found.result(10) == mirror.Written(behind={job.id: 9})
    assert (JobRow.objects.get().state, Attempt.objects.count()) == ("FAILED", 0)


@only_postgresql
@pytest.mark.parametrize("plan", ["nested", "hash"])
def test_rows_are_locked_in_the_order_of_their_ids_whatever_the_plan(writer: Any, plan: str) -> None:
    # Enough rows, in the opposite order, for a plan that goes through the table.
    made = sorted((make_job() for _ in range(500)), key=lambda job: job.id)
    for job in reversed(made):
        row(job)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE django_backie_job")
    with transaction.atomic():
        rows = JobRow.objects.select_for_update(skip_locked=True).order_by("pk")
        rows.get(pk=made[250].id)
        found = writer([snapshot_of(job, 5, State.RUNNING) for job in reversed(made)], plan)
        wait_for_a_lock()
        free = [str(found.pk) for found in rows]

    assert free == [job.id for job in made[250:]]
    assert found.result(10) == mirror.Written()


@only_postgresql
def test_a_row_that_another_does_not_let_go_keeps_no_other_job_from_the_table(
    writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "LONGEST_WAIT", 0.05)
    held, free, new = (make_job() for _ in range(3))
    for job in (held, free):
        row(job)
    with transaction.atomic():
        JobRow.objects.select_for_update().get(pk=held.id)
        found = writer([snapshot_of(job, 5, State.RUNNING) for job in (held, free, new)]).result(10)

    assert found == mirror.Written(frozenset({held.id}))
    assert {str(key) for key in JobRow.objects.filter(version=5).values_list("pk", flat=True)} == {free.id, new.id}
