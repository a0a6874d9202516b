"""The views of newcomers, each column against what the README says it is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from recs import Interaction, Item, Recommender
from recs.training.publication import BlendWeights
from tests import shops

N, D, C = 450, 8, 6
SCALE = 2.0
BLEND = BlendWeights(
    tower_dimension=3,
    tower_weight=0.8,
    tower_support=10.0,
    tower_fading=50.0,
    low_pass_dimension=1,
    detail_dimension=1,
    association_support=5.0,
    popularity_weight=0.5,
    new_item_tower=0.4,
    new_item_bias=0.05,
    embedding_scale=SCALE,
)
CONTENT = shops.unit(np.random.default_rng(1).gamma(0.5, size=(N, C)))
VECTORS = shops.unit(np.random.default_rng(2).normal(size=(N, D)))
SEEN = [*range(3, 147, 3)]
NEW = {"new-0": CONTENT[7], "new-1": CONTENT[[3, 8]].sum(0), "gone": CONTENT[2]}


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """Return a shop of 450 learned items and some new ones, one of each sold out."""
    ids = shops.insert_items(engine, N)
    for vectors, content in ((VECTORS[::-1], CONTENT[::-1]), (VECTORS, CONTENT)):
        what = shops.publication(ids, vectors, blend=BLEND)
        items = replace(what.items, content_embedding=content)
        shops.publish(engine, replace(what, items=items))  # the first is retired by the second
    recommender = Recommender(engine)
    recommender.upsert_items(
        Item(item, item, content_vector=vector.tolist(), available=item != "gone")
        for item, vector in NEW.items()
    )
    recommender.record_interactions(
        Interaction(f"w{n}", ids[j], weight=1 + j / 1000, occurred_at=shops.TRAINED_UNTIL)
        for j in range(N)
        for n in range(1 + (j * 7) % 5)
    )
    recommender.record_interactions(
        Interaction(user, "new-1", occurred_at=shops.TRAINED_UNTIL) for user in ("w0", "w1")
    )
    recommender.record_interactions(
        Interaction("u", ids[j], occurred_at=shops.TRAINED_UNTIL + timedelta(days=n))
        for n, j in enumerate(SEEN)
    )
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO recs.users (user_id, segment) VALUES"
                                " ('w0', 's'), ('w1', 's'), ('idle', 's')"))  # fmt: skip
        connection.execute(text("UPDATE recs.items SET available = false WHERE item_id = 'item-2'"))
        connection.execute(text("SELECT recs.refresh_popularity()"))
    return engine


def rows(engine: Engine, query: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(query)).all())


def sold(engine: Engine) -> dict[str, float]:
    found = rows(engine, "SELECT item_id, popularity FROM recs.item_popularity WHERE segment = ''")
    most = max(row.popularity for row in found)
    return {row.item_id: row.popularity / most for row in found}


def test_new_items_are_judged_by_their_own_sales_and_those_of_the_twenty_most_like_them(
    shop: Engine,
) -> None:
    popularity = sold(shop)
    shown = rows(shop, "SELECT * FROM recs.cold_start_items")
    found = {row.item_id: row for row in shown}
    assert set(found) == {"new-0", "new-1"}, "not one that is sold out, nor one that is learned"
    assert len(shown) == 2
    for item, support in (("new-0", 0), ("new-1", 2)):
        row = found[item]
        like = CONTENT @ shops.unit(NEW[item])
        nearest = np.argsort(-like)[:20]
        of_like = np.array([popularity[f"item-{j}"] for j in nearest])
        expected = float(like[nearest] @ of_like / like[nearest].sum())
        weight = support / (support + 5)
        own = popularity.get(item, 0)
        assert row.support == support
        assert float(row.weight) == pytest.approx(weight)
        assert row.popularity == pytest.approx(own)
        assert row.content_similarity == pytest.approx(like.max(), abs=2e-3)
        assert row.neighbor_popularity == pytest.approx(expected, rel=1e-2)
        assert row.score == pytest.approx(weight * own + (1 - weight) * expected, rel=1e-2)
    with shop.begin() as connection:
        connection.execute(text("UPDATE recs.models SET state = 'retired'"))
    for asked in ("cold_start_items", "cold_start_users", "cold_start_users WHERE user_id = 'u'"):
        assert rows(shop, f"SELECT * FROM recs.{asked}") == []


def blended(history: np.ndarray, support: int, *, popularity: bool) -> np.ndarray:
    """Weigh a sum as the README's formula does."""
    n, m, fading = support, BLEND.tower_support, BLEND.tower_fading
    tower = BLEND.tower_weight * n / (n + m) * fading / (n + fading)
    taste = tower * shops.unit(history[:3])
    known = n / (n + BLEND.association_support)
    parts = history[3:-2] * np.array([1 - known, 1, known])
    prior = BLEND.popularity_weight * 10 / (n + 10) / np.linalg.norm(parts) * popularity
    return np.concatenate([taste, shops.unit(parts), [prior, 1]])


def test_candidates_of_a_user_are_the_nearest_and_the_most_popular_scored_by_both(
    shop: Engine,
) -> None:
    popularity = sold(shop)
    found = rows(shop, "SELECT * FROM recs.cold_start_users WHERE user_id = 'u'")
    history = VECTORS[SEEN].sum(0)
    user = blended(history, len(SEEN), popularity=False)
    everything = blended(history, len(SEEN), popularity=True)
    weight = 1 / (1 + np.linalg.norm(everything - user))
    taste = shops.unit(CONTENT[SEEN].sum(0))
    for row in found:
        if not row.item_id.startswith("item-"):
            continue
        j = int(row.item_id.removeprefix("item-"))
        assert row.popularity == pytest.approx(popularity[row.item_id])
        assert row.similarity == pytest.approx(SCALE * VECTORS[j] @ user, abs=5e-3)
        assert row.content_similarity == pytest.approx(CONTENT[j] @ taste, abs=5e-3)
        assert row.support == len(SEEN)
        assert row.weight == pytest.approx(weight, abs=1e-3)
        assert row.score == pytest.approx(
            row.weight * row.similarity + (1 - row.weight) * row.popularity
        )
    named = {row.item_id for row in found}
    assert len(named) == len(found)
    assert not named & {*(f"item-{j}" for j in SEEN), "item-2", "gone"}
    scores = VECTORS @ everything
    order = [f"item-{j}" for j in np.argsort(-scores) if j not in (*SEEN, 2)]
    popular = set(sorted(popularity, key=lambda item: -popularity[item])[:200]) & set(order)
    learned = named - NEW.keys()
    assert popular <= learned
    # Of two hundred, new ones among them; an index may miss a few, and halves round to ties.
    assert len(set(order[:190]) - learned) <= 4
    assert learned - popular <= set(order[:220])


def test_who_is_only_registered_or_unknown_has_no_row(shop: Engine) -> None:
    for user in ("idle", "nobody"):
        assert rows(shop, f"SELECT 1 FROM recs.cold_start_users WHERE user_id = '{user}'") == []


def test_what_is_unlike_a_new_item_says_nothing_of_what_it_will_sell(engine: Engine) -> None:
    ids = shops.insert_items(engine, 2)
    shops.record(engine, [("u", ids[0]), ("v", ids[1])])
    what = shops.publication(ids, np.eye(2))
    content = shops.unit(np.array([[1, 0.5], [-1, 0]]))
    shops.publish(
        engine,
        replace(what, items=replace(what.items, content_embedding=content)),
    )
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.refresh_popularity()"))
        connection.execute(text(
            "INSERT INTO recs.items (item_id, content_vector) VALUES ('like', '[1,0]'),"
            " ('unlike', '[1,-3]')"
        ))  # fmt: skip
        rows = connection.execute(
            text("SELECT item_id, neighbor_popularity FROM recs.cold_start_items ORDER BY 1")
        ).all()
        # Placed as if somebody else had: nothing that is learned is like it.
        connection.execute(
            text("UPDATE recs.item_embeddings SET content_embedding = '[0,-1]'"
                 " WHERE item_id = 'like'")
        )  # fmt: skip
        lonely = connection.execute(
            text("SELECT neighbor_popularity FROM recs.cold_start_items WHERE item_id = 'like'")
        ).scalar_one()
    assert rows == [("like", pytest.approx(1))]
    assert lonely == 0


def test_the_view_of_a_newcomer_searches_once_whatever_the_planner_knows(shop: Engine) -> None:
    with shop.connect() as connection:
        connection.execute(text("SET LOCAL track_functions = 'all'"))
        rows = connection.execute(
            text("SELECT item_id FROM recs.cold_start_users WHERE user_id = 'u'")
        ).all()
        calls = connection.execute(
            text("SELECT calls FROM pg_stat_xact_user_functions WHERE funcname = 'nearest_items'")
        ).scalar_one()
    assert rows
    assert calls == 1
