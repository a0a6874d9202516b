"""A small shop with vectors, users and popularity, whose right answers can be computed."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import Engine, text

from recs import Recommender
from tests import shops

D = 16
N = 120
HISTORY = [0, 1, 2]


@pytest.fixture
def vectors() -> np.ndarray:
    return shops.unit(np.random.default_rng(3).normal(size=(N, D)))


@pytest.fixture
def shop(engine: Engine, vectors: np.ndarray) -> Recommender:
    """Return a recommender over 120 items, a user 'regular' with three, and popularity."""
    ids = shops.insert_items(engine, N)
    shops.record(engine, [("regular", ids[j]) for j in HISTORY])
    crowd = [(f"crowd-{u}", ids[j]) for j in range(40, 60) for u in range(j - 38)]
    shops.record(engine, crowd)
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
    shops.publish(engine, shops.publication(ids, vectors, histories={"regular": HISTORY}))
    return Recommender(engine)
