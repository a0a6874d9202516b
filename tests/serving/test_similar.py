"""recs.similar_items: which rows, why, and what is said of an item that cannot be asked about."""

from __future__ import annotations

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from recs import Item, Recommender
from tests import shops


def test_the_reason_is_content_where_one_of_the_two_is_new_and_else_who_chose_it(
    shop: Recommender, engine: Engine, vectors: np.ndarray
) -> None:
    shop.upsert_items([Item("new", title="a new thing"), Item("nameless")])
    shops.place(engine, {"new": vectors[5], "nameless": vectors[5]})
    by_content = "by its content, like "
    chosen = "chosen by the same users as title of item-5"
    reasons = {row.item_id: row.reason for row in shop.similar_items("item-5", 5)}
    assert reasons["new"] == reasons["nameless"] == f"{by_content}title of item-5"
    assert [reasons[item] for item in reasons if item.startswith("item-")] == [chosen] * 3
    for item, name in (("new", "a new thing"), ("nameless", "nameless")):
        assert {row.reason for row in shop.similar_items(item, 5)} == {f"{by_content}{name}"}


def test_there_are_k_others_even_where_none_is_missing(
    shop: Recommender, vectors: np.ndarray
) -> None:
    scores = vectors @ vectors[5]
    best = [f"item-{j}" for j in np.argsort(-scores) if j != 5]
    for k in (1, 2, 7):
        rows = shop.similar_items("item-5", k)
        assert [row.item_id for row in rows] == best[:k]
        assert [row.rank for row in rows] == list(range(1, k + 1))
        assert {row.tier for row in rows} == {"similar"}


def test_what_is_sold_out_is_not_found_by_a_strict_filter_either(shop: Recommender) -> None:
    gold = {"colour": "gold"}
    shop.upsert_items(
        Item(f"item-{j}", attributes=gold, available=j % 2 > 0) for j in range(70, 80)
    )
    on_sale = {f"item-{j}" for j in range(71, 80, 2)}
    for rows in (shop.similar_items("item-5", 9, filter=gold),
                 shop.recommend("regular", 9, filter=gold),
                 shop.recommend("nobody", 9, filter=gold)):  # fmt: skip
        assert {row.item_id for row in rows} == on_sale


def test_an_item_without_a_vector_gets_popular_ones_and_never_itself(shop: Recommender) -> None:
    shop.upsert_items([Item("untouched", title="no vector")])
    rows = shop.similar_items("untouched", 200)
    assert [row.item_id for row in rows[:3]] == ["item-59", "item-58", "item-57"]
    assert [row.tier for row in rows[:3]] == ["popularity"] * 3
    assert "untouched" not in {row.item_id for row in rows}


@pytest.mark.parametrize(
    ("item", "message"),
    [("'gone'", "item 'gone' is not in the catalog"), ("NULL", "item NULL is not in the catalog")],
)
def test_an_item_that_is_not_there_is_named_with_a_hint(
    engine: Engine, item: str, message: str
) -> None:
    with engine.connect() as connection, pytest.raises(DBAPIError, match=message) as caught:
        connection.execute(text(f"SELECT * FROM recs.similar_items({item})"))
    assert isinstance(caught.value.orig, psycopg.errors.NoDataFound)
    assert caught.value.orig.diag.message_hint == "insert it into recs.items first"


@pytest.mark.parametrize(
    "function",
    [
        "recommend('u', NULL)",
        "similar_items('item-5', NULL)",
        "recommend_for_items('{item-5}', NULL)",
    ],
)
def test_a_k_of_null_is_refused(shop: Recommender, engine: Engine, function: str) -> None:
    with engine.connect() as connection, pytest.raises(DBAPIError, match="k is NULL, expected 1"):
        connection.execute(text(f"SELECT * FROM recs.{function}"))
