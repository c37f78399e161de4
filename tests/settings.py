"""Settings of the test suite; databases and server come from the environment."""

from __future__ import annotations

import os

SECRET_KEY = "not a secret"
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
ROOT_URLCONF = "tests.urls"
ALLOWED_HOSTS = ["*"]
STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_backie",
    "tests.app",
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


def _server(vendor: str) -> dict[str, object]:
    prefix = {"postgresql": "BACKIE_TEST_PG_", "mariadb": "BACKIE_TEST_MARIADB_"}[vendor]
    engine = {"postgresql": "django.db.backends.postgresql", "mariadb": "django.db.backends.mysql"}[vendor]
    names = {"HOST": "", "PORT": "", "USER": "backie", "PASSWORD": "", "NAME": "backie"}
    return {"ENGINE": engine, **{name: os.environ.get(prefix + name, value) for name, value in names.items()}}


def _sqlite(name: str) -> dict[str, object]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("BACKIE_TEST_SQLITE_DIR", "") + name,
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        "TEST": {"NAME": ":memory:" if name == ":memory:" else name},
    }


DATABASE_VENDOR = os.environ.get("BACKIE_TEST_DB", "sqlite")
if DATABASE_VENDOR == "mariadb":
    import pymysql

    # Django asks for mysqlclient, which needs a compiler; PyMySQL answers in its place.
    pymysql.version_info = (2, 2, 7, "final", 0)
    pymysql.install_as_MySQLdb()

if DATABASE_VENDOR == "sqlite":
    DATABASES = {"default": _sqlite(":memory:"), "other": _sqlite(":memory:")}
else:
    DATABASES = {
        "default": _server(DATABASE_VENDOR),
        "other": {**_server(DATABASE_VENDOR), "TEST": {"NAME": "test_backie_other"}},
    }

REDIS = os.environ.get("BACKIE_TEST_REDIS_URL") or os.environ.get("REDIS_URL") or "redis://localhost:6379/0"
NAMESPACE = f"test-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}"
TASKS = {
    "default": {
        "BACKEND": "django_backie.backend.RedisBackend",
        "OPTIONS": {"URL": REDIS, "NAMESPACE": NAMESPACE, "DATABASES": ["default", "other"]},
    },
    "now": {
        "BACKEND": "django_backie.backend.RedisBackend",
        "OPTIONS": {"URL": REDIS, "NAMESPACE": f"{NAMESPACE}-now", "DATABASES": [], "DURABILITY": "now"},
    },
}
