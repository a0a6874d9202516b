"""The synthetic shop holds what it promises: planted tastes, cold ends, telling texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import KNeighborsClassifier

from recs import metrics
from recs.demo.shop import Shop, ShopConfig, make_shop
from recs.demo.vocabulary import BRANDS, THEMES
from recs.errors import BadInput

SMALL = {"n_items": 960, "n_users": 900, "n_interactions": 30_000}
K = 20


@pytest.fixture(scope="module")
def shop() -> Shop:
    return make_shop(ShopConfig(**SMALL), seed=3)


def test_the_same_seed_makes_the_same_shop(shop):
    again = make_shop(ShopConfig(**SMALL), seed=3)
    assert again.items.equals(shop.items)
    assert again.users.equals(shop.users)
    assert again.interactions.equals(shop.interactions)


def test_another_seed_makes_another_shop(shop):
    assert not make_shop(ShopConfig(**SMALL), seed=4).interactions.equals(shop.interactions)


def test_the_shop_has_the_sizes_asked_for(shop):
    sizes = (shop.items.num_rows, shop.users.num_rows, shop.interactions.num_rows)
    assert sizes == (960, 900, 30_000)


def test_ids_are_unique_and_interactions_refer_to_them(shop):
    for table, key in ((shop.items, "item_id"), (shop.users, "user_id")):
        ids = table[key].to_pylist()
        assert len(set(ids)) == len(ids)
        assert set(shop.interactions[key].to_pylist()) <= set(ids)


def test_titles_are_unique_and_no_new_product_is_in_the_catalog(shop):
    titles = shop.items["title"].to_pylist()
    assert len(set(titles)) == len(titles)
    assert shop.new_product.title not in titles
    assert shop.new_product.item_id not in shop.items["item_id"].to_pylist()


def test_a_new_product_is_described_in_the_words_of_the_shop(shop):
    attributes = shop.new_product.attributes
    assert attributes["brand"] in BRANDS
    assert attributes["category"] in {theme.category for theme in THEMES}
    assert set(attributes) <= set(shop.items.column_names)


def test_interactions_come_in_the_order_of_time_within_a_year(shop):
    times = shop.interactions["occurred_at"].cast(pa.int64()).to_numpy()
    assert (np.diff(times) >= 0).all()
    assert times[-1] <= ShopConfig().until.timestamp() * 1e6
    assert times[-1] - times[0] < 366 * 86_400e6


def test_some_users_are_cold_with_none_one_and_two_purchases(shop):
    counts = purchases_of(shop, "user_id", shop.users)
    assert all((counts == n).sum() >= 20 for n in (0, 1, 2))
    assert (counts >= 10).mean() > 0.5


def test_some_items_are_cold(shop):
    counts = purchases_of(shop, "item_id", shop.items)
    assert (counts == 0).sum() >= 0.04 * len(counts)
    assert (counts > 0).mean() > 0.85


def test_popularity_is_skewed(shop):
    counts = np.sort(purchases_of(shop, "item_id", shop.items))[::-1]
    assert counts[: len(counts) // 10].sum() > 0.35 * counts.sum()


def test_christmas_sells_in_december_and_beach_towels_in_summer(shop):
    month = np.array([time.month for time in shop.interactions["occurred_at"].to_pylist()])
    theme = shop.truth.item_group[rows_of(shop.interactions, shop.items, "item_id")]
    share = {
        (name, at): (theme[month == at] == number).mean()
        for number, name in enumerate(theme.name for theme in THEMES)
        for at in (6, 12)
    }
    assert share["christmas", 12] > 3 * share["christmas", 6]
    assert share["beach", 6] > 3 * share["beach", 12]


def test_a_cold_items_text_tells_its_group(shop):
    counts = purchases_of(shop, "item_id", shop.items)
    texts = np.array(shop.items["title"].to_pylist())
    vectors = TfidfVectorizer().fit_transform(texts)
    group = shop.truth.item_group
    told = KNeighborsClassifier(5, metric="cosine").fit(vectors[counts > 0], group[counts > 0])
    assert told.score(vectors[counts == 0], group[counts == 0]) > 0.9


def test_planted_tastes_beat_popularity():
    popularity, oracle = recalls(predictability=0.75)
    assert oracle > 1.5 * popularity


def test_without_predictability_popularity_is_the_best_that_can_be_learned():
    popularity, oracle = recalls(predictability=0.0)
    assert popularity > oracle


@pytest.mark.parametrize("predictability", [-0.1, 1.1, float("nan")])
def test_a_predictability_outside_0_to_1_is_refused(predictability):
    with pytest.raises(BadInput, match=rf"within 0\.\.1, got {predictability}"):
        ShopConfig(predictability=predictability)


def test_too_few_items_are_refused():
    with pytest.raises(BadInput, match="at least 96, got 10"):
        ShopConfig(n_items=10)


def rows_of(table: pa.Table, dimension: pa.Table, key: str) -> np.ndarray:
    """Return for each row of the table the row of the dimension it refers to."""
    position = {value: row for row, value in enumerate(dimension[key].to_pylist())}
    return np.array([position[value] for value in table[key].to_pylist()])


def purchases_of(shop: Shop, key: str, dimension: pa.Table) -> np.ndarray:
    return np.bincount(rows_of(shop.interactions, dimension, key), minlength=dimension.num_rows)


def recalls(*, predictability: float) -> tuple[float, float]:
    """Return recall@20 on the last tenth by time: of popularity, and of planted tastes."""
    shop = make_shop(ShopConfig(**SMALL, predictability=predictability), seed=5)
    user = rows_of(shop.interactions, shop.users, "user_id")
    item = rows_of(shop.interactions, shop.items, "item_id")
    cut = len(user) * 9 // 10
    seen = np.zeros((shop.users.num_rows, shop.items.num_rows), dtype=bool)
    seen[user[:cut], item[:cut]] = True
    new = np.zeros_like(seen)
    new[user[cut:], item[cut:]] = True
    relevant = [np.flatnonzero(row) for row in new & ~seen]
    popularity = np.bincount(item[:cut], minlength=shop.items.num_rows).astype(float)
    taste = shop.truth.affinity[shop.truth.user_group][:, shop.truth.item_group]
    return (
        recall(np.broadcast_to(popularity, seen.shape), seen, relevant),
        recall(popularity * taste, seen, relevant),
    )


def recall(scores: np.ndarray, seen: np.ndarray, relevant: list[np.ndarray]) -> float:
    ranked = np.argsort(-np.where(seen, -1.0, scores), axis=1, kind="stable")[:, :K]
    return metrics.recall_at_k(ranked, relevant, k=K)
