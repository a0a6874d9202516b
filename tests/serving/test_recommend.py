"""recs.recommend: which rows, in which order, from which tier."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from recs import Interaction, Item, Recommendation, Recommender
from tests import shops
from tests.serving.conftest import HISTORY, D, N


def assert_nearest(
    rows: list[Recommendation], vectors: np.ndarray, user: np.ndarray, leave_out: list[int]
) -> None:
    """Check scores and completeness against exact search, to what a half float can hold."""
    scores = vectors @ shops.unit(user)
    scores[leave_out] = -np.inf
    got = np.array([scores[int(row.item_id.removeprefix("item-"))] for row in rows])
    assert got == pytest.approx([row.score for row in rows], abs=2e-3)
    assert got == pytest.approx(np.sort(scores)[::-1][: len(rows)], abs=2e-3)


def exact(vectors: np.ndarray, user: np.ndarray, leave_out: list[int], k: int) -> list[str]:
    scores = vectors @ shops.unit(user)
    scores[leave_out] = -np.inf
    return [f"item-{j}" for j in np.argsort(-scores)[:k]]


def test_a_known_user_gets_the_nearest_unseen_items_in_order(
    shop: Recommender, vectors: np.ndarray
) -> None:
    rows = shop.recommend("regular", 10)
    assert [row.item_id for row in rows] == exact(vectors, vectors[HISTORY].sum(0), HISTORY, 10)
    assert [row.rank for row in rows] == list(range(1, 11))
    assert {row.tier for row in rows} == {"model"}
    assert all(row.reason.startswith("because of title of item-") for row in rows)


def test_scores_are_the_cosine_of_user_and_item(shop: Recommender, vectors: np.ndarray) -> None:
    user = shops.unit(vectors[HISTORY].sum(0))
    for row in shop.recommend("regular", 10):
        expected = float(vectors[int(row.item_id.removeprefix("item-"))] @ user)
        assert row.score == pytest.approx(expected, abs=1e-3)


def test_seen_items_come_back_only_when_asked_for(shop: Recommender) -> None:
    seen = {f"item-{j}" for j in HISTORY}
    assert not seen & {row.item_id for row in shop.recommend("regular", 100)}
    assert seen <= {row.item_id for row in shop.recommend("regular", 10, include_seen=True)}


def test_an_interaction_moves_the_user_within_its_own_transaction(
    shop: Recommender, engine: Engine, vectors: np.ndarray
) -> None:
    with engine.connect() as connection:
        mine = Recommender(connection)
        before = [row.item_id for row in mine.recommend("regular", 10)]
        mine.record_interactions([Interaction("regular", "item-77")])
        after = [row.item_id for row in mine.recommend("regular", 10)]
        connection.rollback()
    history = [*HISTORY, 77]
    assert after == exact(vectors, vectors[history].sum(0), history, 10)
    assert after != before
    assert [row.item_id for row in shop.recommend("regular", 10)] == before


def test_a_user_the_model_never_saw_is_folded_in(shop: Recommender, vectors: np.ndarray) -> None:
    history = list(range(60, 90))
    shop.record_interactions([Interaction("newcomer", f"item-{j}") for j in history])
    rows = shop.recommend("newcomer", 10)
    assert {row.tier for row in rows} == {"fold_in"}
    assert_nearest(rows, vectors, vectors[history].sum(0), history)


def test_fold_in_and_stored_vector_agree(shop: Recommender, engine: Engine) -> None:
    stored = {row.item_id: row.score for row in shop.recommend("regular", 50)}
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM recs.user_embeddings"))
    folded = {row.item_id: row.score for row in shop.recommend("regular", 50)}
    assert list(stored) == list(folded)
    assert stored == pytest.approx(folded, abs=1e-3)


def test_a_deleted_or_late_interaction_changes_the_user_at_once(
    shop: Recommender, engine: Engine, vectors: np.ndarray
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text("DELETE FROM recs.interactions WHERE user_id='regular' AND item_id='item-0'")
        )
    rows = shop.recommend("regular", 10)
    assert_nearest(rows, vectors, vectors[[1, 2]].sum(0), [1, 2])
    shops.record(engine, [("regular", "item-9")], before=timedelta(days=30))
    rows = shop.recommend("regular", 10)
    assert_nearest(rows, vectors, vectors[[1, 2, 9]].sum(0), [1, 2, 9])


def test_older_interactions_count_less_by_the_half_life(
    engine: Engine, vectors: np.ndarray
) -> None:
    ids = shops.insert_items(engine, N)
    shops.record(engine, [("u", ids[0])], before=timedelta(days=20))
    shops.record(engine, [("u", ids[1])], before=timedelta(days=0))
    shops.publish(engine, shops.publication(ids, vectors, half_life=10.0))
    user = 0.25 * vectors[0] + vectors[1]
    rows = Recommender(engine).recommend("u", 10)
    assert [row.item_id for row in rows if row.tier == "fold_in"] == exact(
        vectors, user, [0, 1], 10
    )


def test_buying_again_counts_by_the_last_time_only(engine: Engine, vectors: np.ndarray) -> None:
    ids = shops.insert_items(engine, N)
    for days in (20, -10):
        shops.record(engine, [("u", ids[0])], before=timedelta(days=days))
    shops.record(engine, [("u", ids[1])], before=timedelta(days=0))
    what = shops.publication(ids, vectors, half_life=10.0)
    shops.publish(engine, what)
    user = vectors[0] + vectors[1]
    folded = [row.item_id for row in Recommender(engine).recommend("u", 10)]
    assert folded == exact(vectors, user, [0, 1], 10)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO recs.user_embeddings (model_id, user_id, history, support,"
                " fingerprint) SELECT model_id, 'u', CAST(:v AS vector), 2,"
                " hashtext('item-0')::bigint + hashtext('item-1') FROM recs.models"
            ),
            {"v": str((0.25 * vectors[0] + vectors[1]).tolist())},
        )
    assert [row.item_id for row in Recommender(engine).recommend("u", 10)] == folded


@pytest.mark.parametrize("user", ["regular", "nobody", "crowd-3"])
@pytest.mark.parametrize("k", [1, 10, 119, 120, 500])
def test_never_fewer_than_k_rows_while_k_items_are_eligible(
    shop: Recommender, engine: Engine, user: str, k: int
) -> None:
    with engine.connect() as connection:
        seen = connection.execute(
            text("SELECT count(DISTINCT item_id) FROM recs.interactions WHERE user_id = :u"),
            {"u": user},
        ).scalar_one()
    rows = shop.recommend(user, k)
    assert len(rows) == min(k, N - seen)
    assert len({row.item_id for row in rows}) == len(rows)
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("user", ["regular", "nobody"])
def test_a_filter_keeps_only_items_that_contain_it(shop: Recommender, user: str) -> None:
    rows = shop.recommend(user, 30, filter={"colour": "red"})
    assert len(rows) == 30
    assert {int(row.item_id.removeprefix("item-")) % 3 for row in rows} == {0}


@pytest.mark.parametrize("user", ["regular", "nobody"])
def test_an_item_that_is_not_available_is_never_recommended(
    shop: Recommender, engine: Engine, user: str
) -> None:
    first = shop.recommend(user, 1)[0].item_id
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE recs.items SET available = false WHERE item_id = :id"), {"id": first}
        )
    assert first not in {row.item_id for row in shop.recommend(user, 120)}


@pytest.mark.parametrize("k", [0, -1, 1_000_000, 1001])
def test_a_k_out_of_range_is_refused_with_its_value(engine: Engine, k: int) -> None:
    for call in ("recommend('regular', :k)", "similar_items('item-1', :k)"):
        with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
            connection.execute(text(f"SELECT * FROM recs.{call}"), {"k": k})
        assert isinstance(caught.value.orig, psycopg.errors.InvalidParameterValue)
        assert f"k is {k}, expected 1 to 1000" in str(caught.value.orig)


@pytest.mark.parametrize("filter_", ["[]", "7", '"red"', "null"])
def test_a_filter_that_is_no_object_is_refused_with_its_value(engine: Engine, filter_: str) -> None:
    shops.insert_items(engine, 2)
    for call in (
        "recommend('nobody', p_filter => :f)",
        "similar_items('item-1', p_filter => :f)",
        "recommend_for_items('{item-1}', p_filter => :f)",
    ):
        with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
            connection.execute(text(f"SELECT * FROM recs.{call}"), {"f": filter_})
        assert isinstance(caught.value.orig, psycopg.errors.InvalidParameterValue)
        assert f"filter is {filter_}, expected a JSON object" in str(caught.value.orig)


def test_a_reason_repeats_no_more_of_a_title_than_can_be_shown(shop: Recommender) -> None:
    shop.upsert_items(Item(f"item-{j}", title="long " * 500) for j in HISTORY)
    for rows in (shop.recommend("regular", 3), shop.similar_items("item-1", 3)):
        assert {len(row.reason) < 250 and "long long" in row.reason for row in rows} == {True}


def test_many_users_get_what_each_gets_alone(shop: Recommender) -> None:
    users = ["regular", "nobody", "crowd-3"]
    many = shop.recommend_many(users, 7)
    assert many == {user: shop.recommend(user, 7) for user in users}


def test_similar_items_are_the_nearest_ones(shop: Recommender, vectors: np.ndarray) -> None:
    rows = shop.similar_items("item-5", 10)
    assert [row.item_id for row in rows] == exact(vectors, vectors[5], [5], 10)
    assert rows[0].reason == "chosen by the same users as title of item-5"


@pytest.mark.parametrize("k", [1, 10, 119, 120])
@pytest.mark.parametrize("item", ["item-5", "untouched"])
def test_similar_items_are_k_while_k_others_are_on_sale(
    shop: Recommender, item: str, k: int
) -> None:
    shop.upsert_items([Item("untouched", title="", attributes={"colour": "red"})])
    rows = shop.similar_items(item, k)
    assert len(rows) == min(k, N)
    assert len({row.item_id for row in rows} - {item}) == len(rows)
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
    red = shop.similar_items(item, k, filter={"colour": "red"})
    assert len(red) == min(k, 41 if item == "item-5" else 40)  # a third, and "untouched"


def _let_index_scans_give_up(engine: Engine) -> None:
    """Make an index scan of the active version soon stop, as in a catalog too large to walk."""
    with engine.begin() as connection:
        query = "SELECT 'recs.nearest_items_' || model_id FROM recs.models WHERE state = 'active'"
        function = connection.execute(text(query)).scalar_one()
        for setting in ("hnsw.max_scan_tuples = 1", "hnsw.ef_search = 1"):
            connection.execute(text(f"ALTER FUNCTION {function} SET {setting}"))


def test_what_passes_a_strict_filter_is_searched_exactly(
    shop: Recommender, engine: Engine, vectors: np.ndarray
) -> None:
    rare = [7, 70, 77, 90, 91]
    shop.upsert_items(Item(f"item-{j}", attributes={"colour": "gold"}) for j in rare)
    _let_index_scans_give_up(engine)
    others = [j for j in range(N) if j not in rare]
    rows = shop.similar_items("item-5", 9, filter={"colour": "gold"})
    assert [row.item_id for row in rows] == exact(vectors, vectors[5], others, 5)
    assert {row.tier for row in rows} == {"similar"}
    rows = shop.recommend("regular", 9, filter={"colour": "gold"})
    assert [row.item_id for row in rows] == exact(vectors, vectors[HISTORY].sum(0), others, 5)
    assert {row.tier for row in rows} == {"model"}


@pytest.mark.parametrize("k", [10, 50])
def test_learned_and_new_items_are_searched_exactly_where_an_index_gives_up(
    shop: Recommender, engine: Engine, vectors: np.ndarray, k: int
) -> None:
    new = 900
    rows = shops.unit(np.random.default_rng(11).normal(size=(new, D)))
    shop.upsert_items(Item(f"item-{N + n}", attributes={"colour": "red"}) for n in range(new))
    shops.place(engine, {f"item-{N + n}": row for n, row in enumerate(rows)})
    _let_index_scans_give_up(engine)
    both = np.concatenate([vectors, rows])
    blue = [j for j in range(N) if j % 3 != 0]
    user = vectors[HISTORY].sum(0)
    answer = shop.recommend("regular", k, filter={"colour": "red"})
    assert_nearest(answer, both, user, [*HISTORY, *blue])
    item = N + new // 2
    answer = shop.similar_items(f"item-{item}", k, filter={"colour": "red"})
    assert_nearest(answer, both, both[item], [item, *blue])


def test_similar_items_of_an_unknown_item_name_it(shop: Recommender) -> None:
    with pytest.raises(DBAPIError, match="item 'item-x' is not in the catalog"):
        shop.similar_items("item-x")


def test_recommending_writes_nothing(shop: Recommender, engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("SET TRANSACTION READ ONLY"))
        reader = Recommender(connection)
        assert len(reader.recommend("regular", 10)) == 10
        assert len(reader.recommend("nobody", 10)) == 10
        assert len(reader.similar_items("item-1", 10)) == 10


def test_recommend_leaves_the_callers_settings_alone(shop: Recommender, engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(text("LOAD 'vector'"))
        names = "hnsw.ef_search", "hnsw.iterative_scan", "search_path", "enable_sort"
        shown = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]
        Recommender(connection).recommend("regular", 10)
        assert shown == [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]


def test_a_reason_is_given_though_the_last_items_are_unknown_to_the_version(
    shop: Recommender, engine: Engine
) -> None:
    shop.upsert_items(Item(f"late-{n}") for n in range(3))
    shop.record_interactions(Interaction("regular", f"late-{n}") for n in range(3))
    reasons = {row.reason for row in shop.recommend("regular", 10)}
    assert reasons <= {f"because of title of item-{j}" for j in HISTORY}
    with engine.begin() as connection:
        connection.execute(
            text("DELETE FROM recs.items WHERE item_id = ANY(:ids)"),
            {"ids": [f"item-{j}" for j in HISTORY]},
        )
        connection.execute(text("DELETE FROM recs.interactions WHERE item_id LIKE 'late-%'"))
    rows = shop.recommend("regular", 10)
    assert {(row.tier, row.reason) for row in rows} == {
        ("model", "because of earlier interactions")
    }


def test_a_user_who_is_named_twice_is_answered_once_and_in_the_order_asked(
    shop: Recommender, engine: Engine
) -> None:
    asked = ["regular", "nobody", "crowd-3", "regular", "nobody"]
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT user_id, rank FROM recs.recommend_many(:users, 2)"), {"users": asked}
        ).all()
    assert rows == [(user, rank) for user in ("regular", "nobody", "crowd-3") for rank in (1, 2)]
