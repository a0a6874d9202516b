"""Who asks or writes while `recs migrate` runs is not locked out for long, nor in a deadlock."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine

from recs import database, migration, resources, schema
from recs.errors import RecsError
from recs.migration import apply_sql_files
from tests.catalog import describe

# What neither a reader nor a writer waits for.
HARMLESS = {"AccessShareLock", "RowShareLock", "RowExclusiveLock"}
CHANGES = (
    "DROP POLICY items_tenant ON recs.items",
    "ALTER POLICY models_tenant ON recs.models USING (true)",
    "ALTER TABLE recs.users DISABLE ROW LEVEL SECURITY",
    "DROP TRIGGER items_place_new ON recs.items",
    "ALTER TABLE recs.items DISABLE TRIGGER items_place_updated",
    "CREATE OR REPLACE VIEW recs.popular_items WITH (security_invoker = true) AS"
    " SELECT tenant_id, segment, item_id, '' AS title, popularity, support"
    " FROM recs.item_popularity",
    "ALTER VIEW recs.popular_items SET (security_invoker = false)",
)


@pytest.fixture
def locks(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Return what will hold the locks on relations of recs that a migration has at its end."""
    held: set[tuple[str, str]] = set()

    def apply(connection: Connection) -> None:
        apply_sql_files(connection)
        rows = database.driver_connection(connection).execute(
            "SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
            " WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'recs'::regnamespace"
        )
        held.update(rows.fetchall())

    monkeypatch.setattr(migration, "apply_sql_files", apply)
    return held


def test_an_up_to_date_migration_takes_no_lock_that_readers_or_writers_meet(
    engine: Engine, two_versions: list[int], locks: set[tuple[str, str]]
) -> None:
    migration.migrate(engine)
    assert locks
    assert {(name, mode) for name, mode in locks if mode not in HARMLESS} == set()


def test_an_up_to_date_migration_waits_for_nobody_who_reads_or_writes(
    engine: Engine, dsn: str
) -> None:
    with psycopg.connect(dsn) as other:
        other.execute("SELECT FROM recs.popular_items, recs.models, recs.audit_events")
        other.execute("INSERT INTO recs.items (item_id) VALUES ('a')")
        other.execute("SELECT recs.record_interaction('u', 'a')")
        started = monotonic()
        migration.migrate(engine)
        assert monotonic() - started < 9


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_by_hand_is_made_anew_once(
    dsn: str, engine: Engine, change: str, locks: set[tuple[str, str]]
) -> None:
    before = describe(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute(change.encode())
    migration.migrate(engine)
    assert describe(dsn) == before
    assert ("models", "AccessExclusiveLock") in locks
    with psycopg.connect(dsn) as connection:
        off = connection.execute("SELECT tgname FROM pg_trigger WHERE tgenabled = 'D'").fetchall()
    assert off == []
    locks.clear()
    migration.migrate(engine)
    assert {mode for _, mode in locks} <= HARMLESS


def test_a_file_that_differs_is_applied(
    engine: Engine, dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (original,) = (p for p in resources.sql_files() if p.stem == "users_tenant")
    (tmp_path / "policies").mkdir()
    edited = tmp_path / "policies" / original.name
    checked = "WITH CHECK (user_id <> '' AND "
    edited.write_text(original.read_text().replace("WITH CHECK (", checked))
    files = [edited if p == original else p for p in resources.sql_files()]
    monkeypatch.setattr(resources, "sql_files", lambda: iter(files))
    migration.migrate(engine)
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT with_check FROM pg_policies WHERE policyname = 'users_tenant'"
        ).fetchone()
    assert row is not None
    assert "user_id <> ''" in row[0]


@pytest.fixture
def outdated(dsn: str) -> str:
    """Return the DSN of a database in which a policy has to be made anew."""
    with psycopg.connect(dsn) as connection:
        connection.execute("DROP POLICY items_tenant ON recs.items")
    return dsn


@pytest.fixture
def migrating(outdated: str) -> Iterator[Any]:
    with ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(migration.migrate, database.make_engine(outdated))


def test_a_migration_lets_a_reader_go_on_whose_transaction_it_met_halfway(
    outdated: str, migrating: Any
) -> None:
    with psycopg.connect(outdated) as reader:
        reader.execute("SELECT FROM recs.interactions")
        running = migrating()
        for _ in range(15):
            started = monotonic()
            reader.execute("SELECT FROM recs.models, recs.audit_events, recs.popular_items")
            assert monotonic() - started < 0.9  # before PostgreSQL looks for a deadlock
            reader.commit()
            reader.execute("SELECT FROM recs.interactions")
            sleep(0.05)
        reader.commit()
        running.result()


def test_a_migration_that_waits_does_not_hold_new_readers_up(outdated: str, migrating: Any) -> None:
    with psycopg.connect(outdated) as holder, psycopg.connect(outdated, autocommit=True) as reader:
        holder.execute("SELECT FROM recs.audit_events")  # the last that it takes
        running, waits = migrating(), []
        while not waits or max(waits) < 0.05:
            assert not running.done()
            started = monotonic()
            reader.execute("SELECT FROM recs.models")
            waits.append(monotonic() - started)
        sleep(1)
        assert max(waits) < 0.9
        holder.commit()
        running.result()


def test_a_migration_gives_up_on_a_table_in_use_and_says_so(
    outdated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = describe(outdated)
    hasty = migration.offline_sql.lock().replace("interval '10 s'", "interval '0 s'")
    monkeypatch.setattr(migration._Statements, "lock", staticmethod(lambda: hasty))
    with psycopg.connect(outdated) as reader:
        reader.execute("SELECT count(*) FROM recs.items")
        with pytest.raises(RecsError, match=r"in use(.|\n)*hint: nothing has changed"):
            migration.migrate(database.make_engine(outdated))
    assert describe(outdated) == before
    migration.migrate(database.make_engine(outdated))
    assert describe(outdated) != before


def test_a_deadlock_is_told_as_something_to_run_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deadlock(_: object) -> None:
        raise psycopg.errors.DeadlockDetected("deadlock detected")

    monkeypatch.setattr(migration, "apply_sql_files", deadlock)
    with pytest.raises(RecsError, match=r"each waited for(.|\n)*hint: nothing .* run it again"):
        migration.migrate(engine)


def test_a_migration_locks_every_table_and_view() -> None:
    views = {path.stem for path in resources.sql_files() if path.parent.name == "views"}
    tables = {table.name for table in schema.metadata.tables.values()}
    listed = migration.offline_sql.lock().split("ARRAY[")[1].split("]")[0]
    names = {name.strip(" \n'").removeprefix("recs.") for name in listed.split(",")}
    assert names == views | tables
