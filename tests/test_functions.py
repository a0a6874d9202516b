"""Functions: who may run them, where they look names up, what they say of themselves."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

TRIGGERS = (
    "forget_items", "forget_users", "place_changed_items", "refuse_unknown_items",
    "refuse_unknown_text_search_config", "rename_items",
)  # fmt: skip


@pytest.mark.parametrize(
    "function",
    [
        *(f"{name}()" for name in TRIGGERS),
        "create_serving_function(bigint)",
        "create_user_functions(bigint)",
        "create_reader_function(text, text, text)",
        "refuse_stale_snapshot(text)",
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


def test_every_function_pins_its_search_path_or_was_parsed_at_creation(engine: Engine) -> None:
    with engine.connect() as connection:
        loose = connection.execute(
            text(
                "SELECT p.oid::regprocedure::text FROM pg_proc p"
                " WHERE p.pronamespace = 'recs'::regnamespace AND p.prosqlbody IS NULL"
                " AND NOT coalesce(p.proconfig::text, '') LIKE '%search_path=%'"
            )
        ).scalars()
        assert loose.all() == []


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


def test_every_function_and_view_has_a_comment(engine: Engine) -> None:
    with engine.connect() as connection:
        silent = connection.execute(
            text(
                "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE"
                " p.pronamespace = 'recs'::regnamespace AND obj_description(p.oid) IS NULL"
                " UNION ALL SELECT c.relname FROM pg_class c WHERE c.relkind IN ('v', 'r', 'p')"
                " AND c.relnamespace = 'recs'::regnamespace AND obj_description(c.oid) IS NULL"
                " AND c.relname <> 'alembic_version'"
            )
        ).scalars()
        assert silent.all() == []
