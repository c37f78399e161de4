"""Settings of the projects whose processes the lifecycle tests start: files in place of memory, a namespace each."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import REDIS

DIRECTORY = Path(os.environ["BACKIE_LIFECYCLE_DIR"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DIRECTORY / "project.sqlite3",
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
    }
}
TASKS = {
    "default": {
        "BACKEND": "django_backie.backend.RedisBackend",
        "OPTIONS": {
            "URL": os.environ.get("BACKIE_LIFECYCLE_REDIS", REDIS),
            "NAMESPACE": DIRECTORY.name,
            "TASK_MODULES": os.environ.get("BACKIE_LIFECYCLE_MODULES", "").split(),
            **json.loads(os.environ.get("BACKIE_LIFECYCLE_OPTIONS", "{}")),
        },
    }
}
if os.environ.get("BACKIE_LIFECYCLE_QUIET"):
    # A line for each of a million jobs would cost more than the jobs.
    LOGGING = {
        "version": 1,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "loggers": {"django_backie": {"handlers": ["console"], "level": "WARNING"}},
    }
