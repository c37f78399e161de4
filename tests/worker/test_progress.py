"""How far an attempt is: seen while it runs, kept when it ends, and never in its way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC
from typing import Any

import pytest

from django_backie import compat, outbox
from django_backie.broker.sent import Shown
from django_backie.core.progress import Reported
from django_backie.core.states import State
from django_backie.exceptions import BrokerUnavailable
from django_backie.models import Attempt, Job
from django_backie.progress import Progress
from django_backie.worker import gauge
from django_backie.worker.gauge import Gauge, Gauges
from tests.app.progressing import MEANWHILE, ahalfway, falter, halfway, overdo, settle, silent, walk
from tests.helpers import drain, empty, lease, mirror
from tests.lifecycle.conftest import until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture(autouse=True)
def _nothing_meanwhile() -> Iterator[None]:
    yield
    MEANWHILE.clear()


@pytest.fixture
def seen() -> list[Progress | None]:
    """Return what a caller sees in the middle of an attempt, once there is something to see."""
    found: list[Progress | None] = []

    def look(context: Any) -> None:
        until(lambda: (caller := _caller(context.task_result)).progress and found.append(caller.progress) is None)

    MEANWHILE.append(look)
    return found


def _caller(result: Any) -> Any:
    return compat.get_backend(result.backend).get_result(result.id)


def numbers(progress: Progress | None) -> tuple[float, float | None, str]:
    assert progress is not None
    return progress.done, progress.total, progress.message


@pytest.mark.parametrize("task", [halfway, ahalfway], ids=["sync", "async"])
@pytest.mark.parametrize("durability", ["outbox", "commit", "now"])
def test_a_caller_sees_it_while_the_task_runs(
    backend: Any, seen: list[Progress | None], task: Any, durability: str
) -> None:
    result = task.using(durability=durability).delay()
    assert result.progress is None
    drain(backend)
    result.refresh()

    assert result.state is State.SUCCESSFUL
    (progress,) = seen
    assert numbers(progress) == (1, 2, "")
    assert progress is not None
    assert (progress.fraction, progress.percent, progress.at.tzinfo) == (0.5, 50, UTC)


def test_the_last_value_outlives_the_attempt_in_redis_and_in_its_row(backend: Any) -> None:
    result = walk.delay(5)
    drain(backend)
    result.refresh()
    assert numbers(result.progress) == (5, 5, "walking")

    mirror(backend)
    assert backend.broker.missing([result.id]) == [result.id]
    result.refresh()
    assert numbers(result.progress) == (5, 5, "walking")
    assert Attempt.objects.get(job_id=result.id).progress[:3] == [5, 5, "walking"]


def test_nothing_of_it_is_left_in_redis(backend: Any, seen: list[Progress | None]) -> None:
    halfway.delay()
    drain(backend)
    assert backend.broker.client.hlen(backend.broker.keys["pr"]) == 1

    mirror(backend)
    assert seen
    assert not backend.broker.client.exists(backend.broker.keys["pr"])


def test_a_job_tells_of_its_latest_attempt_only(backend: Any) -> None:
    result = falter.delay()
    drain(backend)
    result.refresh()
    assert result.progress is None

    until(lambda: drain(backend) and (result.refresh() or result.state is State.FAILED))
    assert numbers(result.progress) == (1, 3, "at the second attempt")
    mirror(backend)
    result.refresh()
    assert numbers(result.progress) == (1, 3, "at the second attempt")
    assert [attempt.progress is None for attempt in Attempt.objects.filter(job_id=result.id)] == [True, False]


def test_an_attempt_that_has_shown_nothing_yet_does_not_show_the_one_before(backend: Any) -> None:
    result = halfway.delay()
    (first,) = lease(backend, "first")
    backend.broker.show([Shown("first", first.id, first.token, Reported(1, 2, "", 1.0).text())])
    result.refresh()
    assert numbers(result.progress) == (1, 2, "")

    backend.broker.bury("first", [])
    result.refresh()
    assert numbers(result.progress) == (1, 2, ""), "between two attempts the former is the latest"
    until(lambda: (backend.broker.client.time()[1] // 1000) != 0)
    lease(backend, "second")
    result.refresh()
    assert (result.state, result.progress) == (State.RUNNING, None)


def test_how_far_a_killed_attempt_was_is_kept(backend: Any) -> None:
    result = halfway.delay()
    (first,) = lease(backend, "first")
    backend.broker.show([Shown("first", first.id, first.token, Reported(1, 2, "", 1.0).text())])
    backend.broker.bury("first", [first.id])
    mirror(backend)

    assert Attempt.objects.get(job_id=result.id).progress == [1, 2, "", 1.0]


def test_a_job_restored_from_its_row_keeps_what_its_attempts_have_told(backend: Any) -> None:
    result = falter.using(max_attempts=3).delay()
    until(lambda: drain(backend) and (result.refresh() or result.progress))
    mirror(backend)
    empty(backend)
    outbox.restore([result.id], "default", backend.broker.restore)
    result.refresh()
    assert numbers(result.progress) == (1, 3, "at the second attempt")


def test_what_cannot_be_fails_the_attempt_with_the_way_out(backend: Any) -> None:
    result = overdo.delay()
    drain(backend)
    result.refresh()

    assert result.state is State.RETRYABLE
    assert "done=3 is more than total=2; leave total out" in result.errors[0].traceback


def test_an_atomic_job_shows_it_too(backend: Any) -> None:
    result = settle.delay()
    drain(backend)
    mirror(backend)
    result.refresh()

    assert numbers(result.progress) == (2, 2, "written")


def test_a_job_fails_by_no_outage_and_its_last_value_comes_with_its_end(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = threading.Event()

    def refuse(attempts: Sequence[Shown]) -> list[bool]:
        refused.set()
        raise BrokerUnavailable("gone")

    monkeypatch.setattr(backend.broker, "show", refuse)
    MEANWHILE.append(lambda context: until(refused.is_set))
    result = halfway.delay("so far")
    drain(backend)
    result.refresh()

    assert result.state is State.SUCCESSFUL
    assert numbers(result.progress) == (1, 2, "so far")


def test_whoever_listens_for_ends_sees_it(backend: Any) -> None:
    ends: list[Any] = []

    def hear(task_result: Any, **_: Any) -> None:
        ends.append(task_result.progress)

    compat.task_signals.task_finished.connect(hear)
    try:
        walk.delay(3)
        drain(backend)
    finally:
        compat.task_signals.task_finished.disconnect(hear)
    assert [numbers(progress) for progress in ends] == [(3, 3, "walking")]


def test_a_job_that_reports_nothing_has_no_gauge_no_thread_and_no_key(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gauge, "Gauge", None)
    threads: list[str] = []
    MEANWHILE.append(lambda context: threads.extend(thread.name for thread in threading.enumerate()))
    result = silent.delay()
    before = sum(name == "backie-progress" for name in map(_name, threading.enumerate()))
    drain(backend)
    result.refresh()

    assert (result.state, result.progress) == (State.SUCCESSFUL, None)
    assert threads.count("backie-progress") <= before
    mirror(backend)
    assert Attempt.objects.get(job_id=result.id).progress is None
    assert Job.objects.get(pk=result.id).state == "SUCCESSFUL"


def _name(thread: threading.Thread) -> str:
    return thread.name


# The thread that writes.


class Slow:
    """A broker whose answers wait for the test."""

    def __init__(self) -> None:
        self.calls: list[list[Shown]] = []
        self.goes_on = threading.Semaphore(0)
        self.fails = False

    def show(self, attempts: Sequence[Shown]) -> list[bool]:
        self.calls.append(list(attempts))
        assert self.goes_on.acquire(timeout=20)
        if self.fails:
            raise BrokerUnavailable("gone")
        return [True] * len(attempts)


@pytest.fixture
def slow() -> Iterator[Slow]:
    broker = Slow()
    yield broker
    broker.goes_on.release(1000)


@pytest.fixture
def gauges(slow: Slow) -> Iterator[Gauges]:
    made = Gauges(slow, pause=0.001)  # type: ignore[arg-type]
    yield made
    made.stop()


Show = Callable[[float], None]


def shower(gauges: Gauges, job: str) -> tuple[Gauge, Show]:
    made = Gauge(gauges, "w", job, 7)
    return made, lambda done: made.show(Reported(done, None, "", 1.0))


def test_while_one_write_is_under_way_a_thousand_reports_make_one_more(slow: Slow, gauges: Gauges) -> None:
    _, show = shower(gauges, "a")
    show(0)
    until(lambda: len(slow.calls) == 1)
    for done in range(1, 1000):
        show(done)
    slow.goes_on.release()
    until(lambda: len(slow.calls) == 2)

    assert slow.calls[1] == [Shown("w", "a", 7, '[999,null,"",1.0]')]
    slow.goes_on.release()
    until(gauges._queue.empty)
    assert len(slow.calls) == 2


def test_several_attempts_share_a_write(slow: Slow, gauges: Gauges) -> None:
    for _, show in [shower(gauges, "a")]:
        show(0)
    until(lambda: len(slow.calls) == 1)
    for job in "bc":
        shower(gauges, job)[1](1)
    slow.goes_on.release()
    until(lambda: len(slow.calls) == 2)

    assert [shown.id for shown in slow.calls[1]] == ["b", "c"]


def test_an_ended_attempt_is_written_no_more(slow: Slow, gauges: Gauges) -> None:
    first, show = shower(gauges, "a")
    show(0)
    until(lambda: len(slow.calls) == 1)
    show(1)
    assert first.close() == Reported(1, None, "", 1.0)
    show(2)
    slow.goes_on.release()
    shower(gauges, "b")[1](1)
    until(lambda: len(slow.calls) >= 2)

    assert first.close() == Reported(1, None, "", 1.0)
    assert [shown.id for call in slow.calls[1:] for shown in call if shown.id == "a"] == []


def test_what_could_not_be_written_is_tried_again(slow: Slow, gauges: Gauges, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauge, "LONG_PAUSE", 0.001)
    slow.fails = True
    _, show = shower(gauges, "a")
    show(1)
    until(lambda: len(slow.calls) == 1)
    slow.goes_on.release()
    until(lambda: len(slow.calls) == 2)

    assert slow.calls[0] == slow.calls[1]


def test_the_thread_ends_with_its_worker(slow: Slow, gauges: Gauges) -> None:
    before = threading.active_count()
    slow.goes_on.release(10)
    shower(gauges, "a")[1](1)
    gauges.stop()

    until(lambda: threading.active_count() <= before)
