"""The catalogues: complete, compiled, and in force on the pages."""

from __future__ import annotations

import ast
import gettext
import re
from pathlib import Path

import pytest
from django.utils import translation

import django_backie

from .support import LIST, page_of, text_of, uses_databases

LOCALE = Path(django_backie.__file__).parent / "locale"
LANGUAGES = sorted(path.name for path in LOCALE.iterdir())


def entries(language: str) -> dict[str, list[str]]:
    """Return the texts of a catalogue with their translations."""
    found = {}
    for block in (LOCALE / language / "LC_MESSAGES" / "django.po").read_text().split("\n\n")[1:]:
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if match := re.match(r'(msg\w+(?:\[\d\])?) (".*")$', line):
                name, text = match.groups()
                fields[name] = ast.literal_eval(text)
            elif line.startswith('"'):
                fields[name] += ast.literal_eval(line)
        key = f"{fields['msgctxt']}\x04{fields['msgid']}" if "msgctxt" in fields else fields["msgid"]
        found[key] = [text for name, text in fields.items() if name.startswith("msgstr")]
    return found


def compiled(language: str) -> dict:
    with (LOCALE / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        return gettext.GNUTranslations(file)._catalog


def test_three_languages_come_with_the_package():
    assert LANGUAGES == ["de", "es", "fr"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language):
    assert [key for key, texts in entries(language).items() if not all(texts)] == []


def marked() -> set[str]:
    """Return the texts of the code that are marked for translation."""
    found = set()
    for path in LOCALE.parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                found |= {text.value for text in node.args[:1] if isinstance(text, ast.Constant)}
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_of_the_code_is_in_the_catalogue(language):
    assert len(marked()) > 60
    assert marked() - {key.split("\x04")[-1] for key in entries(language)} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_keep_the_placeholders(language):
    for key, texts in entries(language).items():
        wanted = set(re.findall(r"%\(\w+\)s|%d", key))
        assert all(set(re.findall(r"%\(\w+\)s|%d", text)) == wanted for text in texts), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language):
    written = {text for texts in entries(language).values() for text in texts}
    assert {text for key, text in compiled(language).items() if key} == written


@pytest.mark.parametrize(("language", "word"), [("de", "fehlgeschlagen"), ("es", "fallido"), ("fr", "échouée")])
@uses_databases
def test_pages_speak_the_language_of_their_reader(root, make_job, settings, language, word):
    settings.LANGUAGE_CODE = language
    job = make_job(state="FAILED")
    assert word in text_of(root.get(LIST))
    assert word in text_of(root.get(page_of(job)))


@uses_databases
def test_an_action_is_told_in_the_language_of_its_user(root, make_job, fake_control, settings):
    settings.LANGUAGE_CODE = "de"
    with translation.override("de"):
        response = root.post(page_of(make_job(state="FAILED"), "retry"), follow=True)
    assert "1 Job läuft noch einmal." in text_of(response)
