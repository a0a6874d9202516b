"""Which database, and how to reach it: DSNs, engines, the checks a server must pass."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import conninfo, sql
from psycopg.errors import Diagnostic
from sqlalchemy import Connection, Engine, create_engine, event

from recs import server
from recs.arguments import tenant_text
from recs.errors import BadInput, ConnectionFailed, NotMigrated, ServerUnsuitable

MINIMUM_POSTGRESQL = 15_00_00
MINIMUM_PGVECTOR = (0, 8, 4)
# The newest under migrations/; here since serving imports no Alembic. They sort as they follow.
REVISION = "0009"
SCHEMA = "recs"
# The extension may live in any schema (public, extensions): find it. Until the transaction ends.
PIN_SEARCH_PATH = """\
SELECT set_config('search_path', format('recs, %I, pg_temp', n.nspname), true)
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'"""
_LIBPQ_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT")


def find_dsn(dsn: str | None = None) -> str:
    """Return the DSN to use.

    In this order: `dsn`, $DATABASE_URL, libpq's own variables (then the empty DSN, which libpq
    completes), the embedded server in a local folder, which is started if need be.
    """
    if dsn is None:
        dsn = os.environ.get("DATABASE_URL")
    if dsn:
        return libpq_dsn(dsn)
    if any(os.environ.get(name) for name in _LIBPQ_VARIABLES):
        return ""
    return server.start().dsn


def libpq_dsn(dsn: str) -> str:
    """Turn a SQLAlchemy URL (postgresql+psycopg://) into one libpq reads; check it.

    Raises:
        BadInput: it is not a connection string.
    """
    scheme, separator, rest = dsn.partition("://")
    if separator and scheme.startswith("postgres"):
        dsn = f"postgresql://{rest}"
    try:
        conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError as error:
        raise BadInput(
            f"not a connection string: {str(error).strip()}",
            hint="expected postgresql://user:password@host:port/database or libpq's key=value form",
        ) from error
    return dsn


def make_engine(dsn: str | None = None, *, tenant_id: str | None = None) -> Engine:
    """Return an engine on `find_dsn(dsn)` whose transactions see `tenant_id` only.

    The engine keeps no pool: commands are short, and advisory locks belong to one session.
    """
    from sqlalchemy.pool import NullPool

    dsn = find_dsn(dsn)
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: connect(dsn), poolclass=NullPool
    )
    if tenant_id is not None:
        event.listen(engine, "begin", _tenant_setter(tenant_id))
    return engine


def _tenant_setter(tenant_id: str) -> Callable[[Connection], None]:
    """Return what sets the tenant when a transaction begins, until it ends.

    For longer it would be the server session's, which a transaction pooler hands to others.
    """

    def set_tenant(connection: Connection) -> None:
        refuse_autocommit(connection)
        connection.exec_driver_sql("SELECT set_config('recs.tenant_id', %s, true)", (tenant_id,))

    return set_tenant


def lift_time_limits(connection: Connection) -> None:
    """Exempt a transaction from the time that a server grants to applications, as pg_dump does.

    How long a lock is waited for is not changed.
    """
    connection.exec_driver_sql(
        "SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN"
        " ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"
    )


def require_bind(bind: object, *kinds: type[Any]) -> None:
    """Check that what a repository is given is one of `kinds`, and speaks by psycopg 3.

    Raises:
        BadInput: naming what it is.
    """
    if not isinstance(bind, kinds):
        raise BadInput(
            f"a repository is given a {type(bind).__name__}, expected SQLAlchemy's"
            f" {', '.join(kind.__name__ for kind in kinds)}",
            hint='for example: Recommender(create_engine("postgresql+psycopg://.."));'
            " for asyncio there is AsyncRecommender",
        )
    dialect = getattr(bind, "dialect", None)  # a session finds its own when it is asked
    if dialect is not None and dialect.driver not in ("psycopg", "psycopg_async"):
        raise BadInput(
            f"a repository is given {dialect.name}+{dialect.driver}, expected postgresql+psycopg",
            hint='create_engine("postgresql+psycopg://.."): psycopg 3 has to be the driver',
        )


def refuse_autocommit(connection: Connection) -> None:
    """Check that what is set until the transaction ends holds for the next statement too.

    Raises:
        BadInput: each statement of the connection is a transaction of its own.
    """
    if getattr(connection.connection.dbapi_connection, "autocommit", False):
        raise BadInput(
            "a tenant is set for a transaction, and the connection's isolation level is AUTOCOMMIT",
            hint="take isolation_level='AUTOCOMMIT' out where a tenant_id is given",
        )


def connect(dsn: str) -> psycopg.Connection[Any]:
    """Open a psycopg connection.

    Raises:
        ConnectionFailed: with what libpq said.
    """
    try:
        return psycopg.connect(dsn, fallback_application_name="recs")
    except psycopg.OperationalError as error:
        raise ConnectionFailed(
            f"cannot connect: {str(error).strip()}",
            hint="check --dsn, DATABASE_URL, PGHOST and the like; without any of them recs uses its"
            " embedded server",
        ) from error


def driver_connection(connection: Connection) -> psycopg.Connection[Any]:
    """Return the psycopg connection under `connection`, in the same transaction.

    For COPY, and for SQL files: SQLAlchemy would read `:name` and `%` in them. Begins a transaction
    where none is, so that the engine's tenant is set.
    """
    if not connection.in_transaction():
        connection.begin()
    raw = connection.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        raise BadInput(
            f"recs needs psycopg 3 under SQLAlchemy, got {type(raw).__name__}",
            hint="use a postgresql+psycopg:// URL",
        )
    return raw


def warning_of(notice: Diagnostic) -> str | None:
    """Return what the server warns of, with its hint; None of a mere notice."""
    if notice.severity_nonlocalized != "WARNING":
        return None
    hint = f"\nhint: {notice.message_hint}" if notice.message_hint else ""
    return f"{notice.message_primary}{hint}"


def analyze(engine: Engine, *tables: str) -> None:
    """Let the planner know what tables of recs hold now, rather than when autovacuum comes by.

    One transaction. Where the role is not the owner's, PostgreSQL warns and leaves it to that.
    """
    with engine.begin() as connection:
        for table in tables:
            driver_connection(connection).execute(
                sql.SQL("ANALYZE {}").format(sql.Identifier("recs", table))
            )


def check_server(connection: psycopg.Connection[Any]) -> None:
    """Check PostgreSQL's version, pgvector's, and that the extension can be used, or created.

    Raises:
        ServerUnsuitable: naming what is missing and how to get it.
    """
    _check_postgresql(connection.info.server_version)
    row = connection.execute(
        "SELECT default_version, installed_version FROM pg_available_extensions"
        " WHERE name = 'vector'"
    ).fetchone()
    if row is None:
        raise ServerUnsuitable(
            "the server has no pgvector",
            hint="install the package postgresql-NN-pgvector on the server, or turn the "
            "extension 'vector' on at your provider",
        )
    default, installed = row
    _check_pgvector(installed or default, installed=installed is not None)
    if installed is None:
        _check_may_create_extension(connection)
    else:
        _check_may_use_extension(connection)


def _check_postgresql(version: int) -> None:
    if version < MINIMUM_POSTGRESQL:
        raise ServerUnsuitable(
            f"PostgreSQL >= 15 is needed, got {version // 10_000}.{version % 10_000}",
            hint="upgrade the server, or name another with DATABASE_URL",
        )


def _check_pgvector(version: str, *, installed: bool) -> None:
    if tuple(int(part) for part in version.split(".")[:3]) >= MINIMUM_PGVECTOR:
        return
    remedy = "ALTER EXTENSION vector UPDATE" if installed else "CREATE EXTENSION vector"
    raise ServerUnsuitable(
        f"pgvector >= 0.8.4 is needed, got {version} (CVE-2026-3172 and index corruption before)",
        hint=f"install a newer pgvector on the server, then: {remedy}",
    )


def _check_may_create_extension(connection: psycopg.Connection[Any]) -> None:
    # CREATE on the database is enough where the packager has marked the extension as trusted.
    row = connection.execute(
        "SELECT r.rolsuper OR v.trusted"
        " AND has_database_privilege(current_database(), 'CREATE'), v.trusted,"
        " current_user::text, current_database()::text"
        " FROM pg_roles r, pg_available_extensions e"
        " JOIN pg_available_extension_versions v"
        " ON v.name = e.name AND v.version = e.default_version"
        " WHERE r.rolname = current_user AND e.name = 'vector'"
    ).fetchone()
    assert row is not None  # noqa: S101 - the extension is available, as was checked before
    may_create, trusted, user, database = row
    if not may_create:
        grant = f'; or: GRANT CREATE ON DATABASE "{database}" TO "{user}"' if trusted else ""
        raise ServerUnsuitable(
            f"the extension vector is not in database {database!r}, and {user!r} may not create it",
            hint=f"as an administrator, in this database: CREATE EXTENSION vector{grant}",
        )


def _check_may_use_extension(connection: psycopg.Connection[Any]) -> None:
    row = connection.execute(
        "SELECT n.nspname, current_user::text, has_schema_privilege(n.oid, 'USAGE')"
        " FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        " WHERE e.extname = 'vector'"
    ).fetchone()
    assert row is not None  # noqa: S101 - it is installed, as was checked before
    schema, user, may_use = row
    if not may_use:
        raise ServerUnsuitable(
            f"the extension vector is in the schema {schema!r}, which {user!r} may not use",
            hint=f'as an administrator: GRANT USAGE ON SCHEMA "{schema}" TO "{user}"'
            " WITH GRANT OPTION",
        )


def require_schema(connection: psycopg.Connection[Any]) -> None:
    """Check that `recs migrate` has run, of this version of recs.

    A role that may not read the revision is let pass: the database tells it what it lacks.

    Raises:
        NotMigrated: there is no schema recs, an older one, or a newer one.
    """
    found = schema_revision(connection)
    if found is None:
        raise NotMigrated(
            f"the database {connection.info.dbname!r} has no schema recs",
            hint="run: recs migrate; or name the database that has it: DATABASE_URL, or --dsn",
        )
    refuse_newer(found)
    if found < REVISION:
        raise NotMigrated(
            f"the schema recs is at revision {found}, expected {REVISION}", hint="run: recs migrate"
        )


def refuse_newer(revision: str | None) -> None:
    """Check that a schema's revision is none of a newer recs.

    Raises:
        NotMigrated: it is.
    """
    if revision is not None and revision > REVISION:
        raise NotMigrated(
            f"the schema recs is at revision {revision}, newer than {REVISION} of this recs",
            hint="upgrade recs: pip install --upgrade pgrecs",
        )


def schema_revision(connection: psycopg.Connection[Any]) -> str | None:
    """Return the revision of the schema, None where there is none; REVISION if it is secret."""
    row = connection.execute(
        "SELECT has_table_privilege(to_regclass('recs.alembic_version'), 'SELECT')"
    ).fetchone()
    if row is None or row[0] is None:
        return None
    if not row[0]:  # asked first: a refusal would end the transaction
        return REVISION
    found = connection.execute("SELECT version_num FROM recs.alembic_version").fetchone()
    return None if found is None else str(found[0])


def require_tenant(connection: psycopg.Connection[Any], tenant_id: str) -> None:
    """Check that a tenant is known, before a slip of the pen becomes one.

    Raises:
        BadInput: it is empty, or recs.tenants has no such row.
    """
    tenant_id = tenant_text(tenant_id)
    row = connection.execute(
        "SELECT FROM recs.tenants WHERE tenant_id = %s", [tenant_id]
    ).fetchone()
    if row is None:
        statement = sql.SQL("INSERT INTO recs.tenants (tenant_id) VALUES ({})").format(tenant_id)
        raise BadInput(
            f"there is no tenant {tenant_id!r}",
            hint=f"if it is new: {statement.as_string(connection)}",
        )
