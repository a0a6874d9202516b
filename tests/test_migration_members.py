"""Group roles are of the cluster: the first migrate of a database names who has one already."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import conninfo

from recs import database, migration

APP = "recs_test_app_of_a"


@pytest.fixture
def admin(dsn: str, empty_dsn: str) -> Iterator[psycopg.Connection]:
    """Return a connection to the database of shop B; an application of shop A is a writer."""
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        # `dsn`: by another migration of this cluster, the group roles are there.
        connection.execute(f"CREATE ROLE {APP} LOGIN; GRANT recs_writer TO {APP}".encode())
        try:
            yield connection
        finally:
            connection.execute(f"DROP OWNED BY {APP}; DROP ROLE {APP}".encode())


def test_members_of_the_group_roles_are_named_when_these_come_to_a_database(
    empty_dsn: str, admin: psycopg.Connection
) -> None:
    engine = database.make_engine(empty_dsn)
    name = conninfo.conninfo_to_dict(empty_dsn)["dbname"]
    (warning,) = migration.migrate(engine).warnings
    assert warning.startswith(f"{APP} may use the database {name} too")
    assert f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC; " in warning
    assert f"GRANT CONNECT ON DATABASE {name} TO" in warning
    assert migration.migrate(engine).warnings == ()


def test_a_member_that_may_not_connect_is_not_named(
    empty_dsn: str, admin: psycopg.Connection
) -> None:
    name = conninfo.conninfo_to_dict(empty_dsn)["dbname"]
    admin.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC".encode())
    assert migration.migrate(database.make_engine(empty_dsn)).warnings == ()


def test_who_is_no_member_is_not_named(empty_dsn: str, admin: psycopg.Connection) -> None:
    admin.execute(f"REVOKE recs_writer FROM {APP}".encode())
    assert migration.migrate(database.make_engine(empty_dsn)).warnings == ()
