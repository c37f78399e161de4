"""What people may read of a job's arguments: secrets are replaced before they are written anywhere."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any
from uuid import UUID

from django.views.debug import SafeExceptionReporterFilter

STARS = SafeExceptionReporterFilter.cleansed_substitute
HIDDEN = re.compile(SafeExceptionReporterFilter.hidden_settings.pattern + "|CARD|CVC|IBAN|SSN", flags=re.IGNORECASE)
SHORTEST_SECRET = 4
LONGEST_NAME = 100
# Needs nothing done to it; every other kind is looked at more closely.
_READABLE = frozenset({int, float, bool, NoneType})


def cleanse(arguments: Mapping[str, Any], sensitive: bool | Sequence[str] = ()) -> dict[str, Any]:
    """Return named arguments as readable JSON values, with secrets replaced.

    A name is secret when it matches Django's hidden-settings pattern (``SafeExceptionReporterFilter``), at any depth,
    or stands in ``sensitive``; ``sensitive=True`` hides every value.
    """
    if sensitive is True:
        return dict.fromkeys(map(_clean_text, arguments), STARS)
    names = frozenset(sensitive or ())
    return {_clean_text(name): _cleansed(name, value, names) for name, value in arguments.items()}


def secrets_in(arguments: Mapping[str, Any], sensitive: bool | Sequence[str] = ()) -> list[str]:
    """Return the secret values of named arguments as text, the longest first."""
    names = frozenset(arguments if sensitive is True else sensitive or ())
    found: set[str] = set()
    for name, value in arguments.items():
        _collect(name, value, names, found, hidden=False)
    return sorted(found, key=len, reverse=True)


def scrub(text: str, secrets: Sequence[str]) -> str:
    """Return a text with every secret value replaced."""
    for secret in secrets:
        # As it is, and as repr() shows it: many messages quote their values.
        text = text.replace(secret, STARS).replace(repr(secret)[1:-1], STARS)
    return text


def _is_secret(name: str, names: frozenset[str]) -> bool:
    if name in names:
        return True
    # The same names come again and again, but a long one is somebody's data.
    return _is_known_as_telling(name) if len(name) <= LONGEST_NAME else _is_telling(name)


def _is_telling(name: str) -> bool:
    return HIDDEN.search(name) is not None


_is_known_as_telling = functools.lru_cache(maxsize=1024)(_is_telling)


def _cleansed(name: str, value: Any, names: frozenset[str]) -> Any:
    if _is_secret(name, names):
        return STARS
    if type(value) in _READABLE:
        return value
    if type(value) is str:
        return _clean_text(value)
    if isinstance(value, Mapping):
        return {_clean_text(str(key)): _cleansed(str(key), item, names) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_cleansed("", item, names) for item in value]
    return _readable(value)


def _readable(value: Any) -> Any:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta | UUID | Decimal):
        return str(value)
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        return _clean_text(value)
    return value


def _clean_text(text: str) -> str:
    """Return a text as PostgreSQL takes it: it keeps neither NUL nor lone surrogates."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\N{SYMBOL FOR NULL}").encode(errors="replace").decode()


def _collect(name: str, value: Any, names: frozenset[str], found: set[str], *, hidden: bool) -> None:
    hidden = hidden or _is_secret(name, names)
    if isinstance(value, Mapping):
        for key, item in value.items():
            _collect(str(key), item, names, found, hidden=hidden)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect("", item, names, found, hidden=hidden)
    elif hidden and value is not None and len(str(value)) >= SHORTEST_SECRET:
        text = str(value)
        # Each line too: a traceback of an exception group indents them.
        found.update(part for part in (text, *text.splitlines()) if len(part) >= SHORTEST_SECRET)
