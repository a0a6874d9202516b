"""Every object of the schema as text, with its definition, so that two databases compare."""

from __future__ import annotations

from pathlib import Path

import psycopg

# Tables and columns, constraints, indexes, functions, views, triggers, policies, grants, comments.
CATALOG = Path(__file__).parent / "catalog.sql"


def describe(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(CATALOG.read_bytes()).fetchall()
