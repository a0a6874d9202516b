"""What the application lets be answered: candidates from its own tables, without some items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from recs import Item, Recommendation, Recommender, database
from recs.errors import BadInput
from tests import shops
from tests.conftest import Databases

D = 16
LEARNED = 1600
NEW = 40
N = LEARNED + NEW
HISTORY = list(range(0, 120, 3))
FEW = LEARNED * 10 // 500  # candidates under which all are compared, for a k of 10


@dataclass(frozen=True)
class Shop:
    """Items [N, D] of which the last 40 are new, and who has touched which."""

    engine: Engine
    vectors: np.ndarray
    popular: list[int]  # all items, in the order that strangers are shown them

    def order(self, user: str) -> tuple[list[int], set[int]]:
        """Return all items, best first, and those that the user has seen."""
        if user == "nobody":
            return self.popular, set()
        scores = self.vectors @ shops.unit(self.vectors[HISTORY].sum(0))
        return [int(j) for j in np.argsort(-scores)], set(HISTORY)


@pytest.fixture(scope="module")
def shop(databases: Databases, template: str) -> Iterator[Shop]:
    name = databases.create(template)
    engine = database.make_engine(databases.dsn_of(name))
    random = np.random.default_rng(4)
    vectors = shops.unit(random.normal(size=(N, D)))
    ids = shops.insert_items(engine, LEARNED)
    Recommender(engine).upsert_items(
        Item(f"item-{j}", f"title of item-{j}", attributes={"colour": "gold"})
        for j in range(LEARNED)
        if colour_of(j) == "gold"
    )
    shops.record(engine, [("regular", ids[j]) for j in HISTORY])
    shops.record(engine, [(f"crowd-{u}", ids[j]) for j in range(300, 340) for u in range(340 - j)])
    shops.publish(engine, shops.publication(ids, vectors[:LEARNED], histories={"regular": HISTORY}))
    Recommender(engine).upsert_items(
        Item(f"item-{j}", f"title of item-{j}", attributes={"colour": colour_of(j)})
        for j in range(LEARNED, N)
    )
    shops.place(engine, {f"item-{j}": vectors[j] for j in range(LEARNED, N)})
    with engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE recs.items SET created_at = '2026-01-01'::timestamptz"
                " - substr(item_id, 6)::int * interval '1 minute'"
            )
        )
        connection.execute(text("SELECT recs.refresh_popularity()"))
        popularity = dict(
            connection.execute(
                text("SELECT item_id, popularity FROM recs.item_popularity WHERE segment = ''")
            ).all()
        )
    sold = sorted(popularity, key=lambda item: (-popularity[item], item))
    popular = [int(item.removeprefix("item-")) for item in sold]
    popular += sorted(set(range(N)) - set(popular))  # the newest first
    yield Shop(engine, vectors, popular)
    engine.dispose()
    databases.drop(name)


def colour_of(item: int) -> str:
    """Return red for every third, as `shops.insert_items` has it; few are gold."""
    if item % 80 == 7:
        return "gold"
    return "red" if item % 3 == 0 else "blue"


def numbers(rows: list[Recommendation]) -> list[int]:
    return [int(row.item_id.removeprefix("item-")) for row in rows]


def names(items: list[int]) -> list[str]:
    """Return ids, one of them twice, and one that the catalog lacks."""
    return [*(f"item-{j}" for j in [*items, *items[:1]]), "no such item"]


@pytest.mark.parametrize("user", ["regular", "nobody"])
def test_a_list_holds_the_best_of_the_candidates_that_pass_and_no_others(
    shop: Shop, user: str
) -> None:
    order, seen = shop.order(user)
    place = {j: n for n, j in enumerate(order)}
    recommender = Recommender(shop.engine)

    @settings(max_examples=80, deadline=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        size = data.draw(st.sampled_from([None, 0, 1, 7, FEW - 1, FEW, 100, 101, 400, 1400]))
        random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        candidates = None if size is None else random.permutation(N)[:size].tolist()
        among = set(range(N) if candidates is None else candidates)
        best = [j for j in order if j in among]
        exclude = best[: data.draw(st.sampled_from([0, 1, 30]))]
        colour = data.draw(st.sampled_from([None, "red", "blue", "gold", "green"]))
        include_seen, k = data.draw(st.booleans()), data.draw(st.sampled_from([1, 10, 60]))
        rows = recommender.recommend(
            user, k, include_seen=include_seen, filter=colour and {"colour": colour},
            candidates=None if candidates is None else names(candidates), exclude=names(exclude),
        )  # fmt: skip
        expected = [
            j
            for j in best
            if j not in exclude
            and (colour is None or colour_of(j) == colour)
            and (include_seen or j not in seen)
        ]
        got = numbers(rows)
        assert len(got) == min(k, len(expected))
        assert len(set(got)) == len(got)
        assert set(got) <= set(expected)
        assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
        if user == "nobody":
            assert got == expected[:k]
            return
        # Halves of floats swap what is as good, and an index of many may miss one.
        scores = [row.score for row in rows]
        assert scores == sorted(scores, reverse=True)
        missed = set(expected[:k]) - set(got)
        exact = (size is not None and size < FEW) or (size is None and colour == "gold" and k > 9)
        assert {row.tier for row in rows} <= {"model"} or len(expected) < k
        assert all(place[j] >= place[expected[min(k, len(expected)) - 1]] - 3 for j in missed) or (
            not exact and len(missed) <= max(1, k // 10)
        )

    check()


def test_candidates_far_from_the_user_are_compared_each_once(shop: Shop) -> None:
    # More than are compared at once, and none among the nearest that the index is asked for.
    order, seen = shop.order("regular")
    farthest = [j for j in order if j not in seen and j < LEARNED][-100:]
    with shop.engine.connect() as connection:
        found = connection.execute(
            text("SELECT item_id FROM recs.recommend('regular', 10, p_candidates => :twice)"),
            {"twice": [f"item-{j}" for j in farthest] * 2},
        ).scalars()
        best = {int(item.removeprefix("item-")) for item in found}
    assert len(best) == 10
    assert best <= set(farthest[:13])  # halves of floats swap what is as good


def test_candidates_come_from_a_table_of_the_application(shop: Shop) -> None:
    with shop.engine.connect() as connection:
        connection.execute(text("CREATE TABLE stock (sku text PRIMARY KEY, quantity int)"))
        connection.execute(
            text("INSERT INTO stock SELECT item_id, substr(item_id, 6)::int % 2 FROM recs.items")
        )
        statement = text(
            "SELECT item_id FROM recs.recommend('regular', 20, p_candidates =>"
            " ARRAY(SELECT sku FROM stock WHERE quantity > 0)) ORDER BY rank"
        )
        rows = connection.execute(statement).scalars().all()
        assert len(rows) == 20
        assert {int(item.removeprefix("item-")) % 2 for item in rows} == {1}
        connection.execute(text("UPDATE stock SET quantity = 0 WHERE sku = :sku"), {"sku": rows[0]})
        assert connection.execute(statement).scalars().all()[:19] == rows[1:]
        connection.execute(text("UPDATE stock SET quantity = 0"))
        assert connection.execute(statement).scalars().all() == []
        connection.rollback()


def test_similar_items_are_the_best_of_the_candidates_without_the_item_itself(shop: Shop) -> None:
    recommender = Recommender(shop.engine)
    candidates = [5, 17, 230, 777, 1400, LEARNED + 3]
    scores = shop.vectors @ shop.vectors[5]
    expected = sorted(candidates[1:], key=lambda j: -scores[j])
    rows = recommender.similar_items("item-5", 9, candidates=names(candidates))
    assert numbers(rows) == expected
    assert {row.tier for row in rows} == {"similar"}
    rows = recommender.similar_items("item-5", 9, candidates=names(candidates), exclude=["item-17"])
    assert numbers(rows) == [j for j in expected if j != 17]


def test_many_users_are_asked_of_the_same_candidates(shop: Shop) -> None:
    recommender = Recommender(shop.engine)
    those = {"candidates": names(list(range(100, 400))), "exclude": names(list(range(300, 320)))}
    answer = recommender.recommend_many(["regular", "nobody"], 30, **those)
    assert answer == {user: recommender.recommend(user, 30, **those) for user in answer}


@pytest.mark.parametrize("user", ["regular", "nobody"])
def test_nulls_among_candidates_and_excluded_items_say_nothing(shop: Shop, user: str) -> None:
    with shop.engine.connect() as connection:
        statement = text(
            "SELECT item_id, tier FROM recs.recommend(:user, 5, p_candidates =>"
            " ARRAY['item-310', NULL, 'item-320', 'item-330'],"
            " p_exclude => ARRAY['item-320', NULL])"
        )
        rows = connection.execute(statement, {"user": user}).all()
    assert {row.item_id for row in rows} == {"item-310", "item-330"}
    assert {row.tier for row in rows} == {"popularity" if user == "nobody" else "model"}


@pytest.mark.parametrize("argument", ["candidates", "exclude"])
@pytest.mark.parametrize("value", ["item-1", b"item-1", 7, [None], [1.5]])
def test_what_is_no_collection_of_ids_is_refused(shop: Shop, argument: str, value: object) -> None:
    recommender = Recommender(shop.engine)
    given: dict[str, Any] = {argument: value}
    for call in (
        partial(recommender.recommend, "regular"),
        partial(recommender.recommend_many, ["regular"]),
        partial(recommender.similar_items, "item-1"),
    ):
        with pytest.raises(BadInput, match="expected"):
            call(**given)


def test_ids_of_other_types_and_any_collection_will_do(shop: Shop) -> None:
    recommender = Recommender(shop.engine)
    rows = recommender.recommend("nobody", 5, candidates={"item-310", "item-311"})
    assert numbers(rows) == [310, 311]
    assert recommender.recommend("nobody", 5, candidates=range(10)) == []  # such ids has nobody
    assert recommender.recommend("nobody", 5, exclude=(f"item-{j}" for j in range(300, 302))) == (
        recommender.recommend("nobody", 5, exclude=["item-300", "item-301"])
    )
