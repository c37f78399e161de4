"""Many rows in one statement, each database in the way that costs it, and us, the least.

PostgreSQL reads the rows from one JSON text, SQLite and MySQL take a statement for one row and repeat it. Model
instances, and a parameter for each value, would cost several times as much as the database's own work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connections

from .moments import moment

# Values by column, as ``Values`` has made them.
Row = dict[str, Any]

# As they are, and not as escapes, other letters are those of whatever encoding the server has.
_ENCODER = json.JSONEncoder(ensure_ascii=False)

_USUAL_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

# Characters of a time without its fraction of a second and its zone: 2026-01-01 00:00:00.
_TO_THE_SECOND = 19


class Values:
    """Makes of ids, times and JSON what the columns of a database take; one for each batch, as it remembers them."""

    def __init__(self, alias: str) -> None:
        connection = connections[alias]
        # PostgreSQL's rows are JSON themselves.
        self._dumps = None if connection.vendor == "postgresql" else connection.ops.adapt_json_value
        self.id: Callable[[str], str] = cache(_id_for(connection))
        self.time: Callable[[float | None], str | None] = cache(_Times(connection, 1000))
        # What tells attempts apart: two of one millisecond are two.
        self.exact_time: Callable[[float | None], str | None] = cache(_Times(connection, 1_000_000))

    def json(self, value: Any) -> Any:
        """Return the value of a JSON column."""
        return value if self._dumps is None else self._dumps(value, None)


def _id_for(connection: Any) -> Callable[[str], str]:
    """Return what makes the value of a UUID column; it raises a ValueError where the text is none."""
    if connection.vendor == "postgresql":
        return str  # It says so itself.
    if connection.features.has_native_uuid_field:
        return lambda text: str(UUID(text))
    # As all of ours are written; to read one as a value takes eight times as long.
    return lambda text: text.replace("-", "") if _USUAL_ID.fullmatch(text) else UUID(text).hex


class _Times:
    """Makes the value of a time; as those of a batch are close together, Django is asked for each second once."""

    def __init__(self, connection: Any, per_second: int) -> None:
        self._adapt = connection.ops.adapt_datetimefield_value
        self._per_second = per_second
        self._microseconds = 1_000_000 // per_second
        self._seconds: dict[int, tuple[str, str]] = {}

    def __call__(self, seconds: float | None) -> str | None:
        if seconds is None:
            return None
        whole, fraction = divmod(round(seconds * self._per_second), self._per_second)
        if whole not in self._seconds:
            text = str(self._adapt(moment(whole)))
            self._seconds[whole] = text[:_TO_THE_SECOND], text[_TO_THE_SECOND:]
        start, zone = self._seconds[whole]
        return f"{start}.{fraction * self._microseconds:06}{zone}" if fraction else start + zone


def write(sql: str, rows: Sequence[Row], alias: str) -> int:
    """Execute a statement that ``statement`` has made; answer how many rows were written, as far as MySQL counts."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(sql, [_ENCODER.encode(rows)])
        else:
            cursor.executemany(sql, rows)
        return int(cursor.rowcount)


def statement(name: str, alias: str, model: str, columns: Sequence[str], **parts: str) -> str:
    """Return the statement of a file in ``sql/`` for rows with these columns.

    A template names the table, the ``{columns}`` and the ``{rows}`` (on PostgreSQL also the ``{types}`` of what it
    reads), every column that it needs, and further parts.
    """
    connection = connections[alias]
    meta = apps.get_model("django_backie", model)._meta
    fields = {field.attname: field for field in meta.concrete_fields}
    quoted = {name: connection.ops.quote_name(field.column) for name, field in fields.items()}
    named = {
        "columns": ", ".join(quoted[name] for name in columns),
        "types": ", ".join(f"{quoted[name]} {fields[name].db_type(connection)}" for name in columns),
        "placeholders": ", ".join(f"%({name})s" for name in columns),
    }
    rows = _template("rows", connection.vendor).format(**named)
    table = connection.ops.quote_name(meta.db_table)
    return _template(name, connection.vendor).format(table=table, rows=rows, **named, **quoted, **parts)


@cache
def _template(name: str, vendor: str) -> str:
    folder = files(__package__) / "sql"
    file = folder / f"{name}_{vendor}.sql"
    lines = (file if file.is_file() else folder / f"{name}.sql").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))
