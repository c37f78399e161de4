"""Settings of a Django project with one of the systems.

BENCH_PEER       whose settings
BENCH_REDIS      the URL of the server
BENCH_DATABASE   sqlite or postgresql; BENCH_SQLITE is the file, BENCH_POSTGRES the server's settings as JSON
"""

from __future__ import annotations

import json
import os

PEER = os.environ.get("BENCH_PEER", "django-backie")

SECRET_KEY = "not a secret"  # noqa: S105
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]

if os.environ.get("BENCH_DATABASE") == "postgresql":
    DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", **json.loads(os.environ["BENCH_POSTGRES"])}}
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("BENCH_SQLITE", ":memory:"),
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
            },
        }
    }

BACKENDS = {
    "django-backie": {
        "BACKEND": "django_backie.backend.RedisBackend",
        "OPTIONS": {
            "URL": os.environ.get("BENCH_REDIS"),
            "NAMESPACE": "bench",
            "TASK_MODULES": ["benchmarks.peers.django_backie"],
        },
    },
    "django-ox": {"BACKEND": "django_ox.backend.OxBackend"},
    "django-tasks-db": {"BACKEND": "django_tasks_db.DatabaseBackend"},
}
if PEER in BACKENDS:
    INSTALLED_APPS.append(PEER.replace("-", "_"))
    TASKS = {"default": BACKENDS[PEER]}
