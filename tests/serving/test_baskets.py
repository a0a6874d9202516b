"""recs.recommend_for_items: what a user with just these items would be answered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text

from recs import Interaction, Item, Recommendation, Recommender
from tests import shops
from tests.serving.conftest import N


def told(rows: list[Recommendation]) -> list[tuple[str, int, str]]:
    return [(row.item_id, row.rank, row.tier) for row in rows]


@pytest.mark.parametrize(
    "basket", [["item-5"], ["item-5", "item-70", "item-71"], ["item-5", "new"]]
)
@pytest.mark.parametrize(
    "eligible",
    [
        {},
        {"filter": {"colour": "red"}},
        {"candidates": [f"item-{j}" for j in range(60, 80)]},
        {"exclude": [f"item-{j}" for j in range(0, N, 2)]},
    ],
)
@pytest.mark.parametrize("k", [1, 10, N])
def test_a_basket_is_answered_as_a_new_user_who_has_just_chosen_it(
    shop: Recommender, engine: Engine, vectors: np.ndarray,
    basket: list[str], eligible: dict[str, Any], k: int,
) -> None:  # fmt: skip
    shop.upsert_items([Item("new", title="a new thing")])
    shops.place(engine, {"new": vectors[90]})
    found = shop.recommend_for_items(basket, k, **eligible)
    with engine.connect() as connection:
        mine = Recommender(connection)
        mine.record_interactions(Interaction("somebody", item) for item in basket)
        expected = mine.recommend("somebody", k, **eligible)
        connection.rollback()
    assert found
    assert told(found) == told(expected)
    assert [row.score for row in found] == pytest.approx([row.score for row in expected], abs=1e-3)
    assert {row.item_id for row in found}.isdisjoint(basket)


def test_the_reason_is_the_item_of_the_basket_that_pulls_hardest(
    shop: Recommender, vectors: np.ndarray
) -> None:
    basket = [3, 5, 8, 13, 21, 34]
    rows = shop.recommend_for_items([f"item-{j}" for j in basket], 20)
    for row in rows:
        pull = vectors[basket] @ vectors[int(row.item_id.removeprefix("item-"))]
        assert row.reason == f"because of title of item-{basket[int(pull.argmax())]}"
    assert len({row.reason for row in rows}) > 1


def test_an_item_without_a_title_is_named_by_its_id(shop: Recommender) -> None:
    shop.upsert_items([Item("item-5", title="")])
    assert {row.reason for row in shop.recommend_for_items(["item-5"], 5)} == {"because of item-5"}


def test_an_item_counts_once_and_what_is_not_there_is_passed_over(
    shop: Recommender, engine: Engine
) -> None:
    shop.upsert_items([Item("untouched", title="no vector")])
    expected = [(row.item_id, row.score) for row in shop.recommend_for_items(["item-5"], 5)]
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT item_id, score FROM recs.recommend_for_items("
                "ARRAY['item-5', 'gone', NULL, 'item-5', 'untouched'], 5)"
            )
        ).all()
    assert [tuple(row) for row in rows] == expected


@pytest.mark.parametrize("basket", ["NULL", "'{}'", "'{NULL}'", "'{gone}'", "'{untouched}'"])
def test_of_nothing_that_is_known_the_answer_is_a_strangers(
    shop: Recommender, engine: Engine, basket: str
) -> None:
    shop.upsert_items([Item("untouched", title="no vector")])
    with engine.connect() as connection:
        rows = connection.execute(
            text(f"SELECT item_id, tier FROM recs.recommend_for_items({basket}, 200)")
        ).all()
    expected = [row for row in shop.recommend("nobody", 200) if row.item_id not in basket]
    assert [(row.item_id, row.tier) for row in rows] == [(r.item_id, r.tier) for r in expected]


def test_without_a_model_the_answer_is_a_strangers_without_the_basket(
    shop: Recommender, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE recs.models SET state = 'retired'"))
    expected = [row for row in shop.recommend("nobody", N) if row.item_id != "item-59"]
    rows = shop.recommend_for_items(["item-59"], N)
    assert [row.item_id for row in rows] == [row.item_id for row in expected]


@pytest.mark.parametrize("k", [1, 5, N - 1, N])
def test_there_are_k_rows_while_k_others_are_on_sale(shop: Recommender, k: int) -> None:
    shop.upsert_items(Item(f"item-{j}", available=False) for j in range(100, 110))
    rows = shop.recommend_for_items(["item-1", "item-2"], k)
    assert len(rows) == min(k, N - 12)
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
    assert len({row.item_id for row in rows}) == len(rows)


def test_it_is_the_active_version_that_answers_and_not_one_on_trial(
    shop: Recommender, engine: Engine, vectors: np.ndarray
) -> None:
    expected = told(shop.recommend_for_items(["item-5"], 5))
    other = shops.publication(shops.item_ids(N), vectors[::-1], histories={})
    trial = shops.publish(engine, other, activate=False)
    with engine.begin() as connection:
        connection.execute(text("SELECT recs.start_trial(:id, 0.99)"), {"id": trial})
    assert told(shop.recommend_for_items(["item-5"], 5)) == expected


def test_many_dimensions_of_many_items_do_not_overflow(engine: Engine) -> None:
    # A sum of half floats ends at 65,504.
    vectors = np.ones((3, 4), np.float32) + np.eye(3, 4, dtype=np.float32)
    ids = shops.insert_items(engine, 3)
    shops.publish(engine, shops.publication(ids, vectors))
    with engine.begin() as connection:
        connection.execute(text("UPDATE recs.item_embeddings SET history_embedding ="
                                " '[60000,60000,60000,60000]'"))  # fmt: skip
    (row,) = Recommender(engine).recommend_for_items(ids[:2], 3)
    assert (row.item_id, row.tier) == ("item-2", "fold_in")


def test_it_writes_nothing(shop: Recommender, engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        assert len(Recommender(connection).recommend_for_items(["item-1"])) == 10
