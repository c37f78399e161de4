"""What people do with jobs, where it meets what workers do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from django_backie import control
from django_backie.broker.redis import RedisBroker
from django_backie.core.states import State
from django_backie.models import Job

from .app.tasks import add
from .helpers import drain, empty, mirror

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

Action = Callable[..., control.Report]
VERBS: list[tuple[Action, str]] = [(control.run_now, "hasten"), (control.cancel, "cancel")]


def row_of(job: Any) -> Job:
    return Job.objects.get(pk=job.id)


@pytest.mark.parametrize(("action", "verb"), VERBS)
def test_a_job_that_ends_meanwhile_is_not_brought_back(
    backend: Any, monkeypatch: pytest.MonkeyPatch, action: Action, verb: str
) -> None:
    job = add.delay(1, 2)
    mirror(backend)
    ask = getattr(RedisBroker, verb)

    def overtaken(broker: RedisBroker, *arguments: Any) -> Any:
        drain(backend)
        mirror(backend)
        return ask(broker, *arguments)

    monkeypatch.setattr(RedisBroker, verb, overtaken)
    report = action([job.id])

    assert report.done == ()
    assert "ended" in str(report.refused)
    assert (row_of(job).state, row_of(job).attempt) == (State.SUCCESSFUL, 1)
    assert backend.broker.missing([job.id]) == [job.id]


@pytest.mark.parametrize(("action", "state"), [(control.run_now, State.READY), (control.cancel, State.CANCELLED)])
def test_a_job_that_redis_has_lost_is_brought_back_for_it(backend: Any, action: Action, state: State) -> None:
    job = add.using(run_after=timedelta(hours=1)).delay(1, 2)
    mirror(backend)
    empty(backend)

    assert action([job.id]).done == (job.id,)
    assert row_of(job).state == state
    mirror(backend)
    assert row_of(job).state == state
