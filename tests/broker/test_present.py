"""Tell which jobs are here."""

from __future__ import annotations

from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State

from .support import HOUR, claim, far_future, job, jobs, marked, run


def present(broker: RedisBroker) -> list[str]:
    return sorted({job_id for page in broker.present_pages() for job_id in page})


def test_waiting_running_and_unmirrored_jobs_are_here(broker: RedisBroker) -> None:
    run(broker, "ended")
    run(broker, "retry", State.RETRYABLE, delay=HOUR)
    broker.enqueue([job("runs")])
    claim(broker)
    broker.enqueue([job("ready"), job("later", run_after=far_future())])

    assert present(broker) == ["ended", "later", "ready", "retry", "runs"]


def test_an_ended_job_is_not_here_once_it_is_mirrored(broker: RedisBroker) -> None:
    run(broker, "a")
    broker.done(marked(broker))

    assert present(broker) == []


def test_many_jobs_come_in_pages_and_none_is_left_out(broker: RedisBroker) -> None:
    ids = [f"job-{number:04}" for number in range(1500)]
    broker.enqueue(jobs(ids))

    assert present(broker) == ids
    assert max(len(page) for page in broker.present_pages()) < 1500
