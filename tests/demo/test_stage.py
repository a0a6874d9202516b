"""The demo plays in a database of its own, and never on top of somebody's catalog."""

from __future__ import annotations

import psycopg
import pytest

from recs import database, server
from recs.demo import stage
from recs.errors import BadInput


@pytest.fixture
def embedded(server_dsn, monkeypatch):
    """Let the test server pass for the embedded one."""
    for name in ("DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(stage, "DATABASE", "recs_demo_of_test")
    monkeypatch.setattr(database, "find_dsn", lambda _: server_dsn)
    monkeypatch.setattr(stage, "_is_embedded", lambda _: True)
    yield server_dsn
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS recs_demo_of_test WITH (FORCE)")


def test_each_demo_on_the_embedded_server_starts_in_an_empty_database(embedded):
    for _ in range(2):
        place = stage.set_stage()
        assert place.embedded
        with psycopg.connect(place.dsn) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == (
                "recs_demo_of_test",
            )
            assert connection.execute("SELECT to_regclass('left_over')").fetchone() == (None,)
            connection.execute("CREATE TABLE left_over ()")


def test_a_database_without_the_schema_is_taken_as_it_is(empty_dsn):
    assert stage.set_stage(empty_dsn) == stage.Stage(empty_dsn, embedded=False)


def test_a_migrated_database_without_items_is_taken(dsn):
    assert not stage.set_stage(dsn).embedded


def test_a_database_with_a_catalog_is_refused_and_left_alone(dsn):
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO recs.items (item_id) VALUES ('a'), ('b')")
    with pytest.raises(BadInput, match=r"(?s)catalog already, 2 items.*hint: createdb recs_demo"):
        stage.set_stage(dsn)


def test_only_the_maintenance_database_of_the_embedded_server_is_the_embedded_one(monkeypatch):
    folder = server.default_folder().resolve()
    assert stage._is_embedded(f"postgresql://postgres:@/postgres?host={folder}")
    assert not stage._is_embedded(f"postgresql://postgres:@/shop?host={folder}")
    assert not stage._is_embedded("postgresql://postgres:@/postgres?host=/elsewhere")
