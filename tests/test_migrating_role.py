"""Who migrates may lack rights, and the extension a place on the search path: what then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg import conninfo

from recs import Interaction, Item, Recommender, database, migration
from recs.cli import main
from recs.errors import BadInput, ServerUnsuitable
from recs.loading import load_items
from recs.migration import read_sql
from recs.resources import sql_files
from recs.training import reading
from tests import shops
from tests.catalog import describe


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


def test_training_reads_vectors_where_the_search_path_lacks_the_extension(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA extensions; CREATE EXTENSION vector SCHEMA extensions")
    engine = database.make_engine(empty_dsn)
    migration.migrate(engine)
    shop = Recommender(engine)
    shop.upsert_items([Item("a", content_vector=[1, 0]), Item("b")])
    shop.record_interactions([Interaction("ann", "a")])
    vectors = reading.read(engine).content.vectors
    engine.dispose()
    assert vectors is not None
    assert vectors.tolist() == [[1, 0], [0, 0]]


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
