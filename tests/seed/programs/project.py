"""What the post's programs lack: settings."""

import os

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="not a secret",
    INSTALLED_APPS=["django_backie"],
    TASKS={
        "default": {
            "BACKEND": "django_backie.backend.RedisBackend",
            "OPTIONS": {
                "URL": os.environ["REDIS_URL"],
                "NAMESPACE": os.environ["NAMESPACE"],
                "DURABILITY": "now",
                "DATABASES": [],
            },
        }
    },
)
django.setup()
