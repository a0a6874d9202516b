"""What the group roles were given, table by table and function by function, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from recs import Item, Recommender, migration
from tests import shops

PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
TABLES = {
    "tenants", "users", "items", "interactions", "item_popularity", "models", "item_embeddings",
    "user_embeddings", "content_terms", "audit_events",
}  # fmt: skip
READS = {name: {"SELECT"} for name in TABLES} | {
    name: {"SELECT"}
    for name in ("popular_items", "cold_start_users", "cold_start_items", "alembic_version")
}
KEEPS = {"SELECT", "INSERT", "UPDATE", "DELETE"}
GIVEN = {
    "recs_reader": READS,
    "recs_writer": READS | dict.fromkeys(("users", "items", "interactions"), KEEPS),
    "recs_trainer": READS | {
        "models": {"SELECT"},
        "tenants": {"SELECT", "UPDATE"},
        "item_popularity": {"SELECT", "INSERT", "DELETE"},
        "item_embeddings": KEEPS,
    },
}  # fmt: skip
# Beyond what only reads.
CALLS = {
    "recs_reader": set(),
    "recs_writer": {"record_interaction", "erase_user"},
    "recs_trainer": {
        "activate_model", "roll_back_model", "start_trial", "stop_trial", "place_items",
        "refresh_popularity", "lock_exclusively", "lock_placement",
    },
}  # fmt: skip


@pytest.mark.parametrize("role", GIVEN)
def test_a_role_may_do_with_each_table_what_it_was_given_and_no_more(
    engine: Engine, role: str
) -> None:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT c.relname, p.name FROM pg_class c"
                " CROSS JOIN unnest(CAST(:privileges AS text[])) p (name)"
                " WHERE c.relnamespace = 'recs'::regnamespace AND c.relkind IN ('r', 'p', 'v')"
                " AND has_table_privilege(:role, c.oid, p.name)"
            ),
            {"role": role, "privileges": list(PRIVILEGES)},
        )
        found: dict[str, set[str]] = {}
        for table, privilege in rows:
            found.setdefault(table, set()).add(privilege)
    assert found == GIVEN[role]


def test_a_trainer_says_which_version_serves_and_changes_nothing_else_of_it(engine: Engine) -> None:
    with engine.connect() as connection:
        columns = connection.execute(
            text(
                "SELECT attname FROM pg_attribute WHERE attrelid = 'recs.models'::regclass"
                " AND attnum > 0 AND NOT attisdropped"
                " AND has_column_privilege('recs_trainer', attrelid, attnum, 'UPDATE')"
            )
        ).scalars()
        assert set(columns) == {"state", "activated_at", "previous_model_id", "trial_share"}


@pytest.mark.parametrize("role", CALLS)
def test_a_role_may_call_what_reads_and_of_what_writes_what_it_was_given(
    engine: Engine, role: str
) -> None:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT proname, provolatile <> 'v' AS reads,"
                " has_function_privilege(:role, oid, 'EXECUTE') AS may"
                " FROM pg_proc WHERE pronamespace = 'recs'::regnamespace"
            ),
            {"role": role},
        ).all()
    assert {row.proname for row in rows if row.may} == CALLS[role] | {
        row.proname for row in rows if row.reads
    }


@pytest.mark.parametrize("holder", ["PUBLIC", "recs_reader"])
def test_migrating_takes_back_the_right_to_what_only_triggers_and_owners_run(
    engine: Engine, holder: str
) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"GRANT EXECUTE ON FUNCTION recs.forget_items() TO {holder}"))
    migration.migrate(engine)
    may = text("SELECT has_function_privilege('recs_reader', 'recs.forget_items()', 'EXECUTE')")
    with engine.connect() as connection:
        assert not connection.execute(may).scalar_one()


def test_the_roles_are_groups_and_who_writes_or_trains_may_read(engine: Engine) -> None:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT rolname, rolcanlogin OR rolsuper OR rolcreaterole OR rolbypassrls,"
                " pg_has_role(oid, 'recs_reader', 'USAGE') FROM pg_roles"
                " WHERE rolname LIKE 'recs\\_%' AND rolname = ANY (:roles) ORDER BY 1"
            ),
            {"roles": list(GIVEN)},
        )
        assert [tuple(row) for row in rows] == [(role, False, True) for role in sorted(GIVEN)]


def test_every_table_of_tenants_has_a_policy_on_what_is_read_and_what_is_written(
    engine: Engine,
) -> None:
    own = "(tenant_id = ( SELECT recs.current_tenant() AS current_tenant))"
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT c.relname, c.relrowsecurity, p.permissive, p.cmd, p.roles::text, p.qual,"
                " position(:own IN p.with_check) > 0 FROM pg_class c"
                " LEFT JOIN pg_policies p ON p.schemaname = 'recs' AND p.tablename = c.relname"
                " AND p.permissive = 'PERMISSIVE'"
                " WHERE c.relnamespace = 'recs'::regnamespace AND c.relkind IN ('r', 'p')"
                " AND c.relname <> 'alembic_version'"
            ),
            {"own": own},
        )
        assert {row[0]: tuple(row[1:]) for row in rows} == dict.fromkeys(
            TABLES, (True, "PERMISSIVE", "ALL", "{public}", own, True)
        )


def test_a_trainer_places_items_and_leaves_alone_what_a_version_has_learned(
    engine: Engine,
) -> None:
    ids = shops.insert_items(engine, 4)
    what = shops.publication(ids, np.eye(4))
    content = np.eye(4, dtype=np.float32)
    what = replace(what, items=replace(what.items, content_embedding=content))
    first, second = (shops.publish(engine, what) for _ in range(2))
    Recommender(engine).upsert_items([Item("new", content_vector=[1.0, 0, 0, 0])])
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL ROLE recs_trainer"))
        connection.execute(text("SELECT recs.activate_model(:id)"), {"id": first})
        learned = text(
            "SELECT count(*) FILTER (WHERE source = 'content'), count(*) FROM recs.item_embeddings"
        )
        assert connection.execute(learned).one() == (2, 10)
        connection.execute(text("UPDATE recs.item_embeddings SET embedding = '[0,0,0,1]'"))
        connection.execute(text("DELETE FROM recs.item_embeddings"))
        assert connection.execute(learned).one() == (0, 8)
        moved = text("SELECT count(*) FROM recs.item_embeddings WHERE item_id <> :last"
                     " AND embedding::text = '[0,0,0,1]'")  # fmt: skip
        assert connection.execute(moved, {"last": ids[3]}).scalar_one() == 0
        with pytest.raises(DBAPIError, match="row-level security"):
            connection.execute(
                text(
                    "INSERT INTO recs.item_embeddings"
                    " (model_id, item_id, embedding, history_embedding, source)"
                    " VALUES (:id, 'made-up', '[1,0,0,0]', '[1,0,0,0]', 'interactions')"
                ),
                {"id": second},
            )


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("recs_writer", "INSERT INTO recs.users (tenant_id, user_id) VALUES ('b', 'x')"),
        ("recs_writer", "INSERT INTO recs.items (tenant_id, item_id) VALUES ('b', 'x')"),
        ("recs_writer", "INSERT INTO recs.interactions VALUES ('b', 'u', 'i')"),
        ("recs_writer", "UPDATE recs.items SET tenant_id = 'b'"),
        ("recs_writer", "UPDATE recs.interactions SET tenant_id = 'b'"),
        ("recs_trainer", "UPDATE recs.tenants SET tenant_id = 'b'"),
        ("recs_trainer", "INSERT INTO recs.item_popularity VALUES ('b', '', 'i', 1, 1)"),
    ],
)
def test_nobody_gives_a_row_to_another_tenant(engine: Engine, role: str, statement: str) -> None:
    with engine.begin() as connection:
        for table, columns in {
            "items": "item_id", "models": "name, dimension", "interactions": "user_id, item_id",
        }.items():  # fmt: skip
            values = {"items": "'i'", "models": "'m', 8", "interactions": "'u', 'i'"}[table]
            connection.execute(text(f"INSERT INTO recs.{table} ({columns}) VALUES ({values})"))
        connection.execute(text(f"SET LOCAL ROLE {role}"))
        with pytest.raises(DBAPIError, match="row-level security") as caught:
            connection.execute(text(statement))
    assert isinstance(caught.value.orig, psycopg.errors.InsufficientPrivilege)


def test_every_view_reads_with_the_rights_of_who_asks(engine: Engine) -> None:
    with engine.connect() as connection:
        views = connection.execute(
            text(
                "SELECT relname, coalesce(reloptions::text, '') FROM pg_class"
                " WHERE relnamespace = 'recs'::regnamespace AND relkind = 'v'"
            )
        )
        assert {tuple(row) for row in views} == {
            (name, "{security_invoker=true}")
            for name in ("popular_items", "cold_start_users", "cold_start_items")
        }
