"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DjangoBackieConfig(AppConfig):
    """Registers the checks; touches neither the database nor Redis."""

    name = "django_backie"
    verbose_name = _("Background jobs")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks of django.tasks (``django.setup()`` does not) and our own."""
        from . import checks, compat  # noqa: F401, PLC0415 - models and settings are ready only now
