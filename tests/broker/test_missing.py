"""Tell which jobs are not here."""

from __future__ import annotations

from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State

from .support import HOUR, claim, far_future, job, jobs, marked, run


def test_the_missing_ones_are_named_in_order(broker: RedisBroker) -> None:
    broker.enqueue(jobs("ac"))

    assert broker.missing(["d", "a", "b", "c"]) == ["d", "b"]


def test_waiting_and_running_jobs_are_here(broker: RedisBroker) -> None:
    run(broker, "retry", State.RETRYABLE, delay=HOUR)
    broker.enqueue([job("runs")])
    claim(broker)
    broker.enqueue([job("later", run_after=far_future())])

    assert broker.missing(["retry", "runs", "later"]) == []


def test_an_ended_job_is_missing_once_it_is_mirrored(broker: RedisBroker) -> None:
    run(broker, "a")
    assert broker.missing(["a"]) == []

    broker.done(marked(broker))
    assert broker.missing(["a"]) == ["a"]


def test_nothing_to_ask_for_is_no_error(broker: RedisBroker) -> None:
    assert broker.missing([]) == []
