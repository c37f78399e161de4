"""``backie erase`` finds a person's jobs by an argument, whatever its name, on every database."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_backie.models import Job
from tests.app.tasks import echo

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def erase(**options: Any) -> None:
    call_command("backie", "erase", yes=True, **options)


def left() -> list[Any]:
    return sorted(job.arguments["kwargs"]["who"] for job in Job.objects.all())


@pytest.mark.parametrize("value", ["ann@example.org", 7, True, None, 1.5])
def test_jobs_are_found_by_a_value_of_any_type(backend: Any, value: Any) -> None:
    result = echo.delay(value=value, who="erased")
    echo.delay(value="other", who="kept")
    text = {True: "true", None: "null"}.get(value, str(value))
    erase(arg=f"kwargs.value={text}")
    assert left() == ["kept"]
    assert backend.broker.missing([result.id]) == [result.id]


def test_an_argument_may_bear_the_name_of_a_lookup(backend: Any) -> None:
    echo.delay(contains="x", who="kept")
    echo.delay(contains="who", who="erased")
    erase(arg="kwargs.contains=who")
    assert left() == ["kept"]


def test_nothing_is_a_pattern(backend: Any) -> None:
    echo.delay(email="ann@example.org", who="kept")
    erase(arg="kwargs.email__icontains=ann")
    erase(arg="kwargs.email=%")
    assert left() == ["kept"]


def test_jobs_of_a_backend_that_is_gone_are_erased_too(backend: Any) -> None:
    result = echo.delay(who="erased")
    Job.objects.filter(pk=result.id).update(backend="former")
    call_command("backie", "erase", result.id, yes=True)
    assert left() == []


def test_without_a_person_to_ask_nothing_is_erased(backend: Any) -> None:
    result = echo.delay(who="kept")
    with pytest.raises(CommandError, match="--yes"):
        call_command("backie", "erase", result.id)
    assert left() == ["kept"]
