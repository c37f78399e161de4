"""OPTIONS as one frozen, validated value."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_backie import conf
from django_backie.core.options import DEFAULT_BACKOFF, DEFAULT_TIMEOUT
from django_backie.exceptions import ConfigurationError

WRONG: list[tuple[str, Any]] = [
    ("URL", "http://localhost"),
    ("URL", "localhost:6379"),
    ("URL", None),
    ("NAMESPACE", ""),
    ("NAMESPACE", "a{b"),
    ("NAMESPACE", "a b"),
    ("NAMESPACE", "a\nb"),
    ("NAMESPACE", 7),
    ("DATABASES", "default"),
    ("DATABASES", [1]),
    ("DURABILITY", "sometimes"),
    ("DURABILITY", None),
    ("ENQUEUE_ON_COMMIT", 1),
    ("MAX_ATTEMPTS", 0),
    ("MAX_ATTEMPTS", True),
    ("MAX_ATTEMPTS", 2.0),
    ("BACKOFF", 0),
    ("BACKOFF", []),
    ("BACKOFF", "fast"),
    ("TIMEOUT", 0),
    ("TIMEOUT", "1h"),
    ("TIMEOUT", False),
    ("HARD_TIMEOUT", 0),
    ("HARD_TIMEOUT", "2h"),
    ("WATCHDOG", -1),
    ("WATCHDOG", True),
    ("RETENTION", 0),
    ("RETENTION", timedelta(0)),
    ("RETENTION", "7 days"),
    ("RETENTION_FAILED", -1),
    ("LEASE", 2.9),
    ("LEASE", "15"),
    ("MAX_PAYLOAD", 0),
    ("MAX_PAYLOAD", 1.5),
    ("MAX_RESULT", None),
    ("MAX_QUEUE_LENGTH", 0),
    ("MAX_QUEUE_LENGTH", {"mail": "many"}),
    ("MAX_QUEUE_LENGTH", {1: 1}),
    ("AGEING", 0),
    ("AGEING", 100_000_001),
    ("AGEING", {"mail": 1.5}),
    ("TASK_MODULES", "shop.jobs"),
    ("MIDDLEWARE", "shop.jobs"),
    ("SENSITIVE", [None]),
    ("SCHEDULES", ["ping"]),
]

RIGHT: list[tuple[str, Any, Any]] = [
    ("URL", "rediss://cache:6379/1", "rediss://cache:6379/1"),
    ("URL", "unix:///run/redis.sock?db=0", "unix:///run/redis.sock?db=0"),
    ("URL", "valkey://cache", "valkey://cache"),
    ("NAMESPACE", "shop:prod", "shop:prod"),
    ("DATABASES", ["default", "other"], ("default", "other")),
    ("DATABASES", [], ()),
    ("DURABILITY", "now", "now"),
    ("ENQUEUE_ON_COMMIT", False, False),
    ("MAX_ATTEMPTS", 3, 3),
    ("BACKOFF", 2, 2.0),
    ("BACKOFF", [1, 2], (1.0, 2.0)),
    ("TIMEOUT", 30, 30),
    ("TIMEOUT", None, None),
    ("HARD_TIMEOUT", 7200, 7200),
    ("HARD_TIMEOUT", None, None),
    ("WATCHDOG", 0.5, 0.5),
    ("WATCHDOG", None, None),
    ("RETENTION", 60, timedelta(minutes=1)),
    ("RETENTION", timedelta(days=1), timedelta(days=1)),
    ("RETENTION_FAILED", 0.5, timedelta(seconds=0.5)),
    ("LEASE", 3, 3.0),
    ("MAX_PAYLOAD", 1024, 1024),
    ("MAX_RESULT", 1, 1),
    ("MAX_QUEUE_LENGTH", 100, 100),
    ("MAX_QUEUE_LENGTH", None, None),
    ("MAX_QUEUE_LENGTH", {"mail": 5, "*": 100}, (("*", 100), ("mail", 5))),
    ("AGEING", 1000, 1000),
    ("AGEING", None, None),
    ("AGEING", {"mail": 100_000_000, "*": 1}, (("*", 1), ("mail", 100_000_000))),
    ("TASK_MODULES", ["shop.jobs"], ("shop.jobs",)),
    ("MIDDLEWARE", ["shop.jobs"], ("shop.jobs",)),
    ("SENSITIVE", ["card"], ("card",)),
    ("SCHEDULES", {"ping": {"task": "shop.ping"}}, {"ping": {"task": "shop.ping"}}),
]


@pytest.mark.parametrize(("name", "value", "expected"), RIGHT)
def test_a_right_value_is_taken(name: str, value: Any, expected: Any) -> None:
    found = getattr(conf.parse("default", {name: value}), name.lower())

    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_named_with_what_it_must_be(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        conf.parse("mail", {name: value})

    assert f"TASKS['mail']['OPTIONS']: option {name!r} is {value!r}. It must be " in str(caught.value)


def test_every_option_is_tried_in_both_lists() -> None:
    assert {name for name, *_ in WRONG} == {name for name, *_ in RIGHT} == set(conf.RULES)


def test_every_option_is_a_field_of_the_configuration() -> None:
    assert {name.lower() for name in conf.RULES} == {field.name for field in fields(conf.Config)} - {"alias"}


@pytest.mark.parametrize(
    ("name", "nearest"), [("NAMESPCE", "NAMESPACE"), ("databases", "DATABASES"), ("Lease", "LEASE")]
)
def test_an_unknown_option_names_the_nearest(name: str, nearest: str) -> None:
    (problem,) = conf.problems({name: 1})

    assert problem.message == f"unknown option {name!r}, did you mean {nearest!r}?"
    assert "Known options: AGEING, BACKOFF, " in problem.hint


def test_an_option_like_no_other_has_no_nearest() -> None:
    (problem,) = conf.problems({"XYZZY": 1})

    assert problem.message == "unknown option 'XYZZY'"


@pytest.mark.parametrize("options", [{"TIMEOUT": 30, "HARD_TIMEOUT": 30}, {"HARD_TIMEOUT": 3600}])
def test_a_hard_timeout_that_leaves_the_soft_one_no_time_is_named_with_it(options: dict[str, float]) -> None:
    (problem,) = conf.problems(options)

    soft = options.get("TIMEOUT", DEFAULT_TIMEOUT)
    assert problem.message == f"option 'HARD_TIMEOUT' is {options['HARD_TIMEOUT']} and 'TIMEOUT' is {soft}"
    assert "lower TIMEOUT" in problem.hint


@pytest.mark.parametrize("options", [{"TIMEOUT": None, "HARD_TIMEOUT": 1}, {"TIMEOUT": 30, "HARD_TIMEOUT": 31}])
def test_a_hard_timeout_beyond_the_soft_one_is_taken(options: dict[str, float]) -> None:
    assert conf.parse("default", options).hard_timeout == options["HARD_TIMEOUT"]


def test_all_problems_are_told_at_once() -> None:
    found = list(conf.problems({"LEASE": 1, "NAMESPACE": "fine", "TIMEOUT": -1, "FOO": 1}))

    assert [problem.number for problem in found] == [2, 2, 1]


def test_a_wrong_option_is_also_an_error_of_django() -> None:
    with pytest.raises(ImproperlyConfigured):
        conf.parse("default", {"LEASE": 1})


def test_the_address_comes_from_the_option_the_environment_or_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    assert conf.parse("default", {}).url == "redis://localhost:6379/0"

    monkeypatch.setenv("REDIS_URL", "redis://cache:6379/5")
    assert conf.parse("default", {}).url == "redis://cache:6379/5"
    assert conf.parse("default", {"URL": "redis://other"}).url == "redis://other"


def test_an_empty_environment_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")

    assert conf.parse("default", {}).url == "redis://localhost:6379/0"


def test_every_alias_has_a_namespace_of_its_own() -> None:
    assert conf.parse("default", {}).namespace != conf.parse("mail", {}).namespace


def test_the_defaults_are_the_published_ones() -> None:
    config = conf.parse("default", {"URL": "redis://x", "NAMESPACE": "n"})

    assert config == conf.Config(alias="default", url="redis://x", namespace="n")
    assert (config.durability, config.lease, config.max_payload, config.max_result) == (
        "outbox",
        15.0,
        131072,
        65536,
    )
    assert (config.retention, config.retention_failed) == (timedelta(days=7), timedelta(days=30))
    assert (config.backoff, config.timeout) == (DEFAULT_BACKOFF, DEFAULT_TIMEOUT)
    assert (config.hard_timeout, config.watchdog) == (None, 10.0)


def test_without_databases_there_is_no_mirror() -> None:
    assert conf.parse("default", {}).mirrored
    assert not conf.parse("default", {"DATABASES": []}).mirrored


def test_a_configuration_is_frozen_and_can_be_a_key() -> None:
    config = conf.parse("default", {"DATABASES": ["default"], "BACKOFF": [1, 2]})

    with pytest.raises(AttributeError):
        config.lease = 1.0  # type: ignore[misc]
    assert hash(config) == hash(conf.parse("default", {"DATABASES": ["default"], "BACKOFF": [1, 2]}))


@pytest.mark.parametrize(
    "url", ["redis://:s3cret@host:99999999/0", "http://user:s3cret@host/", "unix:///p?password=s3cret&x=:"]
)
def test_a_wrong_address_is_shown_without_its_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", url)

    for problem in (*conf.problems({"URL": url}), *conf.problems({})):
        assert "s3cret" not in problem.message + problem.hint
