"""Bodies that nobody of ours has written: they are parked and shown, and the jobs around them run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import reverse

from django_backie import control
from django_backie.core import codec, ids
from django_backie.core.codec import Signer
from django_backie.core.job import Packed
from django_backie.core.states import State
from django_backie.duties.release import Release
from django_backie.models import Attempt, Job

from .app.tasks import add, fail
from .helpers import drain, mirror
from .rows import SIGNER, make_job

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

LIMIT = 10_000


def good(job_id: str, **values: Any) -> str:
    return codec.pack(make_job(id=job_id, args=[1, 2], **values), SIGNER, LIMIT).body


def signed(job_id: str, envelope: str, priority: str = "0") -> str:
    signature = SIGNER.sign(codec._signed(job_id, "default", priority, envelope))
    return f"1\ndefault\n{priority}\n{signature}\n{envelope}"


def envelope(**fields: Any) -> str:
    return json.dumps({"t": "tests.app.tasks.add", "c": 1_700_000_000_000, "a": [1, 2], **fields})


HOSTILE = {
    "nothing": lambda job_id: "",
    "binary": lambda job_id: "\x00\x01\x1b[2J\ufffd",
    "lines": lambda job_id: "\n" * 10,
    "another id's": lambda job_id: good(ids.new_key()),
    "another key's": lambda job_id: codec.pack(make_job(id=job_id, args=[1, 2]), Signer.of(["leaked"]), LIMIT).body,
    "another queue": lambda job_id: good(job_id).replace("default", "paid", 1),
    "another priority": lambda job_id: good(job_id).replace("\n0\n", "\n99\n", 1),
    "absurd priority": lambda job_id: good(job_id).replace("\n0\n", f"\n{'9' * 30}\n", 1),
    "endless queue": lambda job_id: good(job_id).replace("default", "q" * 500, 1),
    "queue with NUL": lambda job_id: good(job_id).replace("default", "\x00", 1),
    "other arguments": lambda job_id: good(job_id).replace("[1,2]", "[1,3]", 1),
    "cut": lambda job_id: good(job_id)[:-5],
    "earlier version": lambda job_id: good(job_id).replace("1", "0", 1),
    "large": lambda job_id: good(job_id) + " " * 1_000_000,
    "signed, no JSON": lambda job_id: signed(job_id, "{"),
    "signed, no envelope": lambda job_id: signed(job_id, "[]"),
    "signed, task that is a number": lambda job_id: signed(job_id, envelope(t=5)),
    "signed, levels": lambda job_id: signed(job_id, envelope(a=["x"]).replace('"x"', "[" * 500 + "]" * 500)),
    "signed, levels without end": lambda job_id: signed(job_id, "[" * 100_000),
    "signed, NaN": lambda job_id: signed(job_id, envelope(a=[float("nan")])),
    "signed, no decimal": lambda job_id: signed(job_id, envelope(a=[{"__t": "n", "v": "abc"}])),
    "signed, endless time": lambda job_id: signed(job_id, envelope(c=10**400)),
    "signed, absurd priority": lambda job_id: signed(job_id, envelope(), "9" * 30),
}


def put(backend: Any, body_of: Any, run_after: float | None = None) -> str:
    """Put a body where a job belongs, as whoever may write to Redis can."""
    job_id = ids.new_key()
    backend.broker.enqueue([Packed(job_id, "default", 0, body_of(job_id), run_after)])
    return job_id


def test_hostile_bodies_are_parked_and_the_jobs_around_them_run(backend: Any, admin_client: Any) -> None:
    before = add.delay_many([(1, 2)] * 3)
    hostile = {put(backend, body_of): name for name, body_of in HOSTILE.items()}
    after = add.delay_many([(3, 4)] * 3)

    worker = drain(backend)

    for result in (*before, *after):
        result.refresh()
    assert [result.return_value for result in (*before, *after)] == [3, 3, 3, 7, 7, 7]
    found = backend.broker.inspect([*hostile])
    assert {hostile[key]: shot.record.state for key, shot in found.items()} == dict.fromkeys(HOSTILE, State.BLOCKED)
    assert {shot.record.reason.partition(":")[0] for shot in found.values()} == {"unreadable body"}
    assert {(shot.record.attempt, shot.record.crashes) for shot in found.values()} == {(0, 0)}
    assert backend.broker.turn(worker.name).held == 0

    mirror(backend)

    rows = {hostile[str(row.pk)]: row for row in Job.objects.filter(pk__in=hostile)}
    # Of nothing there is no row: a job without a body has been erased.
    assert {name: row.state for name, row in rows.items()} == dict.fromkeys(HOSTILE.keys() - {"nothing"}, "BLOCKED")
    assert all(row.reason.startswith("unreadable body: ") for row in rows.values())
    listing = admin_client.get(reverse("admin:django_backie_job_changelist"), {"state": "BLOCKED"})
    assert listing.status_code == 200
    for row in rows.values():
        page = admin_client.get(reverse("admin:django_backie_job_change", args=[row.pk]))
        assert page.status_code == 200
        assert "unreadable body" in page.content.decode()


@pytest.mark.parametrize("name", ["absurd priority", "lines", "binary", "other arguments"])
def test_a_damaged_body_that_comes_due_does_not_stop_time_for_the_others(backend: Any, name: str) -> None:
    broker = backend.broker
    damaged = put(backend, HOSTILE[name], run_after=4_000_000_000)
    broker.client.zadd(broker.keys["s"], {damaged: 1})
    result = add.delay(1, 2)

    assert broker.tick(0).promoted == 1
    broker.join("dying")
    assert {lease.id for lease in broker.turn("dying", limit=10).leases} == {damaged, result.id}
    assert broker.bury("dying") == 2
    assert broker.tick(0) is not None
    drain(backend)

    result.refresh()
    assert result.state is State.SUCCESSFUL
    assert broker.inspect([damaged])[damaged].record.state is State.BLOCKED


def test_a_parked_body_is_parked_again_when_a_person_runs_it(backend: Any) -> None:
    hostile = put(backend, HOSTILE["other arguments"])
    drain(backend)
    mirror(backend)

    assert control.run_now([hostile]).done == (hostile,)
    drain(backend)
    mirror(backend)

    row = Job.objects.get(pk=hostile)
    assert (row.state, row.attempt, row.task) == ("BLOCKED", 0, "?")
    assert Attempt.objects.count() == 0


# The keys.


def test_a_body_signed_with_a_former_key_runs_while_the_key_is_a_fallback(backend: Any, settings: Any) -> None:
    settings.SECRET_KEY = "former"
    result = add.delay(1, 2)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "present", ["other", "former"]
    drain(backend)

    result.refresh()
    assert result.return_value == 3


def test_a_body_signed_with_a_key_to_come_runs_where_it_is_a_fallback_already(backend: Any, settings: Any) -> None:
    settings.SECRET_KEY = "to come"
    result = add.delay(1, 2)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "present", ["to come"]
    drain(backend)

    result.refresh()
    assert result.return_value == 3


def test_a_body_whose_key_is_gone_is_parked_unharmed_until_it_is_back(backend: Any, settings: Any) -> None:
    settings.SECRET_KEY = "former"
    result = add.delay(1, 2)
    settings.SECRET_KEY = "present"
    drain(backend)
    mirror(backend)

    row = Job.objects.get(pk=result.id)
    assert (row.state, row.attempt) == ("BLOCKED", 0)
    assert row.reason.startswith(
        "unreadable body: the signature does not match: the body was written with another SECRET_KEY"
    )
    assert row.arguments == {"a": 1, "b": 2}, "the outbox has written them"

    settings.SECRET_KEY_FALLBACKS = ["former"]
    Release(backend).tick()
    drain(backend)

    result.refresh()
    assert (result.return_value, result.attempts) == (3, 1)


def test_a_failed_job_is_retried_by_hand_after_the_keys_have_changed(backend: Any, settings: Any) -> None:
    settings.SECRET_KEY = "former"
    result = fail.using(max_attempts=1).delay()
    drain(backend)
    mirror(backend)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "present", ["former"]

    assert control.retry([result.id]).done == (result.id,)
    drain(backend)
    mirror(backend)

    row = Job.objects.get(pk=result.id)
    assert (row.state, row.task, row.attempts.count()) == ("FAILED", "tests.app.tasks.fail", 2)
