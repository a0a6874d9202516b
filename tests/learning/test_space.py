"""The space that is served, against the formula of a score written out slowly."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from recs.learning.associations import Fading
from recs.learning.blend import Blend
from recs.learning.cold_items import Neighbors
from recs.learning.new_item_bias import BIASES
from recs.learning.signals import Signals
from recs.learning.space import TAIL, Space, compose
from recs.learning.vectors import limit_norm
from tests.learning.reference import direction, faded, noise, slow_scores, user_of, weighted_sum

SEEDS = st.integers(0, 2**32 - 1)
BLENDS = st.builds(
    Blend,
    tower_weight=st.floats(0, 3.2),
    tower_support=st.floats(1, 300),
    tower_fading=st.floats(1, 1e6),
    popularity_weight=st.floats(0.003, 0.3),
    new_item_tower=st.floats(0.01, 1),
    new_item_bias=st.sampled_from(BIASES),
)


def draw_known(seed: int, n_items: int, size: int) -> dict[int, float]:
    generator = np.random.default_rng(seed)
    items = generator.permutation(n_items)[:size].tolist()
    return dict(zip(items, generator.uniform(0.1, 2, size).tolist(), strict=True))


def draw_neighbors(seed: int, n_items: int, n_new: int = 5) -> Neighbors:
    """Weigh three neighbours of each new item in both ways; the last one has none."""
    generator = np.random.default_rng(seed)
    mean, kriging = np.zeros((n_new, n_items)), np.zeros((n_new, n_items))
    for row, predictor in zip(mean[:-1], kriging[:-1], strict=True):
        near = generator.permutation(n_items)[:3]
        row[near] = generator.dirichlet(np.ones(3))
        predictor[near] = generator.uniform(-0.2, 0.9, 3)
    return Neighbors(sp.csr_matrix(mean), sp.csr_matrix(kriging))


def weights_of(neighbors: sp.csr_matrix, row: int) -> dict[int, float]:
    return dict(zip(neighbors[row].indices, neighbors[row].data, strict=True))


def slow_place(space: Space, signals: Signals, neighbors: Neighbors, row: int) -> np.ndarray:
    """Compute the vector of a new item before it is shortened to norm 1."""
    blend, near = space.blend, weights_of(neighbors.mean, row)
    assert blend is not None
    tower = direction(weighted_sum(signals.tower.item_embeddings, near)) * blend.new_item_tower
    associations = slow_associations(signals, neighbors, row)
    parts = [space.tower_length * tower, associations, [0, blend.new_item_bias]]
    return np.concatenate(parts) / space.scale


def slow_associations(signals: Signals, neighbors: Neighbors, row: int) -> np.ndarray:
    """Predict a new item's associations, times the season that is predicted of it."""
    predicts = weights_of(neighbors.kriging, row)
    season = math.prod(float(signals.seasonality[item]) ** w for item, w in predicts.items())
    return season * weighted_sum(signals.associations.items, predicts)


@settings(deadline=None)
@given(seed=SEEDS, blend=BLENDS, size=st.integers(0, 30))
def test_inner_products_order_items_as_the_score_does(seed: int, blend: Blend, size: int) -> None:
    signals = noise(seed)
    space = compose(signals, blend)
    known = draw_known(seed, 40, size)
    scores = np.array(slow_scores(blend, signals, known))
    products = space.item_embeddings.astype(np.float64) @ user_of(space, known)
    factor = (scores @ products) / (products @ products)
    assert factor > 0
    np.testing.assert_allclose(factor * products, scores, atol=2e-6 * np.abs(scores).max())


@settings(deadline=None)
@given(seed=SEEDS, blend=BLENDS, size=st.integers(0, 30), tower=st.integers(1, 9))
def test_users_have_norm_one_and_the_longest_item(
    seed: int, blend: Blend, size: int, tower: int
) -> None:
    space = compose(noise(seed, tower=tower), blend)
    assert space.item_embeddings.dtype == space.history_embeddings.dtype == np.float32
    assert space.item_embeddings.shape == space.history_embeddings.shape == (40, tower + 5 + TAIL)
    assert np.linalg.norm(space.item_embeddings, axis=1).max() == pytest.approx(1, abs=1e-6)
    user = user_of(space, draw_known(seed, 40, size))
    assert np.linalg.norm(user) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_tower_part_is_as_long_for_every_item(seed: int) -> None:
    space = compose(noise(seed), Blend())
    lengths = np.linalg.norm(space.item_embeddings[:, : space.tower_dimension], axis=1)
    np.testing.assert_allclose(lengths, space.tower_length / space.scale, rtol=1e-5)


@settings(deadline=None)
@given(seed=SEEDS, blend=BLENDS)
def test_a_user_of_nothing_known_gets_what_is_popular(seed: int, blend: Blend) -> None:
    signals = noise(seed)
    space = compose(signals, blend)
    products = space.item_embeddings @ user_of(space, {})
    assert np.argsort(-products).tolist() == np.argsort(-signals.popularity).tolist()


@settings(deadline=None)
@given(seed=SEEDS, blend=BLENDS, size=st.integers(1, 30))
def test_a_user_of_items_that_say_nothing_gets_what_is_popular(
    seed: int, blend: Blend, size: int
) -> None:
    signals = noise(seed)
    space = compose(signals, blend)
    user = space.users(np.zeros((1, space.item_embeddings.shape[1]), np.float32), np.array([size]))
    products = space.item_embeddings @ user[0]
    assert np.argsort(-products).tolist() == np.argsort(-signals.popularity).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_the_towers_part_of_a_user_grows_with_support_and_popularitys_fades(seed: int) -> None:
    space = replace(compose(noise(seed), Blend()), fading=Fading())  # |v| stays
    history = weighted_sum(space.history_embeddings, draw_known(seed, 40, 8)).astype(np.float32)
    support = np.array([1, 2, 5, 10, 100, 1000])
    users = space.users(np.tile(history, (6, 1)), support)
    associations = np.linalg.norm(users[:, 6:-TAIL], axis=1)
    share = space.tower_length * np.linalg.norm(users[:, :6], axis=1) / associations
    assert (np.diff(share) > 0).all()
    np.testing.assert_allclose(share, 0.8 * support / (support + 100), rtol=2e-3)  # 1e6 is never
    assert (np.diff(users[:, -TAIL] / associations) < 0).all()


@settings(deadline=None)
@given(seed=SEEDS, blend=BLENDS)
def test_placing_equals_a_slow_reference(seed: int, blend: Blend) -> None:
    signals = noise(seed)
    space = compose(signals, blend)
    neighbors = draw_neighbors(seed, 40)
    placed = space.place(neighbors)
    for row in range(4):
        expected = slow_place(space, signals, neighbors, row)
        if math.hypot(*expected) > 1:
            expected = direction(expected)
        np.testing.assert_allclose(placed[row], expected, atol=1e-5)
    assert not placed[4].any()


@settings(deadline=None)
@given(seed=SEEDS, blend=BLENDS, size=st.integers(1, 30))
def test_a_new_item_is_scored_on_the_scale_of_the_others(
    seed: int, blend: Blend, size: int
) -> None:
    signals, known = noise(seed), draw_known(seed, 40, size)
    space = compose(signals, blend)
    neighbors = draw_neighbors(seed, 40)
    user = user_of(space, known).astype(np.float64)
    old = np.array(slow_scores(blend, signals, known))
    products = space.item_embeddings @ user
    factor = (old @ products) / (products @ products)
    share = size / (size + blend.tower_support)
    share *= blend.tower_fading / (size + blend.tower_fading)
    taste = direction(weighted_sum(signals.tower.history_embeddings, known))
    sums = weighted_sum(signals.associations.history, known)
    speaks = direction(faded(sums, len(known), signals.associations))
    for row, product in enumerate((space.place(neighbors) @ user)[:4]):
        near = weights_of(neighbors.mean, row)
        guess = direction(weighted_sum(signals.tower.item_embeddings, near))
        score = blend.tower_weight * share * blend.new_item_tower * float(taste @ guess)
        score += float(speaks @ slow_associations(signals, neighbors, row))
        score += blend.new_item_bias
        score /= max(1, float(np.linalg.norm(slow_place(space, signals, neighbors, row))))
        assert factor * product == pytest.approx(score, abs=1e-5 * max(1, np.abs(old).max()))


@settings(deadline=None, max_examples=50)
@given(seed=SEEDS, blend=BLENDS, bias=st.sampled_from(BIASES), more=st.sampled_from(BIASES))
def test_a_higher_bias_never_lowers_the_share_of_new_items_in_a_list(
    seed: int, blend: Blend, bias: float, more: float
) -> None:
    signals = noise(seed)
    neighbors = draw_neighbors(seed, 40)
    counts = []
    for value in sorted((bias, more)):
        space = compose(signals, replace(blend, new_item_bias=value))
        items = np.concatenate([space.item_embeddings, space.place(neighbors)[:4]])
        users = np.stack([user_of(space, draw_known(seed + n, 40, n)) for n in range(12)])
        lists = np.argsort(-(users @ items.T), axis=1, kind="stable")[:, :10]
        counts.append((lists >= 40).sum(axis=1))
    assert (counts[0] <= counts[1]).all()


@pytest.mark.parametrize("seed", range(5))
def test_without_a_blend_vectors_are_compared_as_they_are(seed: int) -> None:
    space = replace(compose(noise(seed), Blend()), blend=None)
    known = draw_known(seed, 40, 5)
    total = weighted_sum(space.history_embeddings, known)
    np.testing.assert_allclose(user_of(space, known), direction(total), atol=1e-6)
    neighbors = draw_neighbors(seed, 40)
    placed = space.place(neighbors)
    for row in range(4):
        near = weights_of(neighbors.mean, row)
        expected = direction(weighted_sum(space.item_embeddings, near))
        np.testing.assert_allclose(placed[row], expected, atol=1e-6)
    assert not placed[4].any()


def test_only_what_is_longer_than_one_is_shortened() -> None:
    limited = limit_norm(np.array([[0.6, 0], [0, 0], [3, 4]], np.float32))
    np.testing.assert_allclose(limited, [[0.6, 0], [0, 0], [0.6, 0.8]], atol=1e-6)
