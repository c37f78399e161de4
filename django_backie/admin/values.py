"""Arguments and results as Python literals: exact, and typed where JSON has no type."""

from __future__ import annotations

import pprint
import unicodedata
from collections.abc import Iterator
from typing import Any

from ..core import jsonic

PREVIEW = 60
WIDTH = 100


def named(arguments: Any) -> Iterator[tuple[str, Any]]:
    """Yield a job's arguments with their names; anything but a mapping has none."""
    if isinstance(arguments, dict):
        yield from arguments.items()
    else:
        yield "", arguments


def preview(arguments: Any, limit: int = PREVIEW) -> str:
    """Return the arguments on one line as they would stand in a call, cut after ``limit`` characters."""
    text = ""
    for name, value in named(arguments):
        text += f"{', ' if text else ''}{name}{'=' if name else ''}{_brief(value, limit)}"
        if len(text) > limit:
            break
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def pretty(value: Any) -> str:
    """Return a value as a Python literal, one item a line where it is long."""
    if isinstance(value, str):
        return repr(value)  # pprint would break it into pieces that nobody can copy.
    return pprint.pformat(value, width=WIDTH, sort_dicts=False)


def pretty_result(text: str) -> str:
    """Return a stored return value as a Python literal; the raw text if it is not JSON."""
    try:
        return pretty(jsonic.loads(text))
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError):
        return visible(text)


def visible(text: str) -> str:
    """Return a text in which invisible characters that could reorder or hide it are written out."""
    return "".join(character if _is_harmless(character) else _written_out(character) for character in text)


def _brief(value: Any, limit: int) -> str:
    return repr(value[: limit + 1] if isinstance(value, str) else value)


def _is_harmless(character: str) -> bool:
    return character in "\n\t" or character.isascii() or unicodedata.category(character) not in {"Cf", "Cc", "Cs"}


def _written_out(character: str) -> str:
    return f"\\u{ord(character):04x}"
