"""Functions: who may run them, where they look names up, what they say of themselves."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import Engine, text

from recs import migration
from tests import shops

TRIGGERS = (
    "forget_items", "forget_users", "place_changed_items", "refuse_unknown_items",
    "refuse_unknown_text_search_config", "rename_items",
)  # fmt: skip


@pytest.fixture
def version(engine: Engine) -> int:
    """Return a published version, whose functions are beside the schema's own."""
    return shops.publish(engine, shops.publication(shops.insert_items(engine, 3), np.eye(3)))


@pytest.mark.parametrize(
    "function",
    [
        *(f"{name}()" for name in TRIGGERS),
        "create_serving_function(bigint)",
        "create_user_functions(bigint)",
        "create_reader_function(text, text, text)",
        "refuse_stale_snapshot(text)",
        "refuse_unseen_models(text)",
    ],
)
@pytest.mark.parametrize("role", ["recs_reader", "recs_writer", "recs_trainer"])
def test_no_role_may_execute_what_runs_as_the_owner_or_makes_functions(
    engine: Engine, role: str, function: str
) -> None:
    with engine.connect() as connection:
        may = connection.execute(
            text("SELECT has_function_privilege(:role, :function, 'EXECUTE')"),
            {"role": role, "function": f"recs.{function}"},
        ).scalar_one()
    assert not may


def test_every_function_pins_its_search_path_or_was_parsed_at_creation(
    engine: Engine, version: int
) -> None:
    with engine.connect() as connection:
        loose = connection.execute(
            text(
                "SELECT p.oid::regprocedure::text FROM pg_proc p"
                " WHERE p.pronamespace = 'recs'::regnamespace AND p.prosqlbody IS NULL"
                " AND NOT coalesce(p.proconfig::text, '') LIKE '%search_path=%'"
            )
        ).scalars()
        assert loose.all() == []


def test_no_function_that_steers_the_planner_is_compiled(engine: Engine, version: int) -> None:
    # Up to PostgreSQL 17 a plan that cannot do without what is turned off counts as endlessly dear,
    # and is compiled at every call where the server can: tenths of a second for each.
    with engine.connect() as connection:
        compiled = connection.execute(
            text(
                "SELECT p.oid::regprocedure::text FROM pg_proc p"
                " WHERE p.pronamespace = 'recs'::regnamespace"
                " AND p.proconfig::text ~ 'enable_|plan_cache_mode|hnsw'"
                " AND NOT p.proconfig @> '{jit=off}'"
            )
        ).scalars()
        assert compiled.all() == []


def test_what_runs_as_the_owner_and_needs_no_vectors_looks_nowhere_but_in_schemas_of_its_own(
    engine: Engine,
) -> None:
    with engine.connect() as connection:
        paths = connection.execute(
            text("SELECT DISTINCT c.setting FROM pg_proc p, unnest(p.proconfig) c (setting)"
                 " WHERE p.pronamespace = 'recs'::regnamespace AND p.prosecdef"
                 " AND c.setting LIKE 'search_path=%'")
        ).scalars()  # fmt: skip
        assert set(paths) == {"search_path=pg_catalog, recs, pg_temp"}


def test_everything_but_partitions_and_constraints_has_a_comment(
    engine: Engine, version: int
) -> None:
    with engine.connect() as connection:
        silent = connection.execute(
            text(
                "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE"
                " p.pronamespace = 'recs'::regnamespace AND obj_description(p.oid, 'pg_proc')"
                " IS NULL UNION ALL SELECT c.relname FROM pg_class c"
                " WHERE c.relkind IN ('v', 'r', 'p') AND NOT c.relispartition"
                " AND c.relnamespace = 'recs'::regnamespace"
                " AND obj_description(c.oid, 'pg_class') IS NULL"
                " AND c.relname <> 'alembic_version' UNION ALL"
                " SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
                " WHERE c.relnamespace = 'recs'::regnamespace"
                " AND obj_description(t.oid, 'pg_trigger') IS NULL UNION ALL"
                " SELECT p.polname FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
                " WHERE c.relnamespace = 'recs'::regnamespace"
                " AND obj_description(p.oid, 'pg_policy') IS NULL"
            )
        ).scalars()
        assert silent.all() == []


OF_A_VERSION = ("nearest_items", "stored_user", "user_history")


def test_the_functions_of_a_version_are_for_readers_and_for_nobody_else(
    engine: Engine, version: int
) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS recs_test_other"))
        connection.execute(text("CREATE ROLE recs_test_other"))
        rows = connection.execute(
            text(
                "SELECT p.proname, has_function_privilege('recs_reader', p.oid, 'EXECUTE'),"
                " has_function_privilege('recs_test_other', p.oid, 'EXECUTE') FROM pg_proc p"
                " WHERE p.pronamespace = 'recs'::regnamespace AND p.proname LIKE '%\\_' || :id"
            ),
            {"id": version},
        )
        assert {tuple(row) for row in rows} == {
            (f"{name}_{version}", True, False) for name in OF_A_VERSION
        }
        connection.rollback()


@pytest.mark.parametrize("state", ["ready", "active", "retired"])
def test_migrating_makes_the_functions_of_each_version_anew_whatever_their_arguments_were(
    engine: Engine, version: int, state: str
) -> None:
    definitions = text(
        "SELECT pg_get_functiondef(p.oid) FROM pg_proc p WHERE p.proname = ANY (:names) ORDER BY 1"
    )
    names = {"names": [f"{name}_{version}" for name in OF_A_VERSION]}
    with engine.begin() as connection:
        before = connection.execute(definitions, names).scalars().all()
        connection.execute(text("UPDATE recs.models SET state = :state"), {"state": state})
        # As an earlier release made them, with other arguments.
        for function in connection.execute(
            text("SELECT oid::regprocedure::text FROM pg_proc WHERE proname = ANY (:names)"), names
        ).scalars():
            connection.execute(text(f"DROP FUNCTION {function}"))
        for name in names["names"]:
            connection.execute(
                text(f"CREATE FUNCTION recs.{name}(integer) RETURNS integer LANGUAGE sql AS"
                     " 'SELECT 1'")
            )  # fmt: skip
    migration.migrate(engine)
    with engine.connect() as connection:
        assert connection.execute(definitions, names).scalars().all() == before
    assert len(before) == len(OF_A_VERSION)
