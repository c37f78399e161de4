"""Addresses for pages of users: ``path("jobs/", include("django_backie.urls"))``."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "django_backie"
urlpatterns = [path("progress/<str:handle>/", views.progress, name="progress")]
