"""`recs migrate`: bring a database to the newest schema."""

from __future__ import annotations

import sys

import click

from recs.cli.settings import Settings, pass_settings


@click.command()
@click.option("--sql", "as_sql", is_flag=True, help="Print the SQL instead of running it.")
@click.option(
    "--from",
    "before",
    metavar="REVISION",
    help="With --sql: the revision the database is at. Default: none, an empty one.",
)
@pass_settings
def migrate(settings: Settings, as_sql: bool, before: str | None) -> None:
    """Create or upgrade the schema recs, in one transaction. Running it twice does no harm."""
    from recs import migration

    if as_sql:
        printed = migration.migration_sql(before)
        settings.output.result({"sql": printed})
        if not settings.output.as_json:
            sys.stdout.write(printed)  # as it is, to be piped
        return
    if before is not None:
        raise click.UsageError("--from goes with --sql: a database knows its own revision")
    engine = settings.bare_engine()
    done = migration.migrate(engine)
    settings.output.result(
        {"before": done.before, "after": done.after, "warnings": list(done.warnings)}
    )
    for warning in done.warnings:
        settings.output.warn(warning)
    if done.before == done.after:
        settings.output.say(f"schema recs is at revision {done.after}; nothing to do")
    else:
        settings.output.say(f"schema recs: revision {done.before or 'none'} -> {done.after}")
