"""What a task may report, and how it is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from django_backie.core.progress import LARGEST, LONGEST_MESSAGE, reported, restored
from django_backie.exceptions import BackieError, InvalidProgress


@pytest.mark.parametrize(
    ("done", "total", "message", "told"),
    [
        (-1, None, "", "done takes 0 to 2^53, not -1"),
        (float("nan"), None, "", "done takes 0 to 2^53, not nan"),
        (float("inf"), None, "", "done takes 0 to 2^53, not inf"),
        (LARGEST + 1, None, "", "done takes 0 to 2^53, not 9007199254740993"),
        pytest.param(10**5000, None, "", "not a number beyond all bounds", id="huge"),
        (True, None, "", "done takes a number, not True; give how many are done, as 3 of 10"),
        ("1", 2, "", "done takes a number, not '1'"),
        (1, "2", "", "total takes a number, not '2'"),
        (0, -1, "", "total takes 0 to 2^53, not -1"),
        (0, False, "", "total takes a number, not False"),
        (3, 2, "", "done=3 is more than total=2; leave total out where it is not known"),
        (1, 2, None, "message takes a text, not None"),
        (1, 2, b"x", "message takes a text, not b'x'"),
    ],
)
def test_what_cannot_be_is_refused_by_name_with_the_way_out(done: Any, total: Any, message: Any, told: str) -> None:
    with pytest.raises(InvalidProgress) as caught:
        reported(done, total, message, 1.0)

    assert str(caught.value).startswith("progress: ")
    assert told in str(caught.value)
    assert isinstance(caught.value, BackieError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(("done", "total"), [(0, None), (0, 0), (0, 1), (0.5, 1), (2.5, 2.5), (LARGEST, LARGEST)])
def test_what_can_be_comes_back_as_it_was(done: Any, total: Any) -> None:
    told = reported(done, total, 'a|b "c"\n\u2028é', 1000.25)

    assert restored(json.loads(told.text())) == told
    assert "\n" not in told.text()


def test_a_long_message_is_cut() -> None:
    message = reported(1, 2, "x" * 1000, 1.0).message

    assert len(message) == LONGEST_MESSAGE
    assert message.endswith("x…")


@pytest.mark.parametrize(("given", "kept"), [("a\x00b", "a\N{SYMBOL FOR NULL}b"), ("a\ud800b", "a\\ud800b")])
def test_a_message_is_one_that_every_database_takes(given: str, kept: str) -> None:
    assert reported(1, 2, given, 1.0).message == kept


@pytest.mark.parametrize(
    "value", [None, 1, "x", {}, [], [1, 2, "x"], [1, 2, "", "soon"], [3, 2, "", 1.0], [1, 2, 3, 1.0], [1, 2, "", None]]
)
def test_what_another_release_may_have_written_is_nothing(value: Any) -> None:
    assert restored(value) is None
