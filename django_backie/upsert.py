"""The one statement by which the mirror writes many rows of the job table: insert, or update what is older."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections

if TYPE_CHECKING:
    from .models import Job as JobRow

# What an update may change; the rest is written by the insert only.
CHANGING = (
    "state",
    "reason",
    "body",
    "result",
    "error_class",
    "error_message",
    "attempt",
    "crashes",
    "worker",
    "run_after",
    "started_at",
    "last_attempted_at",
    "finished_at",
    "settled",
    "version",
)

# What an atomic attempt has committed together with its effects, whatever Redis says later.
SETTLED = {"state", "reason", "result", "error_class", "error_message", "finished_at"}


def write(rows: Sequence[JobRow], alias: str) -> int | None:
    """Write rows of the job table; answer how many have taken what they were given, where the database tells."""
    if not rows:
        return 0
    connection = connections[alias]
    fields = list(_model()._meta.concrete_fields)
    sql = _statement(alias, len(rows))
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return None if connection.vendor == "mysql" else cursor.rowcount


@cache
def _statement(alias: str, count: int) -> str:
    connection = connections[alias]
    quote = connection.ops.quote_name
    meta = _model()._meta
    one = f"({', '.join(['%s'] * len(meta.concrete_fields))})"
    return _template(connection.vendor).format(
        table=quote(meta.db_table),
        columns=", ".join(quote(field.column) for field in meta.concrete_fields),
        rows=", ".join([one] * count),
        id=quote("id"),
        version=quote("version"),
        state=quote("state"),
        settled=quote("settled"),
        updates=", ".join(_update(connection, name) for name in CHANGING),
    )


def _update(connection: Any, name: str) -> str:
    """Return the assignment of one column."""
    column, version = connection.ops.quote_name(name), connection.ops.quote_name("version")
    is_mysql = connection.vendor == "mysql"
    new = f"VALUES({column})" if is_mysql else f"excluded.{column}"
    table = connection.ops.quote_name(_model()._meta.db_table)
    if name == "started_at":
        # A job brought back from its row does not remember when it first began; the row does.
        new = f"COALESCE({new}, {table}.{column})"
    settled, state = connection.ops.quote_name("settled"), connection.ops.quote_name("state")
    if name in SETTLED:
        kept = "'SUCCESSFUL'" if name == "state" else f"{table}.{column}"
        new = f"CASE WHEN {table}.{settled} THEN {kept} ELSE {new} END"
    if name == "settled":
        # Once Redis says so too, the row is like any other that has succeeded.
        told = f"VALUES({state})" if is_mysql else f"excluded.{state}"
        new = f"CASE WHEN {told} = 'SUCCESSFUL' THEN {new} ELSE {table}.{column} END"
    return f"{column} = IF(VALUES({version}) > {version}, {new}, {column})" if is_mysql else f"{column} = {new}"


@cache
def _template(vendor: str) -> str:
    lines = (files(__package__) / "sql" / f"upsert_{vendor}.sql").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def _model() -> Any:
    return apps.get_model("django_backie", "Job")
