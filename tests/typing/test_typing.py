"""The types that users see, checked by mypy --strict."""

from __future__ import annotations

from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api", reason="mypy is not installed; it is part of the lint group")
pytest.importorskip("mypy_django_plugin", reason="django-stubs is not installed; it is part of the lint group")

HERE = Path(__file__).resolve().parent

CONFIG = """
[mypy]
strict = true
warn_unused_ignores = true
follow_imports = silent
plugins = mypy_django_plugin.main
[mypy.plugins.django-stubs]
django_settings_module = tests.settings
"""


def test_mypy_finds_every_wrong_call_and_no_other(tmp_path: Path) -> None:
    config = tmp_path / "mypy.ini"
    config.write_text(CONFIG)
    cache = HERE.parents[1] / ".mypy_cache" / "user_code"
    out, err, status = api.run(["--config-file", str(config), "--cache-dir", str(cache), str(HERE / "user_code.py")])
    assert (status, err) == (0, ""), out + err
