"""recs.measure_ann_recall against exact lists, made in numpy from what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from recs.training import search
from recs.training.publication import UserVectors
from tests import shops

N, U, D, K = 3000, 30, 200, 20
TASTES = 5


@dataclass(frozen=True)
class Shop:
    """A published version: unit items [N, D] and users [U, D], what each user has seen."""

    engine: Engine
    model_id: int
    ann_recall: float | None
    items: np.ndarray
    users: np.ndarray
    seen: list[list[int]]
    sold_out: np.ndarray

    def best(self, user: int) -> list[str]:
        """Return the K unseen, available items nearest to a user, of the halves that are stored."""
        scores = self.items.astype(np.float16).astype(np.float32) @ self.users[user].astype(
            np.float16
        )
        scores[self.sold_out] = scores[self.seen[user]] = -np.inf
        return [f"item-{j}" for j in np.argsort(-scores, kind="stable")[:K]]

    def found(self, user: int) -> list[str]:
        """Return what the version's search has for that user's vector."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT set_config('search_path', 'recs, public', true)"))
            return list(
                connection.execute(
                    text(
                        f"SELECT item_id FROM recs.nearest_items_{self.model_id}('default', :name,"
                        " CAST(CAST(:vector AS real[]) AS halfvec), :k, false, NULL)"
                    ),
                    {"name": f"user-{user}", "vector": self.users[user].tolist(), "k": K},
                ).scalars()
            )


@pytest.fixture
def shop(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Return a shop whose index misses much: what tells items apart is nothing a user asks for."""
    monkeypatch.setattr(search, "FEW_ITEMS", N - 1)  # or all of them would be compared
    random = np.random.default_rng(1)
    noise = shops.unit(random.normal(size=(N, D - TASTES)))
    items = shops.unit(np.hstack([random.exponential(0.005, size=(N, TASTES)), noise]))
    users = np.zeros((U, D))
    users[:, :TASTES] = random.exponential(size=(U, TASTES))
    ids, users = shops.insert_items(engine, N), shops.unit(users)
    nearest = np.argsort(-(users @ items.T), axis=1)
    seen = [[int(j) for j in row[:3]] for row in nearest]
    shops.record(engine, [(f"user-{u}", ids[j]) for u in range(U) for j in seen[u]])
    names = [f"user-{u}" for u in range(U)]
    what = replace(
        shops.publication(ids, items),
        users=UserVectors(names, users, np.full(U, 3, np.int32), np.zeros(U, np.int64)),
    )
    model_id = shops.publish(engine, what)
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE recs.items SET available = false WHERE item_id = ANY(:ids)"),
            {"ids": [ids[j] for j in nearest[:, 3]]},
        )
        stored = connection.execute(text("SELECT metrics FROM recs.models")).scalar_one()
    sold_out = np.unique(nearest[:, 3])
    return Shop(engine, model_id, stored["ann_recall"], items, users, seen, sold_out)


def measured(engine: Engine, **arguments: Any) -> Mapping[str, float]:
    given = ", ".join(f"p_{name} => :{name}" for name in arguments)
    statement = text(f"SELECT user_id, ann_recall FROM recs.measure_ann_recall({given})")
    with engine.connect() as connection:
        return {row.user_id: row.ann_recall for row in connection.execute(statement, arguments)}


def test_it_is_the_share_of_the_nearest_unseen_available_items_that_are_found(shop: Shop) -> None:
    recall = measured(shop.engine, k=K)
    assert recall.keys() == {f"user-{u}" for u in range(U)}
    expected = [len(set(shop.found(u)) & set(shop.best(u))) / K for u in range(U)]
    assert 0.5 < np.mean(expected) < 0.95
    # An item or two at the end of a list are as near as those in their place: halves round to ties.
    assert [recall[f"user-{u}"] for u in range(U)] == pytest.approx(expected, abs=0.1)
    assert np.mean(list(recall.values())) == pytest.approx(np.mean(expected), abs=0.02)


def test_publishing_notes_what_it_is_then(shop: Shop) -> None:
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE recs.items SET available = true WHERE NOT available"))
    assert np.mean(list(measured(shop.engine, k=K).values())) == pytest.approx(shop.ann_recall)


def test_of_equal_items_any_is_as_near(engine: Engine) -> None:
    ids = shops.insert_items(engine, 40)
    shops.record(engine, [("ann", ids[39])])
    one = shops.unit(np.ones((1, 4)))
    what = replace(
        shops.publication(ids, np.repeat(one, 40, axis=0)),
        users=UserVectors(["ann"], one, np.ones(1, np.int32), np.zeros(1, np.int64)),
    )
    shops.publish(engine, what)
    assert measured(engine, k=10) == {"ann": 1}


def test_a_seed_draws_other_users(shop: Shop) -> None:
    first = measured(shop.engine, users=5)
    assert len(first) == 5
    assert measured(shop.engine, users=5).keys() == first.keys()
    assert measured(shop.engine, users=5, seed=1).keys() != first.keys()


def test_a_version_that_does_not_serve_is_measured_by_its_number(shop: Shop) -> None:
    before = measured(shop.engine)
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE recs.models SET state = 'retired'"))
    assert measured(shop.engine) == {}
    assert measured(shop.engine, model_id=shop.model_id) == before


def test_where_a_user_has_seen_everything_nothing_is_missed(engine: Engine) -> None:
    ids = shops.insert_items(engine, 4)
    shops.record(engine, [("ann", item) for item in ids])
    what = replace(
        shops.publication(ids, np.eye(4)),
        users=UserVectors(["ann"], np.ones((1, 4)), np.ones(1, np.int32), np.zeros(1, np.int64)),
    )
    shops.publish(engine, what)
    assert measured(engine) == {"ann": 1}


def test_a_k_that_no_list_has_is_refused(engine: Engine) -> None:
    with pytest.raises(DBAPIError, match="k is 0, expected 1 to 1000"):
        measured(engine, k=0)


def test_it_locks_no_other_versions_partitions(shop: Shop) -> None:
    ids = shops.item_ids(N)
    with shop.engine.begin() as connection:  # a second version, which serves
        connection.execute(text("UPDATE recs.models SET state = 'retired'"))
    other = shops.publish(shop.engine, shops.publication(ids, shop.items[:, :8]))
    with shop.engine.connect() as connection:
        connection.execute(
            text("SELECT count(*) FROM recs.measure_ann_recall(p_model_id => :id)"),
            {"id": shop.model_id},
        ).one()
        locked = connection.execute(
            text("SELECT relation::regclass::text FROM pg_locks WHERE relation IS NOT NULL")
        ).scalars()
        assert f"recs.item_embeddings_{other}" not in set(locked)
