"""Typed JSON: what is written, and what is said about what cannot be."""

from __future__ import annotations

import math
from collections import OrderedDict, UserDict
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from django.utils.translation import gettext_lazy

from django_backie.core import jsonic
from django_backie.exceptions import UnserializableValue


class Colour(StrEnum):
    RED = "red"


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, 2.5, None, True, "ä"]}, '{"a":[1,2.5,null,true,"ä"]}'),
        ((1, (2, 3)), "[1,[2,3]]"),
        (b"\xc3\xa4", '"ä"'),
        (range(3), "[0,1,2]"),
        ({2: "a", None: "b", True: "c"}, '{"2":"a","null":"b","true":"c"}'),
        (MappingProxyType({"a": 1}), '{"a":1}'),
        (UserDict(a=1), '{"a":1}'),
        (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
        (Colour.RED, '"red"'),
        (datetime(2026, 1, 2), '{"__t":"dt","v":"2026-01-02T00:00:00"}'),
        ({"__t": 1}, '{"__t":"esc","v":[["__t",1]]}'),
        ("__t", '"__t"'),
        ("\ud800", '"\\ud800"'),
    ],
)
def test_a_value_is_written_compactly(value: Any, text: str) -> None:
    assert jsonic.dumps(value) == text


@pytest.mark.parametrize("text", ["1 ", " 1", "[1]]", "[1],", "1\n", '{"__t":"n","v":"1"} '])
def test_nothing_may_stand_around_a_value(text: str) -> None:
    with pytest.raises(ValueError, match=r"something follows the value|Expecting value"):
        jsonic.loads(text)


@pytest.mark.parametrize("text", ['{"__t":"new","v":"1"}', '{"__t":1}', '{"a":"\\"__t\\""}'])
def test_an_unknown_tag_is_left_as_it_is(text: str) -> None:
    assert isinstance(jsonic.loads(text), dict)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            [{"user": object}],
            r"<class 'object'> \(type\) at \[0\]\['user'\] cannot be written as JSON; pass plain values",
        ),
        ({1, 2}, r"\{1, 2\} \(set\) cannot be written as JSON; pass a list"),
        (frozenset(), r"frozenset\(\) \(frozenset\) cannot be written as JSON; pass a list"),
        ([math.inf], r"inf \(float\) at \[0\] cannot be written as JSON; NaN and infinity are not JSON"),
        ({"a": (0, -math.inf)}, r"-inf \(float\) at \['a'\]\[1\] cannot"),
        (
            b"\xff",
            r"b'\\xff' \(bytes\) cannot be written as JSON; bytes must be UTF-8 text, encode them with base64",
        ),
        ({"a": {(1, 2): 3}}, r"key \(1, 2\) of the mapping at \['a'\] must be a string"),
        ({b"k": 1}, r"key b'k' of the mapping must be a string"),
        (SimpleNamespace(_meta=1, pk=7), r"; pass its primary key and load it in the task"),
        (gettext_lazy("yes"), r"\(__proxy__\) cannot be written as JSON; pass str\(\) of the lazy text"),
        (["x", complex(1, 2)], r"\(1\+2j\) \(complex\) at \[1\] cannot be written"),
        (10**5000, r"cannot be written as JSON"),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_the_message_names_the_value_where_it_stands_and_the_way_out(value: Any, message: str) -> None:
    with pytest.raises(UnserializableValue, match=message):
        jsonic.dumps(value)


def test_a_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(UnserializableValue) as caught:
        jsonic.dumps({"a": {*range(1000)}})

    assert len(str(caught.value)) < 200
    assert "… (set)" in str(caught.value)


@pytest.mark.parametrize("value", [nested(32), {"a": nested(31)}, "[" * 100, ["{" * 100]])
def test_thirty_two_levels_are_allowed(value: Any) -> None:
    assert jsonic.loads(jsonic.dumps(value)) == value


def refusal(value: Any) -> str:
    """Return the words of the refusal; another error is only named, its traceback would be endless."""
    try:
        jsonic.dumps(value)
    except UnserializableValue as error:
        return str(error)
    except RecursionError:
        return "RecursionError"
    return "none"


@pytest.mark.parametrize("levels", [33, 200, 900, 5_000, 100_000])
def test_deeper_nesting_is_refused(levels: int) -> None:
    assert refusal(nested(levels)) == "nested deeper than 32 levels"


@pytest.mark.parametrize("levels", [200, 900, 5_000])
def test_deeper_nesting_with_an_own_tag_is_refused(levels: int) -> None:
    assert refusal([nested(levels), {"__t": 1}]) == "nested deeper than 32 levels"


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(UnserializableValue, match="nested deeper"):
        jsonic.dumps(value)


def test_writing_does_not_change_the_value() -> None:
    value = {"__t": [{"__t": 1}], "a": (1,)}
    jsonic.dumps(value)

    assert value == {"__t": [{"__t": 1}], "a": (1,)}
