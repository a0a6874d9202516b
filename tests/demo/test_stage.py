"""The demo plays in a database of its own, and never on top of somebody's catalog."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo

from recs import server
from recs.demo import stage
from recs.errors import BadInput


@pytest.fixture
def embedded(server_dsn, monkeypatch):
    """Let the test server pass for the embedded one."""
    running = server.EmbeddedServer(Path("nowhere"), server_dsn, Path("nowhere"))
    monkeypatch.setattr(stage, "DATABASE", "recs_demo_of_test")
    monkeypatch.setattr(server, "start", lambda: running)
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


@pytest.mark.parametrize("name", ["DATABASE_URL", "PGHOST"])
def test_the_demo_does_not_play_in_a_database_that_only_the_environment_names(
    embedded, monkeypatch, name
):
    monkeypatch.setenv(name, "postgresql://nobody@nowhere.invalid/shop")
    place = stage.set_stage()
    assert place.embedded
    assert conninfo.conninfo_to_dict(place.dsn)["dbname"] == "recs_demo_of_test"


def test_a_database_without_the_schema_is_taken_as_it_is(empty_dsn):
    assert stage.set_stage(empty_dsn) == stage.Stage(empty_dsn, embedded=False)


def test_a_migrated_database_without_items_is_taken(dsn):
    assert not stage.set_stage(dsn).embedded


def test_a_database_with_a_catalog_is_refused_and_left_alone(dsn):
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO recs.items (item_id) VALUES ('a'), ('b')")
    with pytest.raises(BadInput, match=r"(?s)catalog already, 2 items.*hint: createdb recs_demo"):
        stage.set_stage(dsn)
