"""`recs server`: the embedded PostgreSQL in a local folder."""

from __future__ import annotations

import os

import click
from psycopg import conninfo

from recs import server as embedded
from recs.cli.settings import Settings, pass_settings
from recs.database import libpq_dsn

_VARIABLES = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}


@click.group()
def server() -> None:
    """Start, stop and reach the embedded PostgreSQL (./.recs, or $RECS_HOME)."""


@server.command()
@pass_settings
def start(settings: Settings) -> None:
    """Start it, or find it running, and print its DSN."""
    running = embedded.start()
    settings.output.result({"dsn": running.dsn, "folder": str(running.folder)})
    settings.output.plain(running.dsn)


@server.command()
@pass_settings
def stop(settings: Settings) -> None:
    """Stop it; its data stay."""
    stopped = embedded.stop()
    settings.output.result({"stopped": stopped})
    settings.output.say("stopped" if stopped else "it was not running")


@server.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_settings
def psql(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Open psql on it; further arguments are psql's own.

    In the database that --dsn or DATABASE_URL names there, unless -d names another.
    """
    running = embedded.start()
    program = str(running.programs / "psql")
    environment = {**os.environ, **_variables(running.dsn, settings.dsn)}
    for diverting in ("PGHOSTADDR", "PGSERVICE"):
        environment.pop(diverting, None)
    os.execve(program, [program, *arguments], environment)  # noqa: S606 - the server's own psql


def _variables(running: str, wanted: str | None) -> dict[str, str]:
    """Return what libpq reads in the environment: the DSN would go before psql's own -d."""
    found = conninfo.conninfo_to_dict(running)
    named = wanted or os.environ.get("DATABASE_URL")
    if named:
        other = conninfo.conninfo_to_dict(libpq_dsn(named))
        if other.get("host") == found["host"] and other.get("dbname"):
            found["dbname"] = other["dbname"]
    return {variable: str(found[name]) for name, variable in _VARIABLES.items()}
