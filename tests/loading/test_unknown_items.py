"""The trigger that refuses interactions with items nobody knows."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError


def insert(connection: Connection, first: int, last: int) -> None:
    connection.execute(
        text(
            "INSERT INTO recs.interactions (user_id, item_id)"
            " SELECT 'u' || i % 7, i::text"
            " FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS i"
        ),
        {"first": first, "last": last},
    )


@pytest.mark.parametrize(("last", "unknown"), [(5, 2), (5003, 5000)], ids=["few", "many"])
def test_an_unknown_item_is_refused_with_its_id_and_how_many(
    catalog: Connection, last: int, unknown: int
) -> None:
    with pytest.raises(IntegrityError) as caught:
        insert(catalog, 1, last)
    error = caught.value.orig.diag
    assert error.sqlstate == "23503"
    first = min(str(number) for number in range(4, last + 1))
    assert error.message_primary == (
        f"interaction with unknown item_id '{first}' ({unknown} unknown in all)"
    )
    assert "recs.items" in error.message_hint
    assert error.table_name == "interactions"


def test_an_update_to_an_unknown_item_is_refused(catalog: Connection) -> None:
    insert(catalog, 1, 3)
    catalog.execute(text("UPDATE recs.interactions SET item_id = '2' WHERE item_id = '3'"))
    with pytest.raises(IntegrityError, match="unknown item_id '9'"):
        catalog.execute(text("UPDATE recs.interactions SET item_id = '9' WHERE item_id = '1'"))


def test_interactions_with_a_deleted_item_can_be_given_to_another_user(
    catalog: Connection,
) -> None:
    insert(catalog, 1, 3)
    catalog.execute(text("DELETE FROM recs.items WHERE item_id = '3'"))
    done = catalog.execute(text("UPDATE recs.interactions SET user_id = 'anonymous'"))
    assert done.rowcount == 3
    with pytest.raises(IntegrityError, match=r"unknown item_id '9' \(1 unknown in all\)"):
        catalog.execute(text("UPDATE recs.interactions SET item_id = '9' WHERE item_id = '1'"))


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO recs.interactions (tenant_id, user_id, item_id) VALUES ('other', 'u', '1')",
        "INSERT INTO recs.interactions (tenant_id, user_id, item_id)"
        " SELECT 'other', 'u', '1' FROM generate_series(1, 2000)",
        "UPDATE recs.interactions SET tenant_id = 'other'",
    ],
    ids=["one", "many", "update"],
)
def test_an_item_of_another_tenant_is_unknown(catalog: Connection, statement: str) -> None:
    insert(catalog, 1, 1)
    with pytest.raises(IntegrityError, match=r"unknown item_id '1' \(1 unknown in all\)") as caught:
        catalog.execute(text(statement))
    assert caught.value.orig.diag.column_name == "item_id"


def test_single_events_after_a_bulk_load_do_not_scan_the_catalog(
    connection: Connection, sql_run: Any
) -> None:
    sql_run("INSERT INTO recs.items (item_id) SELECT i::text FROM generate_series(1, 20000) i")
    sql_run("ANALYZE recs.items")
    insert(connection, 1, 20_000)
    before = seq_scans(sql_run)
    for number in range(8):  # past the five custom plans of a cached statement
        insert(connection, number + 1, number + 1)
    assert seq_scans(sql_run) == before


def seq_scans(sql_run: Any) -> int:
    found = sql_run("SELECT pg_stat_get_xact_numscans('recs.items'::regclass)")
    return int(found[0][0])


@pytest.mark.parametrize(("level", "again"), [("READ COMMITTED", False), ("REPEATABLE READ", True)])
def test_where_an_item_may_have_come_since_the_snapshot_the_hint_says_to_run_it_again(
    engine: Engine, level: str, again: bool
) -> None:
    with engine.connect().execution_options(isolation_level=level) as connection:
        connection.execute(text("SELECT count(*) FROM recs.items"))
        with pytest.raises(IntegrityError) as caught:
            insert(connection, 1, 1)
    assert ("run it again" in caught.value.orig.diag.message_hint) is again
