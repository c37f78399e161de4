"""The statements by which the mirror writes the job table: what is newer than a row changes it, and what is missing
is inserted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from django.apps import apps
from django.db import connections

from . import bulk
from .bulk import Row
from .cleansing import STARS

# What an update may change; the rest is written by the insert only. The version comes last: MySQL's assignments look
# at it, and take effect one after the other.
CHANGING = (
    "state",
    "reason",
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
    "version",
)

# What an atomic attempt has committed together with its effects, whatever Redis says later.
SETTLED = {"state", "reason", "result", "error_class", "error_message", "finished_at"}

ATTEMPT = (
    "job_id",
    "number",
    "worker",
    "outcome",
    "started_at",
    "finished_at",
    "retry_at",
    "error_class",
    "error_message",
    "traceback",
    "progress",
)

# An expression for a column of a row, as it is or as it is to be.
_Column = Callable[[str], str]


def can_update(alias: str) -> bool:
    """Tell whether rows can be changed many at a time without knowing all that an insert would need."""
    return connections[alias].vendor != "mysql"


def update(rows: Sequence[Row], alias: str) -> int:
    """Change rows of the job table by their ids and what may change; answer how many were there, and older."""
    return bulk.write(_update(alias), rows, alias)


def insert(rows: Sequence[Row], alias: str) -> int | None:
    """Write whole rows of the job table; where one is there already, what is newer changes it.

    Answer how many have taken what they were given, where the database tells.
    """
    count = bulk.write(_upsert(alias), rows, alias)
    return None if connections[alias].vendor == "mysql" else count


def insert_attempts(rows: Sequence[Row], alias: str) -> None:
    """Write rows of ended attempts, each once."""
    bulk.write(_insert_attempts(alias), rows, alias)


@cache
def _update(alias: str) -> str:
    quote, table = _names(alias)
    is_postgresql = connections[alias].vendor == "postgresql"
    updates = _updates(
        alias,
        new=lambda name: f"new.{quote(name)}" if is_postgresql else f"%({name})s",
        old=lambda name: f"{table}.{quote(name)}",
    )
    return bulk.statement("update", alias, "Job", ["id", *CHANGING], updates=", ".join(updates))


@cache
def _upsert(alias: str) -> str:
    quote, table = _names(alias)
    is_mysql = connections[alias].vendor == "mysql"
    updates = _updates(
        alias,
        new=lambda name: f"VALUES({quote(name)})" if is_mysql else f"excluded.{quote(name)}",
        old=lambda name: f"{table}.{quote(name)}",
    )
    columns = [field.attname for field in _model()._meta.concrete_fields]
    return bulk.statement("upsert", alias, "Job", columns, updates=", ".join(updates))


@cache
def _insert_attempts(alias: str) -> str:
    return bulk.statement("insert_once", alias, "Attempt", ATTEMPT)


def _updates(alias: str, new: _Column, old: _Column) -> list[str]:
    """Return the assignments of an update."""
    quote, _ = _names(alias)
    is_mysql = connections[alias].vendor == "mysql"
    # MySQL has no condition on the row as a whole, so that each of its columns has it.
    only_newer = f"IF({new('version')} > {old('version')}, {{}}, {{}})" if is_mysql else "{}"
    expressions = {name: _changed(name, new, old) for name in CHANGING if name != "version"}
    expressions["body"] = _body(alias, new, old)
    # Once Redis says so too, the row is like any other that has succeeded.
    expressions["settled"] = f"CASE WHEN {new('state')} = 'SUCCESSFUL' THEN FALSE ELSE {old('settled')} END"
    expressions["version"] = new("version")
    return [f"{quote(name)} = {only_newer.format(value, old(name))}" for name, value in expressions.items()]


def _changed(name: str, new: _Column, old: _Column) -> str:
    """Return what becomes of a column."""
    if name == "started_at":
        # A job brought back from its row does not remember when it first began; the row does.
        return f"COALESCE({new(name)}, {old(name)})"
    if name in SETTLED:
        kept = "'SUCCESSFUL'" if name == "state" else old(name)
        return f"CASE WHEN {old('settled')} THEN {kept} ELSE {new(name)} END"
    return new(name)


def _body(alias: str, new: _Column, old: _Column) -> str:
    """Return what becomes of the body: a job keeps the one that it came with, unless it hides something.

    Retries and rebuilds need it; a finished job needs it only for exact arguments, which is no reason to keep a secret.
    """
    is_postgresql = connections[alias].vendor == "postgresql"
    at = f"STRPOS({old('arguments')}::text, '{STARS}')" if is_postgresql else f"INSTR({old('arguments')}, '{STARS}')"
    return f"CASE WHEN {new('state')} = 'SUCCESSFUL' AND {at} > 0 THEN '' ELSE {old('body')} END"


def _names(alias: str) -> tuple[Callable[[str], str], str]:
    quote = connections[alias].ops.quote_name
    return quote, quote(_model()._meta.db_table)


def _model() -> Any:
    return apps.get_model("django_backie", "Job")
