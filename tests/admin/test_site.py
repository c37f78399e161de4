"""The admin on any site, with or without the apps around it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.contrib import admin
from django.test import override_settings
from django.urls import path

from django_backie.admin import JobAdmin
from django_backie.models import Attempt, Job

from .support import text_of, uses_databases

own_site = admin.AdminSite(name="backstage")
own_site.register(Job, JobAdmin)
urlpatterns = [path("backstage/", own_site.urls)]


def test_jobs_are_registered_by_autodiscovery():
    assert type(admin.site._registry[Job]) is JobAdmin


def test_attempts_have_no_pages_of_their_own():
    assert Attempt not in admin.site._registry


def test_the_checks_of_the_admin_find_nothing():
    assert JobAdmin(Job, admin.site).check() == []


@uses_databases
@override_settings(ROOT_URLCONF=__name__)
def test_every_page_works_on_a_site_of_ones_own(root, make_job, fake_control):
    job = make_job(state="FAILED")
    base = "/backstage/django_backie/job/"
    for url in (base, f"{base}{job.pk}/change/", f"{base}{job.pk}/history/"):
        assert "/admin/django_backie" not in text_of(root.get(url))
    response = root.post(f"{base}{job.pk}/retry/")
    assert response.url == f"{base}{job.pk}/change/"


@uses_databases
@override_settings(ROOT_URLCONF=__name__)
def test_the_question_before_cancelling_works_on_a_site_of_ones_own(root, make_job, fake_control):
    data = {"action": "cancel_jobs", "_selected_action": [make_job().pk, make_job().pk], "index": "0"}
    assert "/backstage/django_backie/job/" in text_of(root.post("/backstage/django_backie/job/", data))


@uses_databases
def test_a_subclass_may_add_a_column_of_the_model(root, make_job, monkeypatch):
    monkeypatch.setattr(JobAdmin, "list_display", (*JobAdmin.list_display, "priority"))
    make_job(priority=77)
    assert 'class="field-priority"' in text_of(root.get("/admin/django_backie/job/"))


WITHOUT = {
    "the admin": ["django.contrib.auth", "django.contrib.contenttypes", "django_backie"],
    "admin, auth and contenttypes": ["django_backie"],
    "django_backie itself": [],
}


@pytest.mark.parametrize("apps", WITHOUT.values(), ids=WITHOUT)
def test_importing_the_package_is_safe_without(apps):
    code = f"""
import django
from django.conf import settings
settings.configure(INSTALLED_APPS={apps!r}, SECRET_KEY="x", TEMPLATES=[
    {{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}}])
django.setup()
import django_backie.admin
from django.template import engines
engines["django"].from_string("")
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


def test_importing_the_package_is_safe_before_the_apps_are_ready():
    subprocess.run([sys.executable, "-W", "ignore", "-c", "import django_backie.admin"], check=True, timeout=60)
