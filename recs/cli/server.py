"""`recs server`: the embedded PostgreSQL in a local folder."""

from __future__ import annotations

import os

import click

from recs import server as embedded
from recs.cli.settings import Settings, pass_settings


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
def psql(arguments: tuple[str, ...]) -> None:
    """Open psql on it; further arguments are psql's own."""
    running = embedded.start()
    program = str(running.programs / "psql")
    os.execv(program, [program, running.dsn, *arguments])  # noqa: S606 - the server's own psql
