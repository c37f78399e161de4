"""Settings for the benchmarks of scale: the admin over a PostgreSQL database of their own.

The server is that of the tests: BACKIE_TEST_PG_HOST, _PORT, _USER, _PASSWORD. The database is BACKIE_SCALE_DB.
"""

from __future__ import annotations

import os

SECRET_KEY = "not a secret"  # noqa: S105
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "benchmarks.scale.urls"
ALLOWED_HOSTS = ["*"]
STATIC_URL = "/static/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_backie",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ.get("BACKIE_TEST_PG_HOST", "127.0.0.1"),
        "PORT": os.environ.get("BACKIE_TEST_PG_PORT", "5432"),
        "USER": os.environ.get("BACKIE_TEST_PG_USER", "backie"),
        "PASSWORD": os.environ.get("BACKIE_TEST_PG_PASSWORD", ""),
        "NAME": os.environ.get("BACKIE_SCALE_DB", "backie_scale"),
    }
}
TASKS = {
    "default": {
        "BACKEND": "django_backie.backend.RedisBackend",
        "OPTIONS": {
            "URL": os.environ.get("BACKIE_SCALE_REDIS", "redis://localhost:6379/0"),
            "NAMESPACE": "scale",
            "TASK_MODULES": ["benchmarks.scale.tasks"],
        },
    }
}
