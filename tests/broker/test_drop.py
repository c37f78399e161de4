"""Remove what has ended by its row, though the server has it back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State

from .support import HOUR, claim, end, far_future, ids_of, job, marked, order, record, run, without_mirror


def ready(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])


def scheduled(broker: RedisBroker) -> None:
    broker.enqueue([job("a", run_after=far_future())])


def handed_back_for_later(broker: RedisBroker) -> None:
    run(broker, "a", State.SCHEDULED, refund=True, delay=HOUR)


def ended(broker: RedisBroker) -> None:
    run(without_mirror(broker), "a")


@pytest.mark.parametrize("set_back", [ready, scheduled, handed_back_for_later, ended])
def test_an_older_job_is_removed_without_a_trace(broker: RedisBroker, set_back: Callable[[RedisBroker], None]) -> None:
    set_back(broker)

    assert broker.drop({"a": 9_999_999_999_999}) == 1
    assert broker.missing(["a"]) == ["a"]
    assert broker.client.exists(*(broker.keys[name] for name in ("b", "h", "s", "f", "d", "x"))) == 0
    assert order(broker) == []


def test_the_result_of_a_running_one_is_refused(broker: RedisBroker) -> None:
    broker.enqueue([job("a")])
    (lease,) = claim(broker)
    broker.drop({"a": 9_999_999_999_999})

    assert end(broker, lease) == "STALE"


def test_a_job_that_is_as_new_as_its_row_stays(broker: RedisBroker) -> None:
    run(broker, "a", State.FAILED)
    version = record(broker, "a").version

    assert broker.drop({"a": version}) == 0
    assert broker.drop({"a": version - 1}) == 0
    assert record(broker, "a").state is State.FAILED


def test_the_others_stay(broker: RedisBroker) -> None:
    broker.enqueue([job("a"), job("c")])
    broker.drop({"a": 5, "b": 5})

    assert ids_of(claim(broker, 10)) == ["c"]
    assert set(marked(broker)) == {"c"}


def test_nothing_to_drop_asks_nobody(broker: RedisBroker) -> None:
    assert broker.drop({}) == 0
