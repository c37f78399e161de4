"""Jobs to look at and people to look at them."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone

from django_backie import control
from django_backie.models import Attempt, Job

from .support import SECOND, Control


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def make_job(now):
    """Return a function that writes a row; everything but what a test is about has a value."""

    def make(using: str = "default", **values) -> Job:
        values.setdefault("task", "tests.app.tasks.add")
        values.setdefault("queue", "default")
        values.setdefault("state", "READY")
        values.setdefault("arguments", {"a": 1, "b": 2})
        values.setdefault("enqueued_at", now)
        values.setdefault("max_attempts", 5)
        return Job.objects.using(using).create(**values)

    return make


@pytest.fixture
def make_attempt(now):
    def make(job: Job, number: int = 1, **values) -> Attempt:
        values.setdefault("worker", "web-1:1")
        values.setdefault("outcome", "failed")
        values.setdefault("started_at", now + number * SECOND)
        values.setdefault("finished_at", values["started_at"] + SECOND)
        return Attempt.objects.using(job._state.db).create(job_id=job.pk, number=number, **values)

    return make


@pytest.fixture
def user_with():
    """Return a function that makes a staff user with these permissions of ours."""

    def make(*codenames: str, name: str = "staff"):
        user = get_user_model().objects.create_user(name, is_staff=True)
        found = Permission.objects.filter(content_type__app_label="django_backie", codename__in=codenames)
        assert len(found) == len(codenames)
        user.user_permissions.set(found)
        return user

    return make


@pytest.fixture
def client_with(client, user_with):
    """Return a function that logs a staff user with these permissions in."""

    def make(*codenames: str):
        client.force_login(user_with(*codenames))
        return client

    return make


@pytest.fixture
def root(client):
    """Return a client of a superuser."""
    client.force_login(get_user_model().objects.create_superuser("root"))
    return client


@pytest.fixture
def fake_control(monkeypatch) -> Control:
    fake = Control()
    for name in ("retry", "cancel", "run_now"):
        monkeypatch.setattr(control, name, fake.verb(name))
    return fake
