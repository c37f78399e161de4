"""A child in which nothing moves is told of by its parent."""

from __future__ import annotations

from typing import Any

import pytest

from django_backie.exceptions import BrokerUnavailable
from django_backie.worker.board import Board
from django_backie.worker.children import Child
from django_backie.worker.pulse import Pulse
from django_backie.worker.standstill import Standstills
from tests.app.tasks import echo

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

THREAD = 7


class Told:
    """Stands for the pipe through which a child tells its stacks."""

    asked = 0

    def ask(self, pid: int) -> dict[int, str]:
        self.asked += 1
        return {THREAD: '  File "shop.py", line 3 in match'}


def child(backend: Any, stands_for: float) -> Child:
    """Return a child that has begun a job and stands."""
    made = Child(1, Board(1), pid=1, name="child", pulse=Pulse(15.0, 0.0), stacks=Told())  # type: ignore[arg-type]
    assert made.board is not None
    assert made.pulse is not None
    backend.broker.join(made.full_name)
    echo.delay(1)
    (lease,) = backend.broker.turn(made.full_name, limit=1).leases
    made.board.add("turns")
    made.board.serve(0, THREAD)
    made.board.begin(0, lease.id)
    made.pulse.stands_for = stands_for
    return made


def test_a_child_that_stands_is_told_of_once_with_its_jobs_and_where_they_are(
    backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    standstills, stands = Standstills(backend, 10.0), child(backend, 10.5)
    for _ in range(3):
        standstills.look([stands])
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "nothing has moved in worker process child for 10 s" in record.getMessage()
    assert '(tests.app.tasks.echo):\n  File "shop.py", line 3 in match' in record.getMessage()


def test_one_that_has_moved_and_stands_again_is_told_of_again(backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    standstills, stands = Standstills(backend, 10.0), child(backend, 10.5)
    assert stands.pulse is not None
    for seconds in (10.5, 0.0, 10.5):
        stands.pulse.stands_for = seconds
        standstills.look([stands])
    assert len(caplog.records) == 2


@pytest.mark.parametrize("what", ["moves", "is suspended", "has nothing to do", "is about to begin", "nobody asks"])
def test_nothing_is_told_of_a_child_that(what: str, backend: Any, caplog: pytest.LogCaptureFixture) -> None:
    standstills = Standstills(backend, None if what == "nobody asks" else 10.0)
    stands = child(backend, 10.0 if what == "moves" else 10.5)
    stands.is_suspended = what == "is suspended"
    assert stands.board is not None
    if what == "has nothing to do":
        stands.board.end(0)
    if what == "is about to begin":
        stands.board.set("turns", 0)
    standstills.look([stands])
    assert caplog.text == ""
    assert stands.stacks.asked == 0  # type: ignore[union-attr]


def test_without_redis_the_ids_are_told(
    backend: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise BrokerUnavailable

    stands = child(backend, 10.5)
    monkeypatch.setattr(type(backend.broker), "held", refuse)
    Standstills(backend, 10.0).look([stands])
    assert "(?):\n" in caplog.text
