"""The worker's bookkeeping, on a real Redis, in this process."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

from django_backie import queues
from django_backie.broker.asking import Asking
from django_backie.broker.listener import Listener
from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State
from django_backie.exceptions import BrokerUnavailable
from django_backie.worker.attempt import Attempt, Finished
from django_backie.worker.board import Board
from django_backie.worker.executor import Executor
from django_backie.worker.listener import Heard, Wanted
from django_backie.worker.membership import Membership
from django_backie.worker.options import WorkerOptions, worker_name
from django_backie.worker.pools.loop import LoopPool
from django_backie.worker.worker import Worker
from tests.app.tasks import aadd, add, amark, echo, mark, mark_behind
from tests.helpers import counted
from tests.lifecycle.conftest import until

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def worker(backend: Any, **values: Any) -> Worker:
    options = WorkerOptions(**{"burst": True, **values})
    board = Board(options.threads + options.async_concurrency)
    return Worker(backend, options, worker_name(), board, lambda finished: None)


def test_more_async_jobs_than_the_loop_has_room_for_all_run(backend: Any) -> None:
    results = aadd.delay_many([(number, 1) for number in range(250)]) + add.delay_many([(1, 2)] * 20)
    worker(backend, threads=2, async_concurrency=5).run()
    for result in results:
        result.refresh()
    assert {result.state for result in results} == {State.SUCCESSFUL}


def test_a_burst_leaves_nothing_behind_when_a_long_job_comes_among_short_ones(backend: Any, tmp_path: Any) -> None:
    path = tmp_path / "marks"
    add.delay_many([(1, 2)] * 200)
    mark.delay_many([(str(path), "long", 0.4)] * 3)
    add.delay_many([(1, 2)] * 50)
    worker(backend, threads=3).run()
    assert path.read_text().split() == ["long"] * 3
    assert backend.broker.turn("other", limit=0).held == 0
    assert sum(backend.broker.client.zcard(backend.broker.keys.queue(q)) for q in ("default",)) == 0


def test_no_short_job_waits_behind_long_ones_while_any_worker_has_a_thread_free(backend: Any, tmp_path: Any) -> None:
    gate, path = tmp_path / "gate", tmp_path / "marks"
    short = add.delay_many([(1, 2)] * 50)  # both workers learn that jobs are short, and lease ahead
    mark_behind.delay_many([(str(gate), str(path), "long")] * 3)
    short += add.delay_many([(1, 2)] * 300)
    workers = [worker(backend, threads=2, burst=False) for _ in range(2)]
    threads = [threading.Thread(target=running.run) for running in workers]
    for thread in threads:
        thread.start()
    try:
        # The three long jobs leave one of four threads; they end only after this.
        until(lambda: all(found.record.state.is_final for found in backend.broker.inspect(ids_of(short)).values()))
        assert not path.exists()
    finally:
        gate.touch()
        for running in workers:
            running.stop()
        for thread in threads:
            thread.join(timeout=20)
    assert path.read_text().split() == ["long"] * 3


@contextmanager
def idle(running: Worker) -> Iterator[None]:
    """Let a worker run, wait until it has nothing to do, and stop it at the end."""
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        until(lambda: running._turns.listener.is_busy)
        yield
    finally:
        running.stop()
        thread.join(timeout=20)
    assert not thread.is_alive()


def test_an_idle_worker_gets_a_job_with_its_wake_up_and_asks_for_none(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[tuple[int, int]] = []
    turn = RedisBroker.turn

    def noted(broker: RedisBroker, worker: str, endings: Any, limit: int, *rest: Any) -> Any:
        turns.append((len(endings), limit))
        return turn(broker, worker, endings, limit, *rest)

    monkeypatch.setattr(RedisBroker, "turn", noted)
    with idle(worker(backend, burst=False)):
        turns.clear()
        result = add.delay(1, 2)
        until(lambda: turns)
    result.refresh()
    assert turns[0][0] == 1
    assert result.state is State.SUCCESSFUL


def test_an_idle_worker_sleeps_beside_a_paused_queue_and_is_woken_by_its_end(backend: Any) -> None:
    """Only a marker, or a time that has come, could wake it before its patience ends."""
    waiting = add.using(queue_name="mail").delay_many([(1, 2)] * 20)
    queues.pause("mail")
    client, marker = backend.broker.client, backend.broker.keys.marker(None)
    running = worker(backend, burst=False)
    with idle(running), counted() as counts:
        for _ in range(5):
            waiting.append(add.using(queue_name="mail").delay(1, 2))
            until(lambda: not client.exists(marker))
        result = add.delay(1, 2)
        until(lambda: backend.broker.inspect([result.id])[result.id].record.state.is_final)
        until(lambda: running._turns.listener.is_busy and not client.exists(marker))
        assert running._turns.appetite.due_at == float("inf")
        # One for each job that came, and some around the one that ran.
        assert counts["PIPELINE"] <= 12

        queues.resume("mail")
        until(lambda: all(found.record.state.is_final for found in backend.broker.inspect(ids_of(waiting)).values()))


def test_jobs_whose_way_to_an_idle_worker_broke_run_all_the_same(backend: Any, tmp_path: Any) -> None:
    path = tmp_path / "marks"
    path.touch()
    running = worker(backend, burst=False)
    with idle(running):
        # The present wait goes on; the next one, after this job, is cut off after it has taken a job.
        take, cut = Listener.take, threading.Event()

        def broken(listener: Listener, seconds: float, name: str, limit: int) -> Any:
            turn = take(listener, seconds, name, limit)
            if turn is not None and turn.leases and not cut.is_set():
                cut.set()
                raise BrokerUnavailable("cut off")
            return turn

        with mock.patch.object(Listener, "take", broken):
            mark.delay(str(path), "first")
            until(lambda: path.read_text().split() == ["first"] and running._turns.listener.is_busy)
            mark.delay(str(path), "second")
            until(lambda: path.read_text().split() == ["first", "second"])
        assert cut.is_set()


@pytest.mark.parametrize("is_lost", ["request", "reply", ""])
def test_jobs_are_fetched_while_others_run_and_run_once_though_the_way_breaks(
    backend: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, is_lost: str
) -> None:
    path = tmp_path / "marks"
    mark.delay_many([(str(path), str(number)) for number in range(600)])
    ask, answer, calls = Asking.ask, Asking.answer, Counter[str]()

    def asked(asking: Asking, *arguments: Any) -> None:
        calls["asked"] += 1
        if calls["asked"] == 2 and is_lost == "request":
            raise BrokerUnavailable("cut off")
        ask(asking, *arguments)

    def answered(asking: Asking) -> Any:
        calls["answered"] += 1
        if calls["answered"] == 2 and is_lost == "reply":
            answer(asking)
            raise BrokerUnavailable("cut off")
        return answer(asking)

    monkeypatch.setattr(Asking, "ask", asked)
    monkeypatch.setattr(Asking, "answer", answered)
    worker(backend, threads=2).run()
    assert calls["answered"] > 1
    assert Counter(path.read_text().split()) == {str(number): 1 for number in range(600)}
    assert Counter(found.record.state for found in backend.broker.take(1000)) == {State.SUCCESSFUL: 600}


def test_an_idle_worker_that_was_fenced_goes_on_under_another_name(backend: Any, tmp_path: Any) -> None:
    path = tmp_path / "marks"
    path.touch()
    running = worker(backend, burst=False)
    with idle(running):
        former = running.name
        backend.broker.bury(former)
        mark.delay(str(path), "ran")
        until(lambda: path.read_text().split() == ["ran"])
        assert running.name != former


@pytest.mark.parametrize("endings", [None, ()], ids=["after a wait", "after a question"])
def test_jobs_that_come_when_the_worker_stops_go_back_at_no_charge(backend: Any, endings: tuple[()] | None) -> None:
    result = add.delay(1, 2)
    running = worker(backend)
    running._membership.join(lambda: False)
    turn = backend.broker.turn(running.name, limit=1)
    running.stop()
    running._turns.heard(Heard(Wanted(running.name, 1, endings), turn))
    assert not running._ledger.running
    running.run()
    result.refresh()
    assert (result.state, result.attempts) == (State.READY, 0)


def test_what_a_worker_is_given_after_its_end_goes_back_at_once(backend: Any) -> None:
    result = add.delay(1, 2)
    running = worker(backend)
    running._membership.join(lambda: False)
    backend.broker.turn(running.name, limit=1)
    running._membership.leave()
    result.refresh()
    assert (result.state, result.attempts) == (State.READY, 0)
    assert backend.broker.turn(running.name).fenced


def test_jobs_that_came_under_a_former_name_are_left_to_others(backend: Any) -> None:
    add.delay(1, 2)
    running = worker(backend)
    backend.broker.join("former")
    running._turns.heard(Heard(Wanted("former", 1), backend.broker.turn("former", limit=1)))
    assert not running._ledger


def ids_of(results: list[Any]) -> list[str]:
    return [result.id for result in results]


def test_a_fenced_worker_runs_a_job_once_more_and_no_more_often(backend: Any, tmp_path: Any) -> None:
    path = tmp_path / "marks"
    path.touch()
    result = mark.delay(str(path), "ran", 1.0)
    running = worker(backend, threads=2)
    thread = threading.Thread(target=running.run)
    thread.start()
    until(lambda: mark.get_result(result.id).state is State.RUNNING)
    backend.broker.bury(running.name)
    add.delay(1, 2)  # wakes it, and so lets it notice
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert path.read_text().split() == ["ran", "ran"]
    result.refresh()
    assert result.state is State.SUCCESSFUL


def test_a_cancelled_async_job_may_clean_up(backend: Any, tmp_path: Any) -> None:
    result = amark.delay(str(tmp_path / "marks"), "x", 60)
    running = worker(backend, burst=False, grace=0.0)
    thread = threading.Thread(target=running.run)
    thread.start()
    until(lambda: amark.get_result(result.id).state is State.RUNNING)
    running.stop()
    thread.join(timeout=20)
    assert running.handed_back == 1
    result.refresh()
    assert (result.state, result.attempts) == (State.READY, 0)


def loop_of(backend: Any, size: int) -> tuple[LoopPool, list[Finished]]:
    """Return a loop, and what it reports."""
    reported: list[Finished] = []
    return LoopPool(size, Executor(backend), reported.append, Board(size), 0), reported


def taken(backend: Any, count: int) -> list[Attempt]:
    """Return the attempts of so many jobs that a worker has leased."""
    backend.broker.join("w")
    attempts = [Executor(backend).open(lease, "w") for lease in backend.broker.turn("w", limit=count).leases]
    return [attempt for attempt in attempts if isinstance(attempt, Attempt)]


def test_async_jobs_that_are_stopped_before_they_begin_are_handed_back(backend: Any, tmp_path: Any) -> None:
    pool, reported = loop_of(backend, 3)
    amark.delay_many([(str(tmp_path / "marks"), "x", 60)] * 3)
    attempts = taken(backend, 3)
    pool.submit(attempts[:2])
    pool.interrupt_all()  # in the same turn of the loop, or the next
    pool.submit(attempts[2:])
    until(lambda: len(reported) == 3)
    pool.stop()
    assert {finished.ending.state for finished in reported} == {State.READY}
    assert len(pool._free) == 3


def test_more_async_jobs_than_the_loop_can_hold_are_handed_back(backend: Any, tmp_path: Any) -> None:
    """A lost reply that is repaired brings as many as were asked for once more."""
    pool, reported = loop_of(backend, 2)
    amark.delay_many([(str(tmp_path / "marks"), "x", 0.2)] * 5)
    pool.submit(taken(backend, 5))
    until(lambda: len(reported) == 5)
    pool.stop()
    assert Counter(finished.ending.state for finished in reported) == {State.READY: 3, State.SUCCESSFUL: 2}
    assert sorted(pool._free) == [0, 1]


def test_a_worker_whose_lease_is_not_sure_takes_no_jobs_and_asks_now_and_then(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Membership, "is_sure_of", lambda *_: False)
    turns: list[int] = []
    turn = RedisBroker.turn

    def count(broker: RedisBroker, name: str, endings: Any = (), limit: int = 0, *rest: Any) -> Any:
        turns.append(limit)
        return turn(broker, name, endings, limit, *rest)

    monkeypatch.setattr(RedisBroker, "turn", count)
    echo.delay(1)
    running = worker(backend, burst=False, grace=0.0)
    thread = threading.Thread(target=running.run)
    thread.start()
    until(lambda: len(turns) >= 2)
    running.stop()
    thread.join(timeout=20)
    assert set(turns) == {0}
    assert running.handed_back == 0


def holding(backend: Any) -> tuple[Worker, Attempt]:
    """Return a worker that has one job, and its attempt, which no thread runs."""
    echo.delay(1)
    made = worker(backend)
    made._membership.join(lambda: False)
    (lease,) = backend.broker.turn(made.name, limit=1).leases
    attempt = Executor(backend).open(lease, made.name)
    assert isinstance(attempt, Attempt)
    made._ledger.open(attempt)
    return made, attempt


@pytest.mark.parametrize(("is_stopping", "count"), [(False, 0), (True, 1)])
def test_only_what_goes_back_at_the_stop_makes_it_an_unclean_one(backend: Any, is_stopping: bool, count: int) -> None:
    running, attempt = holding(backend)
    if is_stopping:
        running.stop()
    running._accept([Executor(backend).interrupted(attempt)], running._ledger.close)
    assert running.handed_back == count


def test_a_job_that_was_given_up_is_not_ended_a_second_time_when_it_ends_after_all(backend: Any) -> None:
    running, attempt = holding(backend)
    running.abort()
    running._stopping.ends_at -= 60
    running._interrupt()
    running._accept([Executor(backend).run(attempt)], running._ledger.close)
    assert [ending.state for ending in running._ledger.endings] == [State.READY]
