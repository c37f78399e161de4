"""Projects that have less than the usual, or other things: no admin, no auth, no database, another user model."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.lifecycle

SETTINGS = """
import os
SECRET_KEY = "x"
USE_TZ = {use_tz}
INSTALLED_APPS = {apps}
DATABASES = {databases}
TASKS = {{"default": {{"BACKEND": "django_backie.backend.RedisBackend", "OPTIONS": {{
    "URL": os.environ["REDIS_URL"], "NAMESPACE": os.environ["NAMESPACE"], **{options}}}}}}}
AUTH_USER_MODEL = "{user}"
MIDDLEWARE = []
ROOT_URLCONF = "plain_urls"
"""
SQLITE = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
USE_IT = """
import django; django.setup()
from plain.tasks import double
result = double.delay(21)
print(result.id)
from django.core.management import call_command
call_command("runworker", burst=True, verbosity=0, processes=1)
result.refresh()
assert result.return_value == 42, result
assert double.get_result(result.id).args == [21]
print("finished", result.finished_at.tzinfo)
"""


class Plain:
    """A directory with one app and settings of its own."""

    def __init__(self, directory: Path, redis_url: str, namespace: str) -> None:
        self.directory = directory
        app = directory / "plain"
        app.mkdir()
        (app / "__init__.py").touch()
        (app / "tasks.py").write_text(
            "from django_backie import task\n\n@task\ndef double(n: int) -> int:\n    return 2 * n\n"
        )
        (directory / "plain_urls.py").write_text("urlpatterns = []\n")
        self._environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "plain_settings",
            "PYTHONPATH": f"{directory}{os.pathsep}{ROOT}",
            "REDIS_URL": redis_url,
            "NAMESPACE": namespace,
        }

    def configure(
        self,
        apps: list[str],
        databases: dict[str, object],
        options: dict[str, object] | None = None,
        user: str = "auth.User",
        use_tz: bool = True,
    ) -> None:
        """Write the settings."""
        text = SETTINGS.format(apps=apps, databases=databases, options=options or {}, user=user, use_tz=use_tz)
        (self.directory / "plain_settings.py").write_text(text)

    def python(self, *arguments: str) -> str:
        """Run Python to its end and return its output."""
        done = subprocess.run(
            [sys.executable, *arguments], cwd=self.directory, env=self._environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def plain(tmp_path: Path, redis_url: str, namespace: str) -> Plain:
    return Plain(tmp_path, redis_url, namespace)


def test_it_works_without_admin_auth_and_contenttypes(plain: Plain) -> None:
    plain.configure(["django_backie", "plain"], SQLITE)
    plain.python("-m", "django", "migrate", "-v0")
    plain.python("-m", "django", "check", "--fail-level", "WARNING", "--database", "default")
    assert "finished UTC" in plain.python("-c", USE_IT)


def test_it_works_without_any_database(plain: Plain) -> None:
    plain.configure(["django_backie", "plain"], {}, {"DURABILITY": "now", "DATABASES": []})
    plain.python("-m", "django", "check", "--fail-level", "WARNING")
    assert "finished UTC" in plain.python("-c", USE_IT)


def test_it_works_without_time_zones(plain: Plain) -> None:
    plain.configure(["django_backie", "plain"], SQLITE, use_tz=False)
    plain.python("-m", "django", "migrate", "-v0")
    assert "finished None" in plain.python("-c", USE_IT)


def test_it_works_with_another_user_model(plain: Plain) -> None:
    (plain.directory / "plain" / "models.py").write_text(
        "from django.contrib.auth.models import AbstractUser\n\nclass Person(AbstractUser):\n    pass\n"
    )
    apps = ["django.contrib.auth", "django.contrib.contenttypes", "django_backie", "plain"]
    plain.configure(apps, SQLITE, user="plain.Person")
    plain.python("-m", "django", "makemigrations", "plain", "-v0")
    plain.python("-m", "django", "migrate", "-v0")
    assert "finished UTC" in plain.python("-c", USE_IT)


def test_migrations_are_complete_and_can_be_undone(plain: Plain) -> None:
    plain.configure(["django_backie", "plain"], SQLITE)
    plain.python("-m", "django", "makemigrations", "--check", "--dry-run")
    plain.python("-m", "django", "migrate", "-v0")
    plain.python("-m", "django", "migrate", "django_backie", "zero", "-v0")


def test_an_import_error_in_a_tasks_module_is_loud(plain: Plain) -> None:
    plain.configure(["django_backie", "plain"], SQLITE)
    (plain.directory / "plain" / "tasks.py").write_text("import does_not_exist\n")
    done = subprocess.run(
        [sys.executable, "-m", "django", "check"],
        cwd=plain.directory,
        env=plain._environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "does_not_exist" in done.stderr
    assert "django_backie.E008" in done.stderr
