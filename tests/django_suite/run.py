"""Run Django's own ``tests/tasks`` with our backends in the place of Django's.

    python tests/django_suite/run.py                  # needs a Redis at BACKIE_TEST_REDIS_URL, REDIS_URL or localhost
    python tests/django_suite/run.py --sdist django-6.1.3.tar.gz

The tests come from the source distribution of the installed Django, downloaded by pip into a temporary directory. In
their text the paths of Django's dummy and immediate backends are replaced by ours, and the test of each that wants an
``enqueue()`` inside a transaction to act at once gets ``ENQUEUE_ON_COMMIT: False``. Nothing else is changed. A test
that does not apply is named below with the reason, and must fail: one that passes has to come off the list.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2]))

import django  # noqa: E402
from django.conf import settings  # noqa: E402

TYPES = "datetimes are accepted and come back exact; what is refused is refused as UnserializableValue, a TypeError"
RESULTS_KEPT = "our immediate backend keeps results, so that code under test may ask for them"
NOT_IN_PLACE = "the test changes the kept result in memory; ours is in Redis"

# variant -> test -> why it does not apply
NOT_APPLICABLE = {
    "testing": {
        "test_tasks.TaskTestCase.test_enqueue_with_invalid_argument": TYPES,
        "test_tasks.TaskTestCase.test_aenqueue_with_invalid_argument": TYPES,
        "test_immediate_backend.ImmediateBackendTestCase.test_complex_return_value": (
            "the job fails as asked, but with UnserializableValue, a TypeError that says more"
        ),
        "test_immediate_backend.ImmediateBackendTestCase.test_cannot_get_result": RESULTS_KEPT,
        "test_immediate_backend.ImmediateBackendTestCase.test_cannot_refresh_result": RESULTS_KEPT,
        "test_immediate_backend.ImmediateBackendTestCase.test_cannot_pass_run_after": (
            "our immediate backend takes a run_after; the job stays scheduled"
        ),
    },
    "redis": {
        "test_tasks.TaskTestCase.test_enqueue_with_invalid_argument": TYPES,
        "test_tasks.TaskTestCase.test_aenqueue_with_invalid_argument": TYPES,
        "test_dummy_backend.DummyBackendTestCase.test_refresh_result": NOT_IN_PLACE,
        "test_dummy_backend.DummyBackendTestCase.test_refresh_result_async": NOT_IN_PLACE,
    },
}
LABELS = {
    "testing": [
        "tasks.test_dummy_backend",
        "tasks.test_immediate_backend",
        "tasks.test_tasks",
        "tasks.test_custom_backend",
    ],
    "redis": ["tasks.test_dummy_backend", "tasks.test_tasks"],
}
DUMMY = {"testing": "django_backie.testing", "redis": "tests.django_suite.shim"}
CLASS = {"testing": "DummyBackend", "redis": "RedisBackend"}


def main() -> int:
    """Run both variants, each in a process of its own."""
    options = _options()
    if django.VERSION < (6, 0):
        _say("Skipped: Django 5.2 has no django.tasks, and the backport's source distribution contains no tests.")
        return 0
    if options.variant:
        return _run(options.variant, Path(options.work))
    with tempfile.TemporaryDirectory() as directory:
        sdist = Path(options.sdist) if options.sdist else _download(Path(directory))
        failed = 0
        for variant in LABELS:
            _unpack(sdist, Path(directory) / variant, variant)
            command = [
                sys.executable,
                str(HERE),
                "--variant",
                variant,
                "--work",
                str(Path(directory) / variant),
            ]
            failed += subprocess.run(command, check=False).returncode != 0
    return 1 if failed else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sdist", help="a source distribution that is here already")
    parser.add_argument("--variant", choices=LABELS, help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    return parser.parse_args()


def _download(directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "django"]
    subprocess.run([*command, f"django=={django.__version__}", "--dest", str(directory)], check=True)
    return next(directory.glob("*.tar.gz"))


def _unpack(sdist: Path, target: Path, variant: str) -> None:
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            if "/tests/tasks/" in member.name and member.name.endswith(".py"):
                file = archive.extractfile(member)
                path = target / "tasks" / Path(member.name).name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(_substituted(file.read().decode(), variant) if file else "")


def _substituted(text: str, variant: str) -> str:
    dummy = "django.tasks.backends.dummy"
    text = text.replace(f"{dummy}.DummyBackend", f"{DUMMY[variant]}.{CLASS[variant]}")
    text = text.replace(
        f"from {dummy} import DummyBackend", f"from {DUMMY[variant]} import {CLASS[variant]} as DummyBackend"
    )
    text = text.replace("django.tasks.backends.immediate", "django_backie.testing")
    head, mark, tail = text.rpartition('    @override_settings(\n        TASKS={\n            "default": {\n')
    if "test_doesnt_wait_until_transaction_commit_by_default" not in tail:
        return text
    return head + mark + '                "OPTIONS": {"ENQUEUE_ON_COMMIT": False},\n' + tail


def _run(variant: str, directory: Path) -> int:
    sys.path.insert(0, str(directory))
    settings.configure(
        SECRET_KEY="not a secret",
        INSTALLED_APPS=["django_backie"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        TASKS={"default": {"BACKEND": f"{DUMMY[variant]}.{CLASS[variant]}"}},
        USE_TZ=False,
    )
    django.setup()
    from django.test.runner import DiscoverRunner

    runner = DiscoverRunner(verbosity=0)
    suite = runner.build_suite(LABELS[variant])
    tests = {_name(test) for test in suite}
    runner.setup_test_environment()
    old = runner.setup_databases()
    result: Any = unittest.TestResult()
    try:
        suite.run(result)
    finally:
        runner.teardown_databases(old)
        if variant == "redis":
            from tests.django_suite import shim

            shim.tidy()
    return _report(variant, tests, [*result.failures, *result.errors])


def _name(test: Any) -> str:
    return str(getattr(test, "test_case", test).id()).removeprefix("tasks.")


def _report(variant: str, tests: set[str], problems: list[tuple[Any, str]]) -> int:
    expected = {name: why for name, why in NOT_APPLICABLE[variant].items() if name in tests}
    failed = {_name(test): text for test, text in problems}
    for name, text in failed.items():
        if name not in expected:
            _say(f"FAILED {name}\n{text}")
    surprises = sorted(set(expected) - set(failed))
    for name in surprises:
        _say(f"PASSES NOW, take it off the list: {name}")
    _say(f"\nDjango {django.__version__}, tests/tasks, {variant}: {len(tests - set(failed))} of {len(tests)} pass.")
    for name, why in expected.items():
        _say(f"  does not apply: {name}: {why}")
    return 1 if surprises or set(failed) - set(expected) else 0


if __name__ == "__main__":
    sys.exit(main())
