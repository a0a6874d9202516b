"""Alembic's entry: move the tables, then re-apply every file under sql/ at head.

The connection comes from `recs.migration`; `alembic` alone has nothing to connect to.
"""

from __future__ import annotations

from alembic import context

from recs import schema
from recs.migration import apply_sql_files, lock_tables, offline_sql, prepare_schema

VERSION_TABLE = "alembic_version"


def run_offline() -> None:
    """Print the SQL of all steps instead of running them."""
    context.configure(
        dialect_name="postgresql", literal_binds=True, target_metadata=schema.metadata,
        version_table=VERSION_TABLE, version_table_schema=schema.SCHEMA,
    )  # fmt: skip
    with context.begin_transaction():
        migration = context.get_context()
        for statement in offline_sql.before():
            migration.impl.static_output(statement)
        migration.impl.static_output(offline_sql.lock())
        context.run_migrations()
        if reaches_head():
            for statement in offline_sql.after():
                migration.impl.static_output(statement)


def run_online() -> None:
    """Migrate over the connection that the caller opened, in its transaction."""
    connection = context.config.attributes["connection"]
    prepare_schema(connection)
    if reaches_head():
        lock_tables(connection)
    context.configure(
        connection=connection, target_metadata=schema.metadata,
        version_table=VERSION_TABLE, version_table_schema=schema.SCHEMA,
    )  # fmt: skip
    with context.begin_transaction():
        context.run_migrations()
    if reaches_head():
        apply_sql_files(connection)


def reaches_head() -> bool:
    """Tell whether the tables are moved to what the SQL files are written for."""
    return context.get_revision_argument() == context.get_head_revision()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
