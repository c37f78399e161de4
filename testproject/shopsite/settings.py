"""Settings of the shop. Everything that differs between machines comes from the environment.

REDIS_URL        where the jobs are kept; else what ``dev.py demo`` left in SHOP_DATA_DIR; else localhost
SHOP_NAMESPACE   prefix of the keys in Redis
SHOP_DATA_DIR    directory of the SQLite file
SHOP_DB_ENGINE   sqlite (default), postgresql or mariadb; with SHOP_DB_NAME, _USER, _PASSWORD, _HOST and _PORT
SHOP_STUB_PORT   port of the payment provider and the metric sink (``manage.py stubs``)
SHOP_SMTP_PORT   port of the mail server (``manage.py stubs``)
SHOP_REVIEW_AFTER  seconds between the confirmation and the request for a review
DEBUG            1 (default) or 0
"""

import os
from pathlib import Path

import django

env = os.environ.get

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env("SHOP_DATA_DIR", str(BASE_DIR.parent / ".backie")))
DATA_DIR.mkdir(parents=True, exist_ok=True)

SECRET_KEY = env("SECRET_KEY", "a-demo-may-have-its-secret-in-the-repository")
DEBUG = env("DEBUG", "1") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_backie",
    "shop",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

if django.VERSION >= (6, 0):
    MIDDLEWARE.append("django.middleware.csp.ContentSecurityPolicyMiddleware")
    SECURE_CSP = {"default-src": ["'self'"], "img-src": ["'self'", "data:"]}

ROOT_URLCONF = "shopsite.urls"
WSGI_APPLICATION = "shopsite.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- the jobs -----------------------------------------------------------------------------------------------


def redis_url() -> str:
    """Return REDIS_URL, or the address of the running demo, so that ``manage.py`` sees the same jobs."""
    left_by_demo = DATA_DIR / "redis-url"
    if url := env("REDIS_URL"):
        return url
    return left_by_demo.read_text().strip() if left_by_demo.exists() else "redis://localhost:6379/0"


TASKS = {
    "default": {
        "BACKEND": "django_backie.backend.RedisBackend",
        "OPTIONS": {
            "URL": redis_url(),
            "NAMESPACE": env("SHOP_NAMESPACE", "shop"),
            # Requests for a review wait behind confirmations, but not for ever on the day of a sale.
            "AGEING": {"mail": 500},
        },
    }
}

# --- the database -------------------------------------------------------------------------------------------

SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": DATA_DIR / "shop.sqlite3",
    "OPTIONS": {
        # Readers do not wait for the writer; writers queue up at BEGIN instead of failing halfway.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    },
}


def server_database(engine: str) -> dict[str, object]:
    """Return the settings of a PostgreSQL or MariaDB database named in the environment."""
    return {
        "ENGINE": f"django.db.backends.{engine}",
        "NAME": env("SHOP_DB_NAME", "shop"),
        "USER": env("SHOP_DB_USER", ""),
        "PASSWORD": env("SHOP_DB_PASSWORD", ""),
        "HOST": env("SHOP_DB_HOST", ""),
        "PORT": env("SHOP_DB_PORT", ""),
    }


DB_ENGINE = env("SHOP_DB_ENGINE", "sqlite")
if DB_ENGINE in {"mariadb", "mysql"}:
    import pymysql

    pymysql.version_info = (2, 2, 7, "final", 0)  # Django asks for this mysqlclient; PyMySQL stands in for it
    pymysql.install_as_MySQLdb()
    DATABASES = {"default": server_database("mysql")}
elif DB_ENGINE == "postgresql":
    DATABASES = {"default": server_database("postgresql")}
else:
    DATABASES = {"default": SQLITE}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- the world outside --------------------------------------------------------------------------------------

SHOP_STUB_PORT = int(env("SHOP_STUB_PORT", "8801"))
SHOP_SMTP_PORT = int(env("SHOP_SMTP_PORT", "8825"))
SHOP_STUB_URL = f"http://127.0.0.1:{SHOP_STUB_PORT}"
SHOP_REVIEW_AFTER = float(env("SHOP_REVIEW_AFTER", "60"))

DEFAULT_FROM_EMAIL = "Backie Bicycles <orders@backie.example>"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"OPTIONS": {"host": "127.0.0.1", "port": SHOP_SMTP_PORT, "timeout": 10}}}
else:
    EMAIL_HOST = "127.0.0.1"
    EMAIL_PORT = SHOP_SMTP_PORT
    EMAIL_TIMEOUT = 10

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
