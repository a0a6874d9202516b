"""A real PostgreSQL for every test: a given DSN, else testcontainers, else the embedded server.

The schema is migrated once a session into a template database; `engine` is a database of its own
cloned from it, `connection` a transaction on a shared one that is rolled back.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo, sql
from sqlalchemy import Connection, Engine

from recs import database, migration, server
from tests import shops

POSTGRES_IMAGE = "pgvector/pgvector:0.8.4-pg18"


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """Return the DSN of a server on which tests may create databases."""
    given = os.environ.get("RECS_TEST_DSN")
    if given:
        yield given
    elif _docker_answers():
        from testcontainers.postgres import PostgresContainer

        with PostgresContainer(POSTGRES_IMAGE) as container:
            yield database.libpq_dsn(container.get_connection_url())
    else:
        # Outside pytest's own folder: a second pytest run by root closes that to the server's user.
        with tempfile.TemporaryDirectory(prefix="recs-test-", ignore_cleanup_errors=True) as folder:
            running = server.start(Path(folder) / "postgresql")
            yield _fast(running.dsn)
            server.stop(running.folder)


def _docker_answers() -> bool:
    try:
        import docker

        docker.from_env(timeout=2).ping()
    except Exception:  # noqa: BLE001 - whatever is wrong with Docker, there is another way
        return False
    return True


def _fast(dsn: str) -> str:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")
    return dsn


class Databases:
    """Creates and drops databases on the test server."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def create(self, template: str | None = None) -> str:
        """Create a database, a copy of `template`; return its name."""
        name = f"recs_test_{secrets.token_hex(6)}"
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        self._execute(statement)
        return name

    def drop(self, name: str) -> None:
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def dsn_of(self, name: str) -> str:
        return conninfo.make_conninfo(self.dsn, dbname=name)

    def _execute(self, statement: sql.Composable) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def databases(server_dsn: str) -> Databases:
    return Databases(server_dsn)


@pytest.fixture(scope="session")
def template(databases: Databases) -> Iterator[str]:
    """Return the name of a migrated database, to be cloned."""
    name = databases.create()
    engine = database.make_engine(databases.dsn_of(name))
    migration.migrate(engine)
    engine.dispose()
    yield name
    databases.drop(name)


@pytest.fixture
def dsn(databases: Databases, template: str) -> Iterator[str]:
    """Return the DSN of a migrated database of this test's own."""
    name = databases.create(template)
    yield databases.dsn_of(name)
    databases.drop(name)


@pytest.fixture
def engine(dsn: str) -> Iterator[Engine]:
    """Return an engine on a migrated database of this test's own."""
    engine = database.make_engine(dsn)
    yield engine
    engine.dispose()


@pytest.fixture
def two_versions(engine: Engine) -> list[int]:
    """Return the retired and the active version of a shop."""
    return shops.publish_two(engine)


@pytest.fixture
def empty_dsn(databases: Databases) -> Iterator[str]:
    """Return the DSN of a database without the schema recs."""
    name = databases.create()
    yield databases.dsn_of(name)
    databases.drop(name)


@pytest.fixture(scope="session")
def shared_dsn(databases: Databases, template: str) -> Iterator[str]:
    """Return the DSN of a migrated database for tests that roll back."""
    name = databases.create(template)
    yield databases.dsn_of(name)
    databases.drop(name)


@pytest.fixture
def connection(shared_dsn: str) -> Iterator[Connection]:
    """Return a connection in a transaction that is rolled back after the test."""
    engine = database.make_engine(shared_dsn)
    with engine.connect() as connection:
        yield connection
        connection.rollback()
    engine.dispose()


@pytest.fixture
def sql_run(connection: Connection) -> Any:
    """Return a function that runs SQL on `connection` and returns all rows."""
    driver = database.driver_connection(connection)

    def run(statement: str, *parameters: Any) -> list[Any]:
        cursor = driver.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []

    return run
