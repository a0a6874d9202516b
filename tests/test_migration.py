"""Migrations move a database to what schema.py and sql/ define."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, MetaData, text
from sqlalchemy.exc import DBAPIError

from recs import Recommender, database, migration, schema
from recs.cli import main
from recs.errors import BadInput, ConnectionFailed, RecsError, ServerUnsuitable
from recs.migration import apply_sql_files, prepare_schema, read_sql
from recs.resources import sql_files
from tests.catalog import describe


def downgrade(connection: Connection, revision: str) -> None:
    config = migration._config()
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


def test_migrations_and_definitions_give_the_same_database(dsn: str, empty_dsn: str) -> None:
    engine = database.make_engine(empty_dsn)
    with engine.begin() as connection:
        prepare_schema(connection)
        driver = database.driver_connection(connection)
        for path in sql_files():
            if path.stem == "current_tenant":
                driver.execute(read_sql(path).encode())
        schema.metadata.create_all(connection)
        apply_sql_files(connection)
    migrated = [row for row in describe(dsn) if "alembic_version" not in str(row)]
    assert migrated == describe(empty_dsn)
    assert len(migrated) > 100


def test_migrating_twice_changes_nothing(dsn: str) -> None:
    before = describe(dsn)
    engine = database.make_engine(dsn)
    done = migration.migrate(engine)
    assert done.before == done.after == migration.newest_revision()
    assert describe(dsn) == before


def test_a_hosts_own_alembic_can_leave_the_schema_out(dsn: str) -> None:
    def proposals(include_name: Callable[..., bool]) -> list[Any]:
        options = {"include_schemas": True, "include_name": include_name}
        with database.make_engine(dsn).connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            return compare_metadata(context, MetaData())

    assert proposals(lambda name, type_, _: True)  # to drop what it does not know
    assert proposals(lambda name, type_, _: (type_, name) != ("schema", "recs")) == []


def test_the_sql_that_migrate_prints_gives_the_same_database(dsn: str, empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute(migration.migration_sql().encode())
    assert describe(empty_dsn) == describe(dsn)


def test_the_sql_that_migrate_prints_upgrades_an_older_database(
    dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = describe(dsn)
    with database.make_engine(dsn).begin() as connection:
        downgrade(connection, "0003")
    assert describe(dsn) != before
    for revision in ("0003", migration.newest_revision()):
        main(["migrate", "--sql", "--from", revision])
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(capsys.readouterr().out.encode())
        assert describe(dsn) == before
    with pytest.raises(BadInput, match="there is no revision '0099'"):
        migration.migration_sql("0099")


@pytest.fixture
def with_functions_of_0004(dsn: str) -> Engine:
    """Return a database at 0004 that has recommend() as it was called then."""
    engine = database.make_engine(dsn)
    with engine.begin() as connection:
        downgrade(connection, "0004")
        connection.execute(
            text(
                "CREATE FUNCTION recs.recommend(p_user_id text, p_k integer DEFAULT 10,"
                " p_include_seen boolean DEFAULT false, p_filter jsonb DEFAULT NULL)"
                " RETURNS TABLE (item_id text) LANGUAGE sql AS 'SELECT NULL::text'"
            )
        )
    return engine


def test_an_upgrade_leaves_one_function_that_a_call_can_mean(
    with_functions_of_0004: Engine,
) -> None:
    assert migration.migrate(with_functions_of_0004).before == "0004"
    assert Recommender(with_functions_of_0004).recommend("nobody") == []
    with with_functions_of_0004.connect() as connection:
        assert connection.execute(text("SELECT * FROM recs.recommend('nobody', 3)")).all() == []


def test_a_view_on_a_function_that_an_upgrade_drops_is_named_and_stays(
    with_functions_of_0004: Engine,
) -> None:
    with with_functions_of_0004.begin() as connection:
        connection.execute(text("CREATE VIEW home AS SELECT * FROM recs.recommend('nobody')"))
    with pytest.raises(RecsError, match="view home depends on function recommend"):
        migration.migrate(with_functions_of_0004)
    with with_functions_of_0004.begin() as connection:
        assert connection.execute(text("SELECT item_id FROM home")).scalars().all() == [None]
        connection.execute(text("DROP VIEW home"))
    assert migration.migrate(with_functions_of_0004).before == "0004"


def test_a_failed_migration_leaves_nothing(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("power cut")

    # env.py looks the function up when it runs
    monkeypatch.setattr(migration, "apply_sql_files", broken)
    with pytest.raises(RuntimeError, match="power cut"):
        migration.migrate(database.make_engine(empty_dsn))
    with psycopg.connect(empty_dsn) as connection:
        row = connection.execute("SELECT to_regnamespace('recs')").fetchone()
    assert row == (None,)


def test_a_downgrade_leaves_nothing_but_the_version_table_and_can_be_undone(dsn: str) -> None:
    before = describe(dsn)
    engine = database.make_engine(dsn)
    with engine.begin() as connection:
        downgrade(connection, "base")
    assert {row for row in describe(dsn) if "alembic_version" not in str(row)} == set()
    assert migration.migrate(engine).before is None
    assert describe(dsn) == before


def test_versions_from_before_the_two_tower_could_fade_are_served_as_they_were(dsn: str) -> None:
    engine = database.make_engine(dsn)
    with engine.begin() as connection:
        downgrade(connection, "0002")
        connection.execute(
            text(
                "INSERT INTO recs.models (name, dimension, tower_dimension, tower_weight,"
                " tower_support, low_pass_dimension, detail_dimension, association_support,"
                " popularity_weight, new_item_tower, new_item_bias, embedding_scale)"
                " VALUES ('old', 8, 2, 0.8, 100, 0, 0, 5, 0.03, 0.15, 0.05, 1)"
            )
        )
        connection.execute(text("INSERT INTO recs.models (name, dimension) VALUES ('bare', 8)"))
    assert migration.migrate(engine).before == "0002"
    with engine.connect() as connection:
        taste = connection.execute(
            text(
                "SELECT recs.blend_user('[3,4,1,0,0,0,0,0]', 300, m)::real[]"
                " FROM recs.models m WHERE name = 'old'"
            )
        ).scalar_one()
        bare = connection.execute(
            text("SELECT tower_fading FROM recs.models WHERE name = 'bare'")
        ).scalar_one()
    assert taste[:2] == pytest.approx([0.6 * 0.6, 0.8 * 0.6], rel=1e-3)  # .8 * 300 / 400
    assert bare is None


@pytest.mark.parametrize("version", [140012, 90624])
def test_an_old_server_is_named_with_its_version(version: int) -> None:
    with pytest.raises(ServerUnsuitable, match=rf"got {version // 10_000}\.{version % 10_000}"):
        database._check_postgresql(version)


@pytest.mark.parametrize(("version", "fits"), [("0.8.3", False), ("0.8.4", True), ("0.10.0", True)])
def test_an_old_pgvector_is_refused(version: str, fits: bool) -> None:
    if fits:
        database._check_pgvector(version, installed=True)
    else:
        with pytest.raises(ServerUnsuitable, match=r"got 0\.8\.3.*\n.*ALTER EXTENSION"):
            database._check_pgvector(version, installed=True)


def test_it_is_the_pgvector_of_the_database_that_counts_where_it_has_one(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("UPDATE pg_extension SET extversion = '0.8.3' WHERE extname = 'vector'")
        with pytest.raises(ServerUnsuitable, match=r"got 0\.8\.3.*\n.*ALTER EXTENSION vector UP"):
            database.check_server(connection)
        connection.rollback()
        database.check_server(connection)
    with pytest.raises(ServerUnsuitable, match=r"got 0\.7\.0.*\n.*then: CREATE EXTENSION vector"):
        database._check_pgvector("0.7.0", installed=False)


def test_a_database_that_cannot_be_reached_is_an_error_with_a_remedy() -> None:
    with pytest.raises(ConnectionFailed, match="DATABASE_URL"):
        database.connect("host=/nowhere/at/all connect_timeout=1")


def test_an_upgrade_keeps_rows_that_it_would_refuse_now(dsn: str) -> None:
    engine = database.make_engine(dsn)
    with engine.begin() as connection:
        downgrade(connection, "0008")
        connection.execute(text("INSERT INTO recs.items (item_id) VALUES ('i')"))
        connection.execute(
            text("INSERT INTO recs.interactions (user_id, item_id, weight) VALUES ('u', 'i', 1e20)")
        )
        connection.execute(
            text("INSERT INTO recs.users (user_id, segment) VALUES ('u', repeat('s', 2000))")
        )
    assert migration.migrate(engine).before == "0008"
    with engine.connect() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
        assert connection.execute(text("SELECT weight FROM recs.interactions")).scalar_one() > 1e19
        assert len(Recommender(connection).recommend("nobody", 1)) == 1
        with pytest.raises(DBAPIError, match="interactions_weight_check"):
            connection.execute(text("UPDATE recs.interactions SET user_id = 'v'"))
