"""The databases of the systems that are Django's: made for one measurement, then removed."""

from __future__ import annotations

import json
import os

import psycopg
from django.core.management import call_command
from django.db import connection, connections

SERVER_KEYS = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "NAME": "dbname"}


def prepare() -> dict[str, str]:
    """Give the system an empty database; return the version of its server, if it has one."""
    if connection.vendor != "postgresql":
        call_command("migrate", verbosity=0)
        return {}
    name = connection.settings_dict["NAME"]
    _on_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    call_command("migrate", verbosity=0)
    return {"postgresql": f"{connection.pg_version // 10000}.{connection.pg_version % 10000}"}


def dismantle() -> None:
    """Remove the database, where it is more than a file."""
    connections.close_all()
    if connection.vendor == "postgresql":
        _on_server(f'DROP DATABASE "{connection.settings_dict["NAME"]}" WITH (FORCE)')


def _on_server(*statements: str) -> None:
    """Run statements in the database that was there before us."""
    server = json.loads(os.environ["BENCH_POSTGRES_ADMIN"])
    named = {SERVER_KEYS[key]: value for key, value in server.items()}
    with psycopg.connect(**named, autocommit=True) as session:
        for statement in statements:
            session.execute(statement)


VERBS = {"prepare": prepare, "dismantle": dismantle}
