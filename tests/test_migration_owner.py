"""Who else owns a part of the schema recs could act as who migrates, so that is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from recs import database, migration
from recs.errors import RecsError
from tests.catalog import describe
from tests.test_dump import _embedded_programs

SHOP = "recs_test_Shop"  # in capitals: has to be quoted


@pytest.fixture
def admin(empty_dsn: str) -> Iterator[psycopg.Connection]:
    """Return a superuser's connection to a database that belongs to a shop."""
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute(f'CREATE EXTENSION vector; CREATE ROLE "{SHOP}"'.encode())
        connection.execute(
            f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO \"{SHOP}\"',"
            " current_database()); END $$".encode()
        )
        try:
            yield connection
        finally:
            connection.execute("RESET ROLE")
            connection.execute(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO %I',"
                " current_database(), session_user); END $$"
            )
            connection.execute(f'DROP OWNED BY "{SHOP}" CASCADE; DROP ROLE "{SHOP}"'.encode())


def refusal(dsn: str) -> RecsError:
    with pytest.raises(RecsError) as caught:
        migration.migrate(database.make_engine(dsn))
    assert str(caught.value.hint).startswith("nothing has changed; ")
    return caught.value


def by_hand(connection: psycopg.Connection, statement: str) -> None:
    connection.execute(f'SET ROLE "{SHOP}"'.encode())
    connection.execute(statement.encode())
    connection.execute("RESET ROLE")


def test_a_schema_of_another_role_is_refused_before_anything_in_it_is_read(
    empty_dsn: str, admin: psycopg.Connection
) -> None:
    by_hand(
        admin,
        "CREATE SCHEMA recs;"
        "CREATE FUNCTION recs.catch() RETURNS text LANGUAGE plpgsql"
        " AS 'BEGIN RAISE ''caught %'', current_user; END';"
        "CREATE VIEW recs.alembic_version AS SELECT recs.catch() AS version_num",
    )
    told = refusal(empty_dsn)
    assert told.message.startswith(f'the schema recs is owned by "{SHOP}", expected ')
    assert f"PGOPTIONS='-c role={SHOP}' recs migrate" in str(told.hint)


def test_the_owner_of_the_schema_migrates_and_again(
    empty_dsn: str, admin: psycopg.Connection, dsn: str
) -> None:
    by_hand(admin, "CREATE SCHEMA recs")
    told = refusal(empty_dsn)
    options = str(told.hint).split("PGOPTIONS='")[1].split("'")[0]
    engine = database.make_engine(conninfo.make_conninfo(empty_dsn, options=options))
    for _ in range(2):
        migration.migrate(engine)
    assert len(describe(empty_dsn)) == len(describe(dsn))
    refusal(empty_dsn)  # no longer the superuser


def test_a_schema_that_is_handed_over_empty_is_migrated(
    empty_dsn: str, admin: psycopg.Connection
) -> None:
    by_hand(admin, "CREATE SCHEMA recs")
    admin.execute(str(refusal(empty_dsn).hint).split(": ")[-1].encode())
    migration.migrate(database.make_engine(empty_dsn))


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("FUNCTION recs.current_tenant() RETURNS text LANGUAGE sql STABLE AS $$ SELECT '' $$",
         "ROUTINE recs.current_tenant()"),
        ("TABLE recs.items (n serial, m int GENERATED ALWAYS AS IDENTITY)", "TABLE recs.items"),
        ("VIEW recs.popular AS SELECT 1", "TABLE recs.popular"),
        ("DOMAIN recs.halfvec AS text CHECK (VALUE <> '')", "TYPE recs.halfvec"),
        ("OPERATOR recs.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)",
         "OPERATOR recs.=(text,text)"),
    ],
)  # fmt: skip
def test_what_another_role_owns_in_the_schema_is_named(
    empty_dsn: str, admin: psycopg.Connection, made: str, named: str
) -> None:
    by_hand(admin, f"CREATE SCHEMA recs; CREATE {made}")
    admin.execute("DO $$ BEGIN EXECUTE format('ALTER SCHEMA recs OWNER TO %I', user); END $$")
    told = refusal(empty_dsn)
    assert told.message.startswith(f"{SHOP} owns objects in the schema recs, expected nobody but")
    remedy = str(told.hint).split("of the rest: ")[1]
    assert remedy.startswith(f"ALTER {named} OWNER TO ")
    assert ";" not in remedy
    admin.execute(remedy.encode())
    with psycopg.connect(empty_dsn) as connection:
        connection.execute(migration._read_step("owner").encode())


@pytest.mark.parametrize("who", [f'"{SHOP}"', "PUBLIC"])
def test_who_else_may_create_in_the_schema_is_named(
    empty_dsn: str, admin: psycopg.Connection, who: str
) -> None:
    engine = database.make_engine(empty_dsn)
    migration.migrate(engine)
    admin.execute(f"GRANT CREATE ON SCHEMA recs TO {who}".encode())
    told = refusal(empty_dsn)
    assert told.message.startswith(f"{who} may create in the schema recs, expected nobody but ")
    admin.execute(str(told.hint).removeprefix("nothing has changed; ").encode())
    migration.migrate(engine)


def test_the_sql_that_migrate_prints_refuses_a_schema_of_another_role(
    empty_dsn: str, admin: psycopg.Connection
) -> None:
    by_hand(admin, "CREATE SCHEMA recs")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="the schema recs is owned by"):
        admin.execute(migration.migration_sql().encode())
    admin.execute("ROLLBACK")
    admin.execute(f'SET ROLE "{SHOP}"'.encode())
    admin.execute(migration.migration_sql().encode())


def test_who_restores_without_owners_owns_all_and_migrates(
    dsn: str, empty_dsn: str, admin: psycopg.Connection, tmp_path: Path
) -> None:
    admin.execute(f'ALTER ROLE "{SHOP}" SUPERUSER'.encode())  # to restore parameters of pgvector
    programs, dump = _embedded_programs(), tmp_path / "dump"
    version = subprocess.run([programs / "pg_dump", "--version"], capture_output=True, text=True)
    if f" {admin.info.server_version // 10000}." not in version.stdout:
        pytest.skip(f"{version.stdout.strip()} is not of the server's version")
    for program in (
        [programs / "pg_dump", "-Fc", "-f", dump, dsn],
        [programs / "pg_restore", "--no-owner", f"--role={SHOP}", "-d", empty_dsn, dump],
    ):
        done = subprocess.run(program, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    before = describe(empty_dsn)
    as_shop = conninfo.make_conninfo(empty_dsn, options=f"-c role={SHOP}")
    migration.migrate(database.make_engine(as_shop))
    assert describe(empty_dsn) == before
    refusal(empty_dsn)
