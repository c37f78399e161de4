"""Typed JSON: plain JSON plus tags for the values that Django projects pass around.

Lists and tuples become lists and bytes become text, as django.tasks normalises them. ``datetime``, ``date``, ``time``,
``timedelta``, ``UUID`` and ``Decimal`` travel as ``{"__t": kind, "v": text}`` and come back exact; a mapping of the
user's own that has a ``__t`` key is escaped. Everything else is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from math import isfinite
from types import NoneType
from typing import Any
from uuid import UUID

from ..exceptions import UnserializableValue

TAG = "__t"
MAX_DEPTH = 32


def dumps(value: Any) -> str:
    """Return a value as compact typed JSON.

    Raises:
        UnserializableValue: naming the value and where it stands, e.g. ``[0]['user']``.
    """
    if value is None:
        return "null"
    try:
        # What many tasks return; an encoder takes ten times as long to get going.
        text = int.__repr__(value) if type(value) is int else _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UnserializableValue(_explain(value) or str(error)) from error
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        msg = f"nested deeper than {MAX_DEPTH} levels"
        raise UnserializableValue(msg)
    if _NEEDS_CARE in text and _has_own_tag(value):
        text = _ENCODER.encode(_escaped(value))
    if not text.isascii() and not _is_utf8(text):
        text = _ASCII_ENCODER.encode(json.loads(text))
    return text


def loads(text: str, levels: int = MAX_DEPTH) -> Any:
    """Return the value that ``dumps`` wrote.

    Raises:
        ValueError: not JSON, a number that is none (NaN, infinity), a tag whose text is none of its kind, or nested
            deeper than ``levels``.
    """
    try:
        # decode() would look for white space around the value first, which takes as long as reading a usual job.
        value, end = (_TAGGED if _NEEDS_CARE in text else _PLAIN).raw_decode(text)
    except (ArithmeticError, TypeError, LookupError, AttributeError, RecursionError) as error:
        msg = f"not what dumps() writes: {error!r}"
        raise ValueError(msg) from error
    if end != len(text):
        msg = f"something follows the value: {text[end : end + 20]!r}"
        raise ValueError(msg)
    if text.count("[") + text.count("{") > levels and _comes_back_deeper([value], levels + 1):
        msg = f"nested deeper than {levels} levels"
        raise ValueError(msg)
    return value


_NEEDS_CARE = f'"{TAG}"'


def _timedelta_text(value: timedelta) -> str:
    return f"{value.days},{value.seconds},{value.microseconds}"


def _timedelta_value(text: str) -> timedelta:
    days, seconds, microseconds = map(int, text.split(","))
    return timedelta(days, seconds, microseconds)


def _mapping_value(pairs: list[list[Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if not all(type(key) is str for key in mapping):
        msg = "a mapping has a key that is no text"
        raise ValueError(msg)
    return mapping


# The order matters: a datetime is a date.
_WRITERS: tuple[tuple[type, str, Any], ...] = (
    (datetime, "dt", datetime.isoformat),
    (date, "d", date.isoformat),
    (time, "t", time.isoformat),
    (timedelta, "td", _timedelta_text),
    (UUID, "u", str),
    (Decimal, "n", str),
)
_READERS = {
    "dt": datetime.fromisoformat,
    "d": date.fromisoformat,
    "t": time.fromisoformat,
    "td": _timedelta_value,
    "u": UUID,
    "n": Decimal,
    "esc": _mapping_value,
}


def _default(value: Any) -> Any:
    for kind, tag, write in _WRITERS:
        if isinstance(value, kind):
            return {TAG: tag, "v": write(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(type(value))


_ENCODER = json.JSONEncoder(default=_default, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
_ASCII_ENCODER = json.JSONEncoder(separators=(",", ":"))


def _is_utf8(text: str) -> bool:
    """Tell whether a text has no lone surrogates, which cannot be sent but can be escaped."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _untag(mapping: dict[str, Any]) -> Any:
    reader = _READERS.get(mapping.get(TAG, ""))
    if reader is None:
        return mapping
    return reader(mapping["v"])  # type: ignore[operator]


def _finite(text: str) -> float:
    """Return a number; JSON has texts for numbers that no float can hold, and Python reads three that JSON has not."""
    number = float(text)
    if not isfinite(number):
        msg = f"{text[:20]} is not a finite number"
        raise ValueError(msg)
    return number


_PLAIN = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)
_TAGGED = json.JSONDecoder(parse_float=_finite, parse_constant=_finite, object_hook=_untag)


def _has_own_tag(value: Any) -> bool:
    if isinstance(value, Mapping):
        return TAG in value or any(map(_has_own_tag, value.values()))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return any(map(_has_own_tag, value))
    return False


def _escaped(value: Any) -> Any:
    if isinstance(value, Mapping):
        inner = {key: _escaped(item) for key, item in value.items()}
        # As a list of pairs, because the reader's hook sees inner mappings first and would take one for a tag.
        return {TAG: "esc", "v": [[str(key), item] for key, item in inner.items()]} if TAG in value else inner
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_escaped(item) for item in value]
    return value


def _is_deeper(value: Any, levels: int) -> bool:
    if isinstance(value, Mapping):
        return levels == 0 or any(_is_deeper(item, levels - 1) for item in value.values())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return levels == 0 or any(_is_deeper(item, levels - 1) for item in value)
    return False


def _comes_back_deeper(value: Any, levels: int) -> bool:
    """Do the same for what the decoder has made, level by level, which is faster: every job is read."""
    layer = [value]
    for _ in range(levels):
        items = chain.from_iterable(outer.values() if type(outer) is dict else outer for outer in layer)
        layer = [item for item in items if type(item) is dict or type(item) is list]
        if not layer:
            return False
    return True


def _explain(value: Any, where: str = "", level: int = 0) -> str | None:
    """Return what cannot be written and where it stands, or None if everything can."""
    if level > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH} levels"
    if isinstance(value, Mapping):
        return _explain_mapping(value, where, level)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        found = (_explain(item, f"{where}[{index}]", level + 1) for index, item in enumerate(value))
        return next(filter(None, found), None)
    try:
        _ENCODER.encode(value)
    except (TypeError, ValueError):
        return f"{_shown(value)}{where and f' at {where}'} cannot be written as JSON{_way_out(value)}"
    return None


def _explain_mapping(value: Mapping[Any, Any], where: str, level: int) -> str | None:
    for key, item in value.items():
        if not isinstance(key, str | int | float | bool | None):
            return f"key {key!r} of the mapping{where and f' at {where}'} must be a string"
        if problem := _explain(item, f"{where}[{key!r}]", level + 1):
            return problem
    return None


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a message about a value must not fail because of it
        return f"a {type(value).__name__}"
    return f"{text[:80]}… ({type(value).__name__})" if len(text) > 80 else f"{text} ({type(value).__name__})"


def _way_out(value: Any) -> str:
    if hasattr(value, "_meta") and hasattr(value, "pk"):
        return "; pass its primary key and load it in the task"
    if isinstance(value, float):
        return "; NaN and infinity are not JSON"
    if isinstance(value, set | frozenset):
        return "; pass a list"
    if isinstance(value, bytes):
        return "; bytes must be UTF-8 text, encode them with base64"
    if hasattr(value, "__proxy__") or type(value).__name__ == "__proxy__":
        return "; pass str() of the lazy text"
    return "; pass plain values"


# What most arguments are. Whether a value is a Mapping or a Sequence takes Python long to tell.
_AS_THEY_ARE = frozenset({str, int, float, bool, NoneType})


def normalise(value: Any) -> Any:
    """Return a value as it will come back from its journey: lists for tuples, text for bytes and for keys."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is list or kind is tuple:
        return [normalise(item) for item in value]
    if isinstance(value, Mapping):
        return {_key(key): normalise(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [normalise(item) for item in value]
    return value


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bytes):
        return key.decode()
    return json.dumps(key) if isinstance(key, bool | None) else str(key)
