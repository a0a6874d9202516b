"""`recs migrate`: Alembic with our own version table, then the SQL files, in one transaction."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from recs import resources
from recs.database import (
    PIN_SEARCH_PATH,
    SCHEMA,
    check_server,
    driver_connection,
    refuse_newer,
    schema_revision,
    warning_of,
)
from recs.errors import BadInput, RecsError

# Any constant serves, as long as every recs uses the same: one migration at a time a database.
_ADVISORY_LOCK = 0x72656373
LOCK_TIMEOUT = "10s"


@dataclass(frozen=True)
class Migration:
    """What `migrate` did; `before` is None where there was no schema.

    `warnings` are what the migrating role could not do, with what an administrator can.
    """

    before: str | None
    after: str
    warnings: tuple[str, ...] = ()


def migrate(engine: Engine) -> Migration:
    """Bring the schema to the newest revision and re-apply all functions, views and grants.

    One transaction: it happens whole or not at all. Runs at once wait for each other. A database
    that is up to date stays as it is, but each table is locked for a moment, since its policy is
    made anew: what uses the schema waits for the end of this, and this for what uses it, though not
    longer than LOCK_TIMEOUT a lock.

    Raises:
        ServerUnsuitable: the server is too old, or lacks pgvector.
        NotMigrated: a newer recs has migrated the database.
        RecsError: something else holds a lock, or an object of the application's own depends on
            what has to go; nothing has changed.
    """
    try:
        return _migrate(engine)
    except (DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if isinstance(cause, psycopg.errors.LockNotAvailable):
            raise RecsError(
                f"a table of recs is in use, and was not free within {LOCK_TIMEOUT}",
                hint="nothing has changed; run it again when no load, training or long query runs",
            ) from error
        if isinstance(cause, psycopg.errors.DependentObjectsStillExist):
            raise RecsError(
                f"{cause.diag.message_primary}: {cause.diag.message_detail}",
                hint="nothing has changed; drop what depends on it, migrate, and create it again",
            ) from error
        raise


def _migrate(engine: Engine) -> Migration:
    with engine.begin() as connection:
        driver = driver_connection(connection)
        check_server(driver)
        driver.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
        before = schema_revision(driver)
        refuse_newer(before)
        config = _config()
        config.attributes["connection"] = connection
        warnings: list[str] = []

        def keep(notice: psycopg.errors.Diagnostic) -> None:
            warning = warning_of(notice)
            if warning is not None:
                warnings.append(warning)

        driver.add_notice_handler(keep)
        command.upgrade(config, "head")
        driver.remove_notice_handler(keep)
        return Migration(before, newest_revision(), tuple(warnings))


def migration_sql(before: str | None = None) -> str:
    """Return the SQL that `migrate` would run, for who applies it by hand.

    Args:
        before: the revision that the database is at; None: there is no schema recs.

    Raises:
        BadInput: there is no such revision.
    """
    output = io.StringIO()
    try:
        command.upgrade(_config(output), f"{before}:head" if before else "head", sql=True)
    except CommandError as error:
        raise BadInput(
            f"there is no revision {before!r}",
            hint="the one a database is at: SELECT version_num FROM recs.alembic_version",
        ) from error
    return output.getvalue()


def newest_revision() -> str:
    """Return the revision that this version of recs needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # noqa: S101 - there is a first revision
    return head


def prepare_schema(connection: Connection) -> None:
    """Create the extension and the schema where they lack, and pin the search path.

    The extension may live in any schema, so it is looked up; functions take the path that is in
    force when they are created (SET search_path FROM CURRENT).
    """
    driver = driver_connection(connection)
    for statement in offline_sql.before:
        driver.execute(statement)


def apply_sql_files(connection: Connection) -> None:
    """Create or replace every object under sql/, in the caller's transaction."""
    driver = driver_connection(connection)
    for statement in offline_sql.after():
        driver.execute(statement.encode())


class _Statements:
    """What runs before and after Alembic's own steps; online and `--sql` alike."""

    before = (
        "CREATE EXTENSION IF NOT EXISTS vector;",
        f"CREATE SCHEMA IF NOT EXISTS {SCHEMA};",
        f"{PIN_SEARCH_PATH};",
        # Who waits for a table makes all others wait that ask after it.
        f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';",
        # Loads the library, so that SET hnsw.ef_search is known to CREATE FUNCTION.
        "SELECT '[1]'::vector;",
        "SET LOCAL check_function_bodies = off;",
        "SET LOCAL client_min_messages = warning;",
    )

    @staticmethod
    def after() -> Iterator[str]:
        for path in resources.sql_files():
            yield read_sql(path)


offline_sql = _Statements()


def read_sql(path: Path) -> str:
    """Return one SQL file, named in a comment so that a log of statements can be read."""
    return f"-- {path.parent.name}/{path.name}\n{path.read_text(encoding='utf-8').strip()}\n"


def _config(output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(resources.migrations_folder()))
    config.set_main_option("path_separator", "os")
    return config
