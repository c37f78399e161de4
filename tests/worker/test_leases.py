"""What the parent does for the leases of its children."""

from __future__ import annotations

from typing import Any

import pytest

from django_backie.exceptions import BrokerUnavailable
from django_backie.worker.board import Board
from django_backie.worker.children import Child
from django_backie.worker.leases import AGAIN_AFTER, LONG_TICK, RENEWALS_PER_LEASE, TICK, Leases
from tests.app.tasks import echo
from tests.helpers import StandingClock as Clock

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def child(backend: Any, name: str) -> Child:
    """Return a living child that has joined."""
    made = Child(1, Board(1), pid=1, name=name)
    backend.broker.join(made.full_name)
    return made


def lease_end(backend: Any, child: Child) -> float:
    return float(backend.broker.client.zscore(backend.broker.keys["w"], child.full_name))


def shorten(backend: Any, *children: Child) -> None:
    """Bring the end of leases near."""
    for one in children:
        backend.broker.client.zadd(backend.broker.keys["w"], {one.full_name: 1})


def refuse(*_: Any, **__: Any) -> Any:
    raise BrokerUnavailable


def test_only_the_given_children_are_renewed_and_told_when(backend: Any) -> None:
    moves, stands = child(backend, "moves"), child(backend, "stands")
    shorten(backend, moves, stands)
    Leases(backend.broker, Clock()).renew([moves])
    assert lease_end(backend, moves) > 1
    assert lease_end(backend, stands) == 1
    assert (moves.board.last_renewed(), stands.board.last_renewed()) == (1000.0, 0.0)  # type: ignore[union-attr]


def test_a_fenced_child_is_not_told_that_it_was_renewed(backend: Any) -> None:
    fenced = Child(1, Board(1), pid=1, name="fenced")
    Leases(backend.broker, Clock()).renew([fenced])
    assert fenced.board is not None
    assert fenced.board.last_renewed() == 0.0


def test_a_lease_is_renewed_three_times_and_sooner_after_a_failure(
    backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, clock = child(backend, "one"), Clock()
    leases, interval = Leases(backend.broker, clock), backend.config.lease / RENEWALS_PER_LEASE

    def renewed_after(seconds: float) -> bool:
        shorten(backend, one)
        clock.time += seconds
        leases.renew([one])
        return lease_end(backend, one) > 1

    assert renewed_after(0)
    assert not renewed_after(interval - 0.1)
    assert renewed_after(0.2)
    with monkeypatch.context() as down:
        down.setattr(type(backend.broker), "renew", refuse)
        assert not renewed_after(interval)
    assert not renewed_after(AGAIN_AFTER - 0.1)
    assert renewed_after(0.2)


def test_jobs_that_have_started_are_marked_with_the_renewal(backend: Any) -> None:
    one = child(backend, "one")
    result = echo.delay(1)
    backend.broker.turn(one.full_name, limit=1)
    assert one.board is not None
    one.board.begin(0, result.id)
    Leases(backend.broker, Clock()).renew([one])
    held = backend.broker.client.hget(backend.broker.keys.held(one.full_name), result.id)
    assert held.split("|")[1] == "1"


def test_the_parent_keeps_time_once_a_second_and_tells_what_it_took_back(
    backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    lost, clock = child(backend, "lost"), Clock()
    echo.delay(1)
    backend.broker.turn(lost.full_name, limit=1)
    shorten(backend, lost)
    leases = Leases(backend.broker, clock)
    assert leases.tick([])
    assert "1 worker(s) died; 1 job(s) taken back" in caplog.text
    backend.broker.client.delete(backend.broker.keys["clk"])
    clock.time += TICK - 0.1
    assert not leases.tick([])
    assert backend.broker.client.exists(backend.broker.keys["clk"]) == 0
    clock.time += 0.2
    assert not leases.tick([])
    assert backend.broker.client.exists(backend.broker.keys["clk"]) == 1


def test_a_server_that_does_not_answer_is_asked_less_often(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    leases = Leases(backend.broker, clock)
    calls: list[float] = []

    def count(*_: Any) -> Any:
        calls.append(clock.time)
        raise BrokerUnavailable

    monkeypatch.setattr(type(backend.broker), "tick", count)
    leases.tick([])
    clock.time += LONG_TICK - 0.1
    leases.tick([])
    clock.time += 0.2
    leases.tick([])
    assert len(calls) == 2


def test_burying_charges_what_had_started(backend: Any) -> None:
    dead = child(backend, "dead")
    started, waiting = echo.delay(1), echo.delay(2)
    backend.broker.turn(dead.full_name, limit=2)
    assert Leases(backend.broker, Clock()).bury(dead, [started.id])
    for result in (started, waiting):
        result.refresh()
    assert (started.crashes, waiting.crashes) == (1, 0)


def test_a_child_that_cannot_be_buried_now_is_left_to_its_lease(
    backend: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    dead = child(backend, "dead")
    monkeypatch.setattr(type(backend.broker), "bury", refuse)
    assert not Leases(backend.broker, Clock()).bury(dead, [])
    assert "the lease of dead will lapse instead" in caplog.text


def test_a_job_that_is_lost_with_a_stopping_child_is_not_charged(backend: Any) -> None:
    stopping = child(backend, "stopping")
    result = echo.delay(1)
    backend.broker.turn(stopping.full_name, limit=1)
    leases = Leases(backend.broker, Clock())
    leases.stopping([stopping])
    leases.bury(stopping, [result.id])
    result.refresh()
    assert result.crashes == 0


def test_a_stop_is_not_held_up_by_a_server_that_does_not_answer(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = child(backend, "one")
    monkeypatch.setattr(type(backend.broker), "stopping", refuse)
    Leases(backend.broker, Clock()).stopping([one])
