"""The settings of the processes that a campaign starts: nothing of the project's is in them."""

from __future__ import annotations

from .layout import LEASE, NAMESPACE, Layout

_layout = Layout.read()

SECRET_KEY = _layout.secret
USE_TZ = True
INSTALLED_APPS = ["django_backie"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": _layout.database}
TASKS = {
    "default": {
        "BACKEND": "django_backie.backend.RedisBackend",
        "OPTIONS": {
            "URL": _layout.redis,
            "NAMESPACE": NAMESPACE,
            "LEASE": LEASE,
            "TASK_MODULES": ["django_backie.chaos.tasks"],
        },
    }
}
