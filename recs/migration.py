"""`recs migrate`: Alembic with our own version table, then the SQL files, in one transaction."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
# What shuts readers or writers out of a table or view while it is made anew.
_LOCKING_KINDS = ("views", "triggers", "policies")


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

    One transaction: it happens whole or not at all. Runs at once wait for each other. Where
    revisions, views, triggers and policies are as they should be, nobody who asks or writes waits.
    Else all tables are locked before the first change, which takes a moment when none is in use,
    tried for LOCK_TIMEOUT: what uses the schema then waits for the end of this.

    Raises:
        ServerUnsuitable: the server is too old, or lacks pgvector.
        NotMigrated: a newer recs has migrated the database.
        RecsError: something else holds a lock, an object of the application's own depends on
            what has to go, or another role owns the schema or part of it; nothing has changed.
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
        if isinstance(cause, psycopg.errors.DeadlockDetected):
            raise RecsError(
                "recs migrate and another session each waited for what the other had locked",
                hint="nothing has changed; run it again",
            ) from error
        if isinstance(cause, psycopg.errors.InsufficientPrivilege) and cause.diag.message_hint:
            raise RecsError(cause.diag.message_primary, hint=cause.diag.message_hint) from error
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
        # Before anything of the schema is read: a view could run what its owner likes.
        driver.execute(_read_step("owner").encode())
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
    for statement in offline_sql.before():
        driver.execute(statement.encode())


def lock_tables(connection: Connection) -> None:
    """Take all tables and views until the transaction ends, where one of them is to change."""
    driver = driver_connection(connection)
    if schema_revision(driver) != newest_revision() or not _is_applied(driver):
        driver.execute(offline_sql.lock().encode())


def apply_sql_files(connection: Connection) -> None:
    """Create or replace every object under sql/, in the caller's transaction.

    Views, triggers and policies are left alone where they are what their files make.
    """
    driver = driver_connection(connection)
    kinds = _LOCKING_KINDS if _is_applied(driver) else ()
    for statement in offline_sql.after(leave=kinds):
        driver.execute(statement.encode())


def _is_applied(driver: psycopg.Connection[Any]) -> bool:
    row = driver.execute(_read_step("applied").encode()).fetchone()
    return row is not None and row[0] == row[1]


class _Statements:
    """What runs before and after Alembic's own steps; online and `--sql` alike."""

    @staticmethod
    def before() -> Iterator[str]:
        yield "CREATE EXTENSION IF NOT EXISTS vector;"
        yield f"CREATE SCHEMA IF NOT EXISTS {SCHEMA};"
        yield _read_step("owner")
        yield f"{PIN_SEARCH_PATH};"
        # Who waits for a table makes all others wait that ask after it.
        yield f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}';"
        # Loads the library, so that SET hnsw.ef_search is known to CREATE FUNCTION.
        yield "SELECT '[1]'::vector;"
        yield "SET LOCAL check_function_bodies = off;"
        yield "SET LOCAL client_min_messages = warning;"
        yield f"SET LOCAL recs.files = '{_digest()}';"

    @staticmethod
    def lock() -> str:
        return _read_step("lock")

    @staticmethod
    def after(*, leave: Collection[str] = ()) -> Iterator[str]:
        for path in resources.sql_files():
            if path.parent.name not in leave:
                yield read_sql(path)
        if not leave:
            yield _read_step("applied")
            yield _read_step("note_applied")


offline_sql = _Statements()


def _digest() -> str:
    files = (path for path in resources.sql_files() if path.parent.name in _LOCKING_KINDS)
    return hashlib.sha256("".join(map(read_sql, files)).encode()).hexdigest()


def _read_step(name: str) -> str:
    return read_sql(resources.migrations_folder() / "sql" / f"{name}.sql")


def read_sql(path: Path) -> str:
    """Return one SQL file, named in a comment so that a log of statements can be read."""
    return f"-- {path.parent.name}/{path.name}\n{path.read_text(encoding='utf-8').strip()}\n"


def _config(output: io.StringIO | None = None) -> Config:
    config = Config(output_buffer=output)
    config.set_main_option("script_location", str(resources.migrations_folder()))
    config.set_main_option("path_separator", "os")
    return config
