"""The last step of a training: its version serves, then popularity is made by its half-life."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from recs import Item, Recommender
from recs.database import make_engine
from recs.training import pipeline
from tests import shops
from tests.locks import wait_until_one_waits

# Held, it has a refresh wait where it replaces popularity, past the lock that it takes first.
_HOLD_POPULARITY = text("SELECT FROM recs.item_popularity FOR UPDATE")


@pytest.fixture
def ready(engine: Engine) -> int:
    """Return a version by which popularity halves in a day, to be activated in place of another."""
    ids = shops.insert_items(engine, 10)
    shops.record(engine, [("u", ids[1])], before=timedelta(0))
    shops.record(engine, [("u", ids[0]), ("v", ids[2])], before=timedelta(days=1))
    vectors = np.random.default_rng(0).normal(size=(10, 8))
    shops.publish(engine, shops.publication(ids, vectors))
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
    what = shops.publication(ids, vectors, half_life=1.0)
    return shops.publish(engine, what, activate=False)


def popularity(engine: Engine) -> dict[str, float]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT item_id, popularity FROM recs.popular_items"))
        return {row.item_id: row.popularity for row in rows}


FADED = {"item-1": 1, "item-0": 0.5, "item-2": 0.5}


def test_who_writes_items_and_erases_users_does_not_wait_until_popularity_is_made(
    engine: Engine, ready: int
) -> None:
    with ThreadPoolExecutor(1) as pool, engine.begin() as holding:
        holding.execute(_HOLD_POPULARITY)
        finishing = pool.submit(pipeline._finish, engine, ready)
        wait_until_one_waits(engine, "transactionid")
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '2s'"))
            Recommender(connection).upsert_items([Item("new")])
            Recommender(connection).erase_user("v")
        assert shops.states(engine)[ready] == "active"
        holding.commit()
        finishing.result(30)
    assert popularity(engine).keys() >= {"item-0", "item-1"}


def test_where_popularity_is_not_made_the_version_serves_and_the_next_refresh_mends_it(
    engine: Engine, dsn: str, ready: int
) -> None:
    impatient = make_engine(dsn)
    before = popularity(engine)
    assert before == dict.fromkeys(FADED, 1)
    with engine.begin() as connection:
        name = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
        connection.execute(text(f"ALTER DATABASE {name} SET lock_timeout = '500ms'"))
    with engine.begin() as holding:
        holding.execute(_HOLD_POPULARITY)
        with pytest.raises(OperationalError) as caught:
            pipeline._finish(impatient, ready)
    impatient.dispose()
    assert isinstance(caught.value.orig, psycopg.errors.LockNotAvailable)
    assert shops.states(engine)[ready] == "active"
    assert popularity(engine) == before
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
    assert popularity(engine) == pytest.approx(FADED)


def test_popularity_after_a_training_fades_by_the_version_that_serves_then(
    engine: Engine, ready: int
) -> None:
    pipeline._finish(engine, ready)
    assert popularity(engine) == pytest.approx(FADED)
