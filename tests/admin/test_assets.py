"""The style sheet and the script: small, self-contained, legible in both themes."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

import django_backie

STATIC = Path(django_backie.__file__).parent / "static" / "django_backie"
CSS = (STATIC / "admin.css").read_text() + (STATIC / "job.css").read_text()
JS = (STATIC / "admin.js").read_text()

# What text may stand on: the page, every other row, a ticked row; Django 5.2 and 6.1 agree on these.
LIGHT = ("#ffffff", "#f8f8f8", "#ffffcc")
DARK = ("#121212", "#212121", "#00363a")
TONES = ("ok", "bad", "warn", "run", "hold")


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--bk-([\w-]+): (#[0-9a-f]{3,6});", block))


light = colours(CSS[: CSS.index("html[data-theme")])
dark = colours(re.search(r'html\[data-theme="dark"\] \{(.*?)\}', CSS, re.DOTALL)[1])
auto = colours(re.search(r"@media \(prefers-color-scheme: dark\) \{(.*?)\}\s*\}", CSS, re.DOTALL)[1])


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dim, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("tone", TONES)
@pytest.mark.parametrize("ground", LIGHT)
def test_states_are_legible_in_the_light_theme(tone, ground):
    assert contrast(light[tone], ground) >= 4.5


@pytest.mark.parametrize("tone", TONES)
@pytest.mark.parametrize("ground", DARK)
def test_states_are_legible_in_the_dark_theme(tone, ground):
    assert contrast(dark[tone], ground) >= 4.5


@pytest.mark.parametrize(("palette", "text"), [(light, "#333333"), (dark, "#eeeeee")], ids=["light", "dark"])
def test_notices_are_legible(palette, text):
    assert min(contrast(palette[ground], text) for ground in ("bad-bg", "note-bg")) >= 4.5
    assert contrast(palette["bad"], palette["bad-bg"]) >= 4.5


@pytest.mark.parametrize(("palette", "ground"), [(light, "#ffffff"), (dark, "#121212")], ids=["light", "dark"])
def test_spans_of_the_timeline_stand_out(palette, ground):
    for span in ("ok", "bad", "run", "warn"):
        assert contrast(palette[f"{span}-fill"], ground) >= 2.5


def test_the_dark_theme_is_the_same_whether_chosen_or_left_to_the_system():
    assert auto == dark


def test_a_light_theme_that_was_chosen_wins_over_a_dark_system():
    assert 'html:not([data-theme="light"])' in CSS


def test_every_colour_that_the_admin_knows_has_a_fallback():
    assert not re.findall(r"var\(--(?!bk-)[\w-]+\)", CSS)


def test_every_colour_of_ours_is_defined():
    assert set(re.findall(r"var\(--(bk-[\w-]+)\)", CSS)) <= set(re.findall(r"--(bk-[\w-]+):", CSS))


def test_rules_do_not_presume_a_direction_of_writing():
    outside = re.sub(r'\[dir="rtl"\][^}]*\}', "", CSS)
    assert not re.findall(r"(?:margin|padding|border)-(?:left|right)|text-align: (?:left|right)|float", outside)


def test_the_assets_load_nothing_else():
    assert not re.findall(r"@import|url\((?!\"#)|https?:", CSS + JS)


def test_the_script_needs_no_permission_to_evaluate():
    assert not re.findall(r"\beval\b|new Function|innerHTML|\.style\b|setAttribute\(.style", JS)


def test_the_assets_are_small():
    assert len(gzip.compress(CSS.encode())) + len(gzip.compress(JS.encode())) < 15_000
