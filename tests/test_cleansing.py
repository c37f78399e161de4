"""What people may read of a job's arguments."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from django_backie import cleansing
from django_backie.cleansing import STARS, cleanse, scrub, secrets_in


@pytest.mark.parametrize(
    "name",
    ["password", "PASSWORD", "user_password", "api_key", "apiKey", "token", "secret", "signature", "card_number", "cvc",
     "iban", "ssn", "db_pass"],
)  # fmt: skip
def test_a_telling_name_hides_its_value(name: str) -> None:
    assert cleanse({name: "hunter2", "amount": 5}) == {name: STARS, "amount": 5}


@pytest.mark.parametrize("name", ["x" * 200 + "password", "password" * 200])
def test_a_long_name_hides_its_value_too(name: str) -> None:
    assert cleanse({"data": {name: "hunter2"}}) == {"data": {name: STARS}}


def test_names_that_are_somebodys_data_are_not_kept() -> None:
    before = cleansing._is_known_as_telling.cache_info().currsize
    cleanse({"x" * (cleansing.LONGEST_NAME + 1): 1})
    assert cleansing._is_known_as_telling.cache_info().currsize == before


def test_a_named_argument_is_hidden() -> None:
    assert cleanse({"pin": 1234, "amount": 5}, ["pin"]) == {"pin": STARS, "amount": 5}


def test_everything_can_be_hidden() -> None:
    assert cleanse({"a": 1, "b": [2]}, True) == {"a": STARS, "b": STARS}


def test_nothing_more_is_hidden_where_nothing_is_sensitive() -> None:
    assert cleanse({"a": 1}, False) == {"a": 1}


def test_secrets_are_found_at_any_depth() -> None:
    arguments = {"order": {"lines": [{"pin": 1, "sku": "x"}, ({"api_key": "k"},)]}}

    assert cleanse(arguments, ["pin"]) == {"order": {"lines": [{"pin": STARS, "sku": "x"}, [{"api_key": STARS}]]}}


def test_a_whole_structure_under_a_secret_name_is_hidden() -> None:
    assert cleanse({"token": {"a": [1, 2]}}) == {"token": STARS}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(1, 2), "01:02:00"),
        (timedelta(hours=1), "1:00:00"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("ä".encode(), "ä"),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
        ("a\x00b", "a\N{SYMBOL FOR NULL}b"),
        ("\ud800", "?"),
        ((1, 2), [1, 2]),
        ({1: 2}, {"1": 2}),
        (None, None),
        (True, True),
        (2**70, 2**70),
    ],
)
def test_a_value_becomes_readable_json(value: Any, shown: Any) -> None:
    assert cleanse({"value": value}) == {"value": shown}


@pytest.mark.parametrize("key", ["a\x00b", "\ud800"])
def test_a_key_becomes_text_that_every_database_keeps(key: str) -> None:
    text = json.dumps(cleanse({"value": {key: 1}}), ensure_ascii=False)

    assert "\\u0000" not in text
    assert text.encode()


def test_the_arguments_themselves_are_not_changed() -> None:
    arguments = {"order": {"password": "hunter2"}}
    cleanse(arguments)

    assert arguments == {"order": {"password": "hunter2"}}


def test_secret_values_are_collected_the_longest_first() -> None:
    arguments = {
        "password": "hunter2",
        "card": {"number": 4111111111111111, "holders": ["Ann Example"]},
        "amount": 12345,
    }

    assert secrets_in(arguments) == ["4111111111111111", "Ann Example", "hunter2"]


@pytest.mark.parametrize("value", ["abc", 1, None, "", True])
def test_a_value_too_short_to_tell_apart_is_no_secret(value: Any) -> None:
    assert secrets_in({"pin": [value]}, ["pin"]) == (["True"] if value is True else [])


def test_all_values_are_secrets_where_everything_is_sensitive() -> None:
    assert secrets_in({"a": "first", "b": {"c": "second"}}, True) == ["second", "first"]


def test_a_text_is_scrubbed_of_every_secret() -> None:
    assert scrub("card 4111 of 4111222, 4111", ["4111222", "4111"]) == f"card {STARS} of {STARS}, {STARS}"


def test_a_text_without_secrets_stays() -> None:
    assert scrub("nothing here", ["hunter2"]) == "nothing here"
    assert scrub("nothing here", []) == "nothing here"


def test_a_secret_is_found_as_repr_shows_it() -> None:
    secret = "line one\nline two"

    assert secret.split("\n")[1] not in scrub(str(KeyError(secret)), [secret])


def test_any_sequence_is_shown_as_a_list() -> None:
    assert cleanse({"numbers": range(3)}) == {"numbers": [0, 1, 2]}
