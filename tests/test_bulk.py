"""Values on their way into the tables are what Django itself would have written."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_backie import outbox
from django_backie.bulk import Values
from django_backie.core import codec, ids
from django_backie.core.options import Options
from django_backie.models import Job as JobRow
from django_backie.moments import moment
from django_backie.outbox import Entry

from .rows import CREATED, SIGNER, make_job

pytestmark = pytest.mark.django_db

# Whole seconds, milliseconds, before 1970, the hour that a summer's end repeats, the first and the last year.
TIMES = (0.0, 0.001, -0.001, -1.5, CREATED, 1_700_000_000.0, 1_700_000_000.999, 1_729_991_400.25, 1_729_995_000.25)
EDGES = (-62_135_596_000.0, 253_402_214_400.0)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns")


def written(name: str, value: Any) -> str:
    """Return what Django writes into a column, as text."""
    return str(JobRow._meta.get_field(name).get_db_prep_save(value, connection))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("use_tz", [True, False])
def test_a_time_is_written_as_django_writes_it(settings: Any, zone: str, use_tz: bool) -> None:
    settings.USE_TZ, settings.TIME_ZONE = use_tz, zone
    values = Values("default")

    for seconds in TIMES if zone != "UTC" else (*TIMES, *EDGES):
        assert values.time(seconds) == written("enqueued_at", moment(seconds)), seconds
    assert values.time(None) is None


@pytest.mark.parametrize("seconds", ["soon", [1], float("nan"), float("inf"), 1e15])
def test_what_is_no_time_is_refused_as_a_bad_value(seconds: Any) -> None:
    with pytest.raises((ArithmeticError, TypeError, ValueError)):
        Values("default").time(seconds)


def test_an_id_is_written_as_django_writes_it() -> None:
    job_id = ids.new_key()

    assert Values("default").id(job_id) == written("id", job_id)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize("run_after", [None, CREATED + 3600.25])
def test_a_row_of_the_outbox_is_the_one_that_the_orm_would_write(
    settings: Any, zone: str, use_tz: bool, run_after: float | None
) -> None:
    settings.USE_TZ, settings.TIME_ZONE = use_tz, zone
    job = make_job(queue="ä", priority=-3, args=["☃"], options=Options(max_attempts=7), run_after=run_after)
    packed = codec.pack(job, SIGNER, 1000)
    arguments = {"text": "☃ \" \\ ' % %s", "list": [1, 2.5, None, True], "none": {}}
    outbox.write([Entry(job, packed, arguments)], "default")
    twin = JobRow(
        id=ids.new_key(),
        task=job.task,
        backend=job.backend,
        queue=job.queue,
        priority=job.priority,
        state="READY" if run_after is None else "SCHEDULED",
        arguments=arguments,
        body=packed.body,
        max_attempts=7,
        enqueued_at=moment(job.created),
        run_after=moment(run_after),
    )
    twin.save(force_insert=True)

    with connection.cursor() as cursor:
        # What is in the columns, not what the model makes of it.
        cursor.execute(f"SELECT * FROM {JobRow._meta.db_table}")  # noqa: S608
        first, second = cursor.fetchall()
    differing = [
        field.name
        for field, *values in zip(JobRow._meta.concrete_fields, first, second, strict=True)
        if values[0] != values[1]
    ]
    assert differing == ["id"]
    assert len(str(first[0])) == len(str(second[0]))


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the others take values, not JSON")
def test_letters_are_sent_as_they_are_for_a_server_with_another_encoding_than_ours() -> None:
    job = make_job(queue="ä")
    with CaptureQueriesContext(connection) as captured:
        outbox.write([Entry(job, codec.pack(job, SIGNER, 1000), {"name": "é"})], "default")

    assert "ä" in captured[0]["sql"]
    assert "\\u00" not in captured[0]["sql"]
