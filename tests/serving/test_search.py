"""How a version is searched: by its index, or exactly where the index misses too much."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from recs import Item, Recommender
from recs.learning.associations import Fading
from recs.learning.blend import Blend
from recs.learning.space import compose
from recs.training import publishing, search, versions
from recs.training.pipeline import blend_weights
from recs.training.publication import ItemVectors, UserVectors
from recs.training.search import ENOUGH_RECALL, Search
from tests import shops
from tests.learning.reference import noise

N, D, K = 3000, 200, 20
TASTES = 5


@pytest.fixture
def hidden() -> tuple[np.ndarray, np.ndarray]:
    """Items [N, D] whose neighbourhoods are chance, and users [U, D] who ask for what is small.

    All but a twentieth of an item is noise that no user has a share in, as what is learned of
    items that two users have; the rest says who likes it.
    """
    random = np.random.default_rng(1)
    noise = shops.unit(random.normal(size=(N, D - TASTES)))
    liked = random.exponential(0.005, size=(N, TASTES))
    users = np.zeros((30, D))
    users[:, :TASTES] = random.exponential(size=(30, TASTES))
    return shops.unit(np.hstack([liked, noise])), users.astype(np.float32)


def users_of(histories: np.ndarray) -> UserVectors:
    size = len(histories)
    names = [f"user-{n}" for n in range(size)]
    return UserVectors(names, histories, np.full(size, 2, np.int32), np.zeros(size, int))


def publish(engine: Engine, items: np.ndarray, users: np.ndarray) -> tuple[int, Search]:
    ids = shops.insert_items(engine, len(items))
    what = replace(shops.publication(ids, items), users=users_of(users))
    with versions.new_version(engine, name="v", dimension=items.shape[1]) as model_id:
        chosen = publishing.publish(engine, model_id, what)
    with engine.begin() as connection:
        versions.activate(connection, model_id)
    return model_id, chosen


def nearest(engine: Engine, model_id: int, user: np.ndarray, **arguments: Any) -> list[str]:
    asked = {"seen": False, "filter": None, "user": user.tolist(), "k": K, **arguments}
    with engine.connect() as connection:
        connection.execute(text("SELECT set_config('search_path', 'recs, public', true)"))
        statement = (
            f"SELECT item_id FROM recs.nearest_items_{model_id}('default', 'nobody',"
            " CAST(CAST(:user AS real[]) AS halfvec), :k, :seen, CAST(:filter AS jsonb))"
        )
        return list(connection.execute(text(statement), asked).scalars())


def best(items: np.ndarray, user: np.ndarray, among: np.ndarray | None = None) -> list[str]:
    scores = items.astype(np.float16).astype(np.float32) @ user.astype(np.float16)
    if among is not None:
        scores = np.where(among, scores, -np.inf)
    return [f"item-{j}" for j in np.argsort(-scores, kind="stable")[:K]]


def test_where_the_index_misses_too_much_all_items_are_compared(
    engine: Engine, hidden: tuple[np.ndarray, np.ndarray]
) -> None:
    items, users = hidden
    model_id, chosen = publish(engine, items, users)
    assert chosen.exact
    assert chosen.ann_recall is not None
    assert chosen.ann_recall < ENOUGH_RECALL
    red = np.arange(N) % 3 == 0
    for user in shops.unit(users[:10]):
        assert len(set(nearest(engine, model_id, user)) & set(best(items, user))) >= K - 1
        found = nearest(engine, model_id, user, filter='{"colour": "red"}')
        assert len(set(found) & set(best(items, user, red))) >= K - 1
    with engine.connect() as connection:
        stored = connection.execute(text("SELECT exact_search, metrics FROM recs.models")).one()
    assert stored.exact_search
    assert stored.metrics["ann_recall"] == pytest.approx(chosen.ann_recall)


def test_where_most_items_are_seldom_chosen_the_index_finds_them_by_their_norm(
    engine: Engine,
) -> None:
    signals = noise(0, n_items=N, tower=64, associations=8)
    random = np.random.default_rng(0)
    weight = 1 / (1 + np.arange(N))  # as choices fall off from item to item
    liked = shops.unit(random.normal(size=(N, 8))) * np.sqrt(weight)[:, None]
    signals = replace(
        signals,
        associations=replace(signals.associations, items=liked.astype(np.float32), fading=Fading()),
        popularity=weight.astype(np.float32),
    )
    space = compose(signals, Blend())
    users = np.stack(
        [space.history_embeddings[random.permutation(N)[:2]].sum(0) for _ in range(60)]
    )
    what = replace(
        shops.publication(ids := shops.insert_items(engine, N), space.item_embeddings),
        items=ItemVectors(ids, space.item_embeddings, space.history_embeddings),
        users=users_of(users),
        blend=blend_weights(space),
    )
    with versions.new_version(engine, name="v", dimension=users.shape[1]) as model_id:
        chosen = publishing.publish(engine, model_id, what)
    assert chosen.ann_recall is not None
    assert chosen.ann_recall > 0.93


def test_a_strict_filter_of_an_exact_search_still_finds_all_that_pass(
    engine: Engine, hidden: tuple[np.ndarray, np.ndarray]
) -> None:
    items, users = hidden
    model_id, _ = publish(engine, items, users)
    gold = [f"item-{j}" for j in range(0, N, 200)]
    Recommender(engine).upsert_items(Item(i, attributes={"colour": "gold"}) for i in gold)
    found = nearest(engine, model_id, shops.unit(users[0]), filter='{"colour": "gold"}')
    assert set(found) == set(gold)
    exact = best(items, users[0], np.arange(N) % 200 == 0)
    assert found[:3] == exact[:3]  # further down halves round to ties


def test_where_items_are_too_many_to_compare_the_index_is_kept_whatever_it_misses(
    engine: Engine, hidden: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEW_ITEMS", N - 1)
    _, chosen = publish(engine, *hidden)
    assert not chosen.exact
    assert chosen.ann_recall is not None
    assert chosen.ann_recall < ENOUGH_RECALL


def test_where_the_index_finds_what_is_near_it_is_used(engine: Engine) -> None:
    random = np.random.default_rng(2)
    items = shops.unit(random.normal(size=(2000, 16)))
    _, chosen = publish(engine, items, items[:50])
    assert not chosen.exact
    assert chosen.ann_recall is not None
    assert chosen.ann_recall > 0.99


def test_of_a_version_without_users_nothing_is_measured(engine: Engine) -> None:
    random = np.random.default_rng(2)
    items = shops.unit(random.normal(size=(50, 16)))
    _, chosen = publish(engine, items, items[:0])
    assert chosen == Search(None, exact=False)
