"""The stage of the demo: a database of its own on the embedded server, or an empty one given."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg

from recs import database, server
from recs.errors import BadInput

DATABASE = "recs_demo"


@dataclass(frozen=True)
class Stage:
    """Where the demo plays; `embedded`: in a database of its own, made anew."""

    dsn: str
    embedded: bool


def set_stage(dsn: str | None = None) -> Stage:
    """Make recs_demo anew on the embedded server; or check that the database named is empty.

    Only `dsn` names one: the environment may well name the database of a shop.

    Raises:
        BadInput: the database named holds a catalog.
    """
    if dsn:
        given = database.libpq_dsn(dsn)
        _require_empty(given)
        return Stage(given, embedded=False)
    found = server.start().dsn
    with database.connect(found) as connection:
        connection.autocommit = True
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {DATABASE}")
    return Stage(urlsplit(found)._replace(path=f"/{DATABASE}").geturl(), embedded=True)


def _require_empty(dsn: str) -> None:
    with database.connect(dsn) as connection:
        try:
            row = connection.execute("SELECT count(*) FROM recs.items").fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return
    n_items = row[0] if row else 0
    if n_items:
        raise BadInput(
            f"the database holds a catalog already, {n_items} items; the demo wants an empty one",
            hint="createdb recs_demo, and name it with --dsn; or name no database, and the demo "
            "uses the embedded server",
        )
