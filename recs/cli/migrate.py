"""`recs migrate`: bring a database to the newest schema."""

from __future__ import annotations

import sys

import click

from recs.cli.settings import Settings, pass_settings


@click.command()
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL instead of running it.")
@pass_settings
def migrate(settings: Settings, as_sql: bool) -> None:
    """Create or upgrade the schema recs, in one transaction. Running it twice does no harm."""
    from recs import database, migration

    if as_sql:
        sys.stdout.write(migration.migration_sql())
        return
    engine = settings.bare_engine()
    with engine.connect() as connection:
        database.refuse_newer_schema(database.driver_connection(connection))
    done = migration.migrate(engine)
    settings.output.result({"before": done.before, "after": done.after})
    if done.before == done.after:
        settings.output.say(f"schema recs is at revision {done.after}; nothing to do")
    else:
        settings.output.say(f"schema recs: revision {done.before or 'none'} -> {done.after}")
