"""Tenants and roles: nobody sees another tenant's rows, nobody does more than was granted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psycopg
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from recs import Interaction, Item, Recommender, database
from recs.cli import main
from recs.errors import BadInput
from recs.training import reading, versions
from tests import shops

N = 40
TABLES = (
    "users", "items", "interactions", "item_popularity", "models",
    "item_embeddings", "user_embeddings", "audit_events",
)  # fmt: skip


@pytest.fixture
def two_tenants(engine: Engine, dsn: str) -> Engine:
    """Return an engine on a database with tenants a and b, each with a model."""
    for tenant in ("a", "b"):
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO recs.tenants VALUES (:t)"), {"t": tenant})
            connection.execute(
                text("INSERT INTO recs.users (tenant_id, user_id) VALUES (:t, 'u')"), {"t": tenant}
            )
        ids = shops.insert_items(engine, N, tenant=tenant)
        shops.record(engine, [("u", ids[0]), ("v", ids[1])], tenant=tenant)
        mine = database.make_engine(dsn, tenant_id=tenant)
        with mine.begin() as connection:
            connection.execute(text("SELECT recs.refresh_popularity()"))
        embedding = np.random.default_rng(ord(tenant)).normal(size=(N, 8))
        shops.publish(mine, shops.publication(ids, embedding, histories={"u": [0]}))
    return engine


@contextmanager
def acting_as(engine: Engine, role: str, tenant: str) -> Iterator[Connection]:
    with engine.connect() as connection:
        connection.execute(text(f"SET LOCAL ROLE {role}"))
        connection.execute(text("SELECT set_config('recs.tenant_id', :t, true)"), {"t": tenant})
        yield connection
        connection.rollback()


@pytest.mark.parametrize("table", TABLES)
def test_a_reader_sees_only_its_own_tenants_rows(two_tenants: Engine, table: str) -> None:
    with acting_as(two_tenants, "recs_reader", "a") as connection:
        seen = connection.execute(text(f"SELECT DISTINCT tenant_id FROM recs.{table}")).scalars()
        assert seen.all() == ["a"]


@pytest.mark.parametrize("table", TABLES)
def test_a_reader_without_a_tenant_sees_the_default_one(two_tenants: Engine, table: str) -> None:
    with acting_as(two_tenants, "recs_reader", "") as connection:
        assert connection.execute(text(f"SELECT count(*) FROM recs.{table}")).scalar_one() == 0


def test_recommend_never_returns_another_tenants_items(two_tenants: Engine) -> None:
    with two_tenants.begin() as connection:
        connection.execute(
            text("UPDATE recs.items SET item_id = 'b-' || item_id WHERE tenant_id = 'b'")
        )
    with acting_as(two_tenants, "recs_reader", "a") as connection:
        for user in ("u", "v", "stranger"):
            rows = Recommender(connection).recommend(user, 200)
            assert rows
            assert not [row for row in rows if row.item_id.startswith("b-")]


@pytest.mark.parametrize("strict", [{"only": "in b"}, {"in": "both"}])
def test_a_filter_finds_nothing_of_another_tenant(
    two_tenants: Engine, strict: dict[str, str]
) -> None:
    # Looked up with the owner's rights, past the policies.
    for tenant, attributes in (("a", {"in": "both"}), ("b", {"in": "both", "only": "in b"})):
        Recommender(two_tenants, tenant_id=tenant).upsert_items(
            Item(f"{tenant}-{n}", attributes=attributes) for n in range(3)
        )
    with acting_as(two_tenants, "recs_reader", "a") as connection:
        reader = Recommender(connection)
        for rows in (
            reader.recommend("u", 20, filter=strict),
            reader.recommend("stranger", 20, filter=strict),
            reader.similar_items("item-1", 20, filter=strict),
            reader.recommend_for_items(["item-1"], 20, filter=strict),
        ):
            expected = set() if "only" in strict else {"a-0", "a-1", "a-2"}
            assert {row.item_id for row in rows} == expected


def test_a_reader_gets_what_the_owner_gets(two_tenants: Engine) -> None:
    owner = Recommender(two_tenants, tenant_id="a").recommend("u", 10)
    with acting_as(two_tenants, "recs_reader", "a") as connection:
        assert Recommender(connection).recommend("u", 10) == owner
    assert {row.tier for row in owner} == {"model"}


ANY = ["recs_reader", "recs_trainer"]
MAY_NOT = {
    "INSERT INTO recs.items (item_id) VALUES ('x')": ANY,
    "DELETE FROM recs.interactions": ANY,
    "SELECT recs.record_interaction('u', 'item-1')": ANY,
    "DELETE FROM recs.models": ANY,
    "UPDATE recs.models SET state = 'retired'": ["recs_reader"],
    "SELECT recs.activate_model(1)": ["recs_reader"],
    "SELECT recs.refresh_popularity()": ["recs_reader"],
}


@pytest.mark.parametrize(
    ("role", "statement"),
    [(role, statement) for statement, roles in MAY_NOT.items() for role in roles],
)
def test_a_reader_may_not_write_and_a_trainer_not_what_a_shop_writes(
    two_tenants: Engine, role: str, statement: str
) -> None:
    with acting_as(two_tenants, role, "a") as connection:
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text(statement))
        assert isinstance(caught.value.orig, psycopg.errors.InsufficientPrivilege)


@pytest.mark.parametrize(
    ("function", "table"),
    [("forget_items", "items"), ("place_changed_items", "items"), ("rename_items", "items"),
     ("forget_users", "interactions")],
)  # fmt: skip
def test_a_trigger_function_that_runs_as_the_owner_refuses_a_table_of_the_callers(
    two_tenants: Engine, function: str, table: str
) -> None:
    with two_tenants.begin() as connection:
        # As a grant that an administrator made by mistake.
        connection.execute(text(f"GRANT EXECUTE ON FUNCTION recs.{function}() TO recs_reader"))
    with acting_as(two_tenants, "recs_reader", "a") as connection:
        for statement in (
            "CREATE TEMP TABLE mine (tenant_id text, item_id text)",
            "CREATE TRIGGER hostile AFTER DELETE ON mine REFERENCING OLD TABLE AS deleted"
            f" FOR EACH STATEMENT EXECUTE FUNCTION recs.{function}()",
            "INSERT INTO mine VALUES ('b', 'item-1')",
        ):
            connection.execute(text(statement))
        with pytest.raises(DBAPIError, match=rf"{function}\(\) is a trigger of recs.{table}"):
            connection.execute(text("DELETE FROM mine"))


def test_nobody_reads_a_partition_around_the_policies(two_tenants: Engine) -> None:
    with two_tenants.connect() as connection:
        names = connection.execute(
            text("SELECT inhrelid::regclass::text FROM pg_inherits"
                 " WHERE inhparent = 'recs.item_embeddings'::regclass")
        ).scalars().all()  # fmt: skip
    assert len(names) == 2
    for name in names:
        with acting_as(two_tenants, "recs_writer", "a") as connection:
            with pytest.raises(DBAPIError) as caught:
                connection.execute(text(f"SELECT * FROM {name}"))
            assert isinstance(caught.value.orig, psycopg.errors.InsufficientPrivilege)


def test_who_is_granted_all_tables_of_the_schema_reads_nothing_from_a_partition(
    two_tenants: Engine,
) -> None:
    with two_tenants.begin() as connection:
        names = connection.execute(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent IN"
                 " ('recs.item_embeddings'::regclass, 'recs.user_embeddings'::regclass)")
        ).scalars().all()  # fmt: skip
        connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA recs TO recs_reader"))
    assert len(names) == 4
    with acting_as(two_tenants, "recs_reader", "a") as connection:
        for name in names:
            assert connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one() == 0


def test_a_writer_records_and_is_personalised_in_its_own_tenant(two_tenants: Engine) -> None:
    with acting_as(two_tenants, "recs_writer", "a") as connection:
        writer = Recommender(connection)
        before = writer.recommend("u", 10)
        writer.record_interactions([Interaction("u", "item-20")])
        assert writer.recommend("u", 10) != before
    with acting_as(two_tenants, "recs_writer", "b") as connection:
        count = connection.execute(text("SELECT count(*) FROM recs.interactions")).scalar_one()
        assert count == 2


def test_a_writer_cannot_write_into_another_tenant(two_tenants: Engine) -> None:
    with (
        acting_as(two_tenants, "recs_writer", "a") as connection,
        pytest.raises(DBAPIError, match="row-level security"),
    ):
        connection.execute(
            text("INSERT INTO recs.items (tenant_id, item_id) VALUES ('b', 'planted')")
        )


def test_a_writer_inserts_an_item_and_it_is_there_at_once(two_tenants: Engine) -> None:
    with acting_as(two_tenants, "recs_writer", "a") as connection:
        writer = Recommender(connection)
        assert writer.upsert_items([Item("brand-new", title="a new thing")]) == 1
        assert "brand-new" in {row.item_id for row in writer.recommend("stranger", 200)}


def test_a_trainer_refreshes_popularity_and_flips_versions_of_its_own_tenant(
    two_tenants: Engine, dsn: str
) -> None:
    ids = shops.item_ids(N)
    embedding = np.random.default_rng(5).normal(size=(N, 8))
    mine = database.make_engine(dsn, tenant_id="a")
    second = shops.publish(mine, shops.publication(ids, embedding), activate=False)
    others = "SELECT model_id, state, activated_at FROM recs.models WHERE tenant_id = 'b'"
    with two_tenants.connect() as connection:
        before = connection.execute(text(others)).all()
    with acting_as(two_tenants, "recs_trainer", "a") as connection:
        first = versions.active_version(connection)
        assert connection.execute(text("SELECT recs.refresh_popularity()")).scalar_one() > 0
        versions.activate(connection, second)
        assert first is not None
        assert versions.roll_back(connection) == first.model_id
        connection.execute(text("RESET ROLE"))
        assert connection.execute(text(others)).all() == before


def test_a_tenant_without_a_row_is_trained_on_its_texts(engine: Engine, dsn: str) -> None:
    ids = shops.insert_items(engine, 3, tenant="absent")
    shops.record(engine, [("u", ids[0])], tenant="absent")
    content = reading.read(database.make_engine(dsn, tenant_id="absent")).content
    assert "titl" in content.terms  # english, as a row has by default


def test_an_owner_takes_a_tenant_out_and_leaves_the_other_as_it_was(
    two_tenants: Engine, dsn: str
) -> None:
    other = Recommender(two_tenants, tenant_id="b").recommend("u", 10)
    with two_tenants.begin() as connection:
        connection.execute(
            text(
                "UPDATE recs.models SET state = 'retired'"
                " WHERE tenant_id = 'a' AND state = 'active'"
            )
        )
        mine = text("SELECT model_id FROM recs.models WHERE tenant_id = 'a'")
        models = connection.execute(mine).scalars().all()
    for model_id in models:
        main(["--dsn", dsn, "--tenant", "a", "models", "drop", str(model_id)])
    with two_tenants.begin() as connection:
        for table in ("interactions", "users", "items", "tenants", "audit_events"):
            connection.execute(text(f"DELETE FROM recs.{table} WHERE tenant_id = 'a'"))
        for table in (*TABLES, "content_terms", "tenants"):
            left = text(f"SELECT count(*) FROM recs.{table} WHERE tenant_id = 'a'")
            assert connection.execute(left).scalar_one() == 0, table
    assert Recommender(two_tenants, tenant_id="b").recommend("u", 10) == other


def test_the_command_line_refuses_an_unknown_tenant_and_says_how_to_make_it_known(
    engine: Engine, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--dsn", dsn, "--tenant", "o'brien", "recommend", "u"]
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 1
    error, hint = capsys.readouterr().err.strip().splitlines()
    assert error == """error: there is no tenant "o'brien\""""
    statement = hint.removeprefix("hint: if it is new: ")
    with engine.begin() as connection:
        connection.execute(text(statement))
    main(command)


def test_the_command_line_does_not_offer_to_make_a_tenant_without_a_name(
    engine: Engine, dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--dsn", dsn, "--tenant", "", "recommend", "u"])
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith(
        "error: a tenant is '', expected a name\nhint: name it"
    )


def test_a_user_whose_interactions_a_writer_deletes_leaves_no_vector_in_any_version(
    two_tenants: Engine,
) -> None:
    holders = text("SELECT tenant_id, count(*) FROM recs.user_embeddings GROUP BY 1 ORDER BY 1")
    shops.record(two_tenants, [("u", "item-2")], tenant="a")
    with two_tenants.begin() as connection:
        connection.execute(text("SET LOCAL ROLE recs_writer"))
        connection.execute(text("SELECT set_config('recs.tenant_id', 'a', true)"))
        connection.execute(text("DELETE FROM recs.interactions WHERE item_id = 'item-2'"))
        assert {row.tier for row in Recommender(connection).recommend("u", 5)} == {"model"}
        assert connection.execute(holders).all() == [("a", 1)]
        connection.execute(text("DELETE FROM recs.interactions WHERE user_id = 'u'"))
        assert "fold_in" not in {row.tier for row in Recommender(connection).recommend("u", 5)}
    with two_tenants.connect() as connection:
        assert connection.execute(holders).all() == [("b", 1)]


def test_a_writer_renames_an_item_of_its_own_tenant_only(two_tenants: Engine) -> None:
    with two_tenants.begin() as connection:
        connection.execute(text("SET LOCAL ROLE recs_writer"))
        connection.execute(text("SELECT set_config('recs.tenant_id', 'a', true)"))
        connection.execute(text("UPDATE recs.items SET item_id = 'x' WHERE item_id = 'item-7'"))
        assert "x" in {row.item_id for row in Recommender(connection).recommend("u", N)}
    for table in ("items", "item_embeddings"):
        holders = text(
            f"SELECT tenant_id, item_id FROM recs.{table} WHERE item_id IN ('x', 'item-7')"
        )
        with two_tenants.connect() as connection:
            assert set(connection.execute(holders).all()) == {("a", "x"), ("b", "item-7")}


def test_a_trainer_cannot_write_into_another_tenants_version(two_tenants: Engine) -> None:
    with two_tenants.connect() as connection:
        theirs = connection.execute(
            text("SELECT model_id FROM recs.models WHERE tenant_id = 'b'")
        ).scalar_one()
    with (
        acting_as(two_tenants, "recs_trainer", "a") as connection,
        pytest.raises(DBAPIError, match="row-level security"),
    ):
        connection.execute(
            text("INSERT INTO recs.item_embeddings"
                 " (model_id, item_id, embedding, history_embedding)"
                 " SELECT :id, 'planted', embedding, history_embedding"
                 " FROM recs.item_embeddings LIMIT 1"),
            {"id": theirs},
        )  # fmt: skip


def test_a_reader_reaches_pgvector_where_public_was_shut_since(two_tenants: Engine) -> None:
    with two_tenants.begin() as connection:
        connection.execute(text("REVOKE ALL ON SCHEMA public FROM PUBLIC"))
    with acting_as(two_tenants, "recs_reader", "a") as connection:
        assert Recommender(connection).recommend("u", 5)


def test_a_tenant_is_refused_where_each_statement_is_a_transaction(
    two_tenants: Engine, dsn: str
) -> None:
    loose = two_tenants.execution_options(isolation_level="AUTOCOMMIT")
    item = [Item("whose")]
    with pytest.raises(BadInput, match="AUTOCOMMIT"):
        Recommender(loose, tenant_id="a").upsert_items(item)
    with loose.connect() as connection, pytest.raises(BadInput, match="AUTOCOMMIT"):
        Recommender(connection, tenant_id="a").recommend("u", 5)
    with Session(loose) as session, pytest.raises(BadInput, match="AUTOCOMMIT"):
        Recommender(session, tenant_id="a").recommend("u", 5)
    of_a = database.make_engine(dsn, tenant_id="a")
    with pytest.raises(BadInput, match="AUTOCOMMIT"):
        Recommender(of_a.execution_options(isolation_level="AUTOCOMMIT")).upsert_items(item)
    assert Recommender(loose).upsert_items(item) == 1  # the session's own tenant


def test_the_tenant_of_an_engine_is_that_of_its_transactions_and_ends_with_them(
    two_tenants: Engine, dsn: str
) -> None:
    assert two_tenants
    current = "SELECT recs.current_tenant()"
    with database.make_engine(dsn, tenant_id="a").connect() as connection:
        for _ in range(2):
            assert connection.execute(text(current)).scalar_one() == "a"
            connection.commit()
            raw = connection.connection.driver_connection
            assert isinstance(raw, psycopg.Connection)
            # What the next client of a transaction pooler finds on this server connection.
            assert raw.execute(current).fetchone() == ("default",)
            raw.rollback()
            assert database.driver_connection(connection).execute(current).fetchone() == ("a",)
            connection.rollback()


def test_a_parameter_is_a_value_and_never_sql(two_tenants: Engine) -> None:
    hostile = "x'; DROP TABLE recs.items; --"
    assert Recommender(two_tenants, tenant_id="a").recommend(hostile, 5)
    with pytest.raises(DBAPIError, match="is not in the catalog"):
        Recommender(two_tenants, tenant_id="a").similar_items(hostile)
    assert Recommender(two_tenants, tenant_id="a").recommend("u", 5)


def test_an_operator_that_fits_better_is_not_run_as_the_owner(two_tenants: Engine) -> None:
    with two_tenants.begin() as connection:
        for statement in (
            "CREATE FUNCTION public.planted(oid, regclass) RETURNS boolean LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE EXCEPTION 'run as %', current_user; END $$",
            "CREATE OPERATOR public.<>"
            " (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = public.planted)",
        ):
            connection.execute(text(statement))
    with acting_as(two_tenants, "recs_writer", "a") as connection:
        connection.execute(text("DELETE FROM recs.items WHERE item_id = 'item-1'"))
        connection.execute(text("UPDATE recs.items SET item_id = 'x' WHERE item_id = 'item-2'"))
        connection.execute(text("DELETE FROM recs.interactions"))
