"""The plugin is loaded in every pytest run of its users: it must be light, and work in a project of theirs."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = any(entry.name == "django_backie" for entry in importlib.metadata.entry_points(group="pytest11"))
# pytest refuses a plugin that it has found by its entry point already.
PLUGIN = [] if INSTALLED else ["-p", "django_backie.testing.plugin"]

PROJECT = {
    "shop/__init__.py": "",
    "shop/tasks.py": "from django_backie import task\n@task\ndef ship(order: int) -> int:\n    return order\n",
    "shop_settings.py": "SECRET_KEY = 'x'\nINSTALLED_APPS = ['django_backie', 'shop']\nUSE_TZ = True\n"
    "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}\n",
    "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = shop_settings\npythonpath = .\n",
    "test_shop.py": """
import pytest
from shop.tasks import ship

@pytest.mark.parametrize("number", range(4))
@pytest.mark.django_db
def test_an_order_is_shipped(backie, number):
    ship.delay(number)
    assert len(backie.jobs) == 1
    assert [job.return_value for job in backie.drain()] == [number]
""",
}


def _run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    wanted = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "DJANGO_"))}
    environment = {**wanted, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100)


def test_the_plugin_imports_neither_django_nor_redis() -> None:
    code = (
        "import sys; import django_backie.testing.plugin;"
        "print([name for name in sys.modules if name.split('.')[0] in ('django', 'django_tasks', 'redis', 'asgiref')])"
    )
    done = _run(sys.executable, "-c", code)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_the_fixture_works_in_a_project_of_its_own_under_xdist(tmp_path: Path) -> None:
    for name, text in PROJECT.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    done = _run(
        *(sys.executable, "-m", "pytest", "-q", "-n", "2", *PLUGIN),
        cwd=tmp_path,
    )
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_a_project_without_django_is_not_disturbed(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text("def test_plain():\n    assert True\n")
    done = _run(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:django", *PLUGIN),
        cwd=tmp_path,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
