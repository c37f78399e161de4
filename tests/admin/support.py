"""What the tests of the admin share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.urls import reverse

from django_backie import control
from django_backie.models import Job

LIST = "/admin/django_backie/job/"
SECOND = timedelta(seconds=1)

# A job is looked for in every database that holds jobs.
uses_databases = pytest.mark.django_db(databases=["default", "other"])


def page_of(job: Job, view: str = "change") -> str:
    """Return the address of one of a job's pages."""
    return reverse(f"admin:django_backie_job_{view}", args=[job.pk])


def text_of(response) -> str:
    """Return the HTML of a page."""
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def rows_of(response) -> list[Job]:
    """Return the jobs that a list shows."""
    return list(response.context["cl"].result_list)


def told(response) -> list[str]:
    """Return the messages that a page shows."""
    return [str(message) for message in response.context["messages"]]


@dataclass
class Control:
    """Stands in for ``control``: notes what it is asked for and does what the test says."""

    calls: list[tuple[str, tuple[str, ...], dict]] = field(default_factory=list)
    refusing: dict[str, str] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    error: Exception | None = None

    def verb(self, name: str):
        def carry_out(ids, **options):
            ids = tuple(ids)
            self.calls.append((name, ids, options))
            if self.error is not None:
                raise self.error
            done = tuple(key for key in ids if key not in self.refusing and key not in self.running)
            refused = tuple((key, self.refusing[key]) for key in ids if key in self.refusing)
            return control.Report(done, refused, tuple(key for key in ids if key in self.running))

        return carry_out
