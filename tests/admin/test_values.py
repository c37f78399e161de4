"""Arguments and results as Python literals."""

from __future__ import annotations

import json

import pytest

from django_backie.admin import values
from django_backie.core import jsonic


def test_a_preview_reads_like_a_call():
    assert values.preview({"order_id": 7, "to": "anna@example.org"}) == "order_id=7, to='anna@example.org'"


def test_a_preview_is_cut_at_sixty_characters():
    text = values.preview({"text": "x" * 500})
    assert len(text) == 60
    assert text.endswith("…")


def test_a_preview_of_sixty_characters_is_whole():
    assert values.preview({"text": "x" * 53}) == f"text='{'x' * 53}'"


def test_a_preview_of_many_arguments_is_cut():
    assert len(values.preview({f"argument{number}": number for number in range(1000)})) <= 60


def test_a_preview_stays_on_one_line():
    assert "\n" not in values.preview({"text": "a\nb"})


def test_no_arguments_have_an_empty_preview():
    assert values.preview({}) == ""


def test_arguments_that_are_no_mapping_are_shown_as_they_are():
    assert values.preview([1, 2]) == "[1, 2]"


@pytest.mark.parametrize("value", [2**53 + 1, 2**64 + 1, 10**40, -(2**63) - 1, 1 / 3])
def test_numbers_are_exact(value):
    assert values.pretty(value) == repr(value)


def test_a_long_text_stays_in_one_piece():
    assert values.pretty("word " * 100) == repr("word " * 100)


def test_a_result_shows_the_values_that_json_has_no_type_for():
    from datetime import date
    from decimal import Decimal

    text = values.pretty_result(jsonic.dumps({"day": date(2026, 11, 22), "sum": Decimal("9.90")}))
    assert "datetime.date(2026, 11, 22)" in text
    assert "Decimal('9.90')" in text


def test_a_result_keeps_the_order_of_its_keys():
    assert values.pretty_result('{"b": 1, "a": 2}') == "{'b': 1, 'a': 2}"


@pytest.mark.parametrize("text", ["not json", '{"__t": "dt", "v": "nonsense"}', "[1,", '{"__t": "u"}'])
def test_a_result_that_cannot_be_read_is_shown_as_it_is(text):
    assert values.pretty_result(text) == text


def test_a_result_with_an_enormous_number_is_shown_as_it_is():
    text = "9" * 5000
    assert values.pretty_result(text) == text


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200b", "\ud800", "\x9b"])
def test_characters_that_hide_or_reorder_text_are_written_out(character):
    assert values.visible(f"a{character}b") == f"a\\u{ord(character):04x}b"


def test_visible_characters_stay():
    text = "Zoë\n\t日本語 – “quoted” 🙂"
    assert values.visible(text) == text


def test_a_preview_writes_out_characters_that_reorder_text():
    assert "\u202e" not in values.preview(json.loads('{"a": "\\u202e"}'))
