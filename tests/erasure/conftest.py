"""A shop of two versions, in which items and users go and get other names."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import Engine, text

from tests import shops

N = 40


@pytest.fixture
def ids(engine: Engine) -> list[str]:
    return shops.insert_items(engine, N)


@pytest.fixture
def shop(engine: Engine, ids: list[str]) -> Engine:
    """Return a database with two versions, popularity, and a user 'u' of three items."""
    shops.record(engine, [("u", ids[0]), ("u", ids[1]), ("u", ids[2]), ("v", ids[7])])
    run(engine, "SELECT recs.refresh_popularity()")
    for seed in range(2):
        what = shops.publication(ids, embeddings(seed), histories={"u": [0, 1, 2], "v": [7]})
        shops.publish(engine, what)
    return engine


def embeddings(seed: int) -> np.ndarray:
    return shops.unit(np.random.default_rng(seed).normal(size=(N, 8)))


def run(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def count(engine: Engine, query: str) -> int:
    with engine.connect() as connection:
        found: int = connection.execute(text(f"SELECT count(*) FROM recs.{query}")).scalar_one()
        return found
