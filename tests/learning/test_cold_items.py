"""Placing items that nobody has touched."""

import numpy as np
import pytest

from recs.learning.cold_items import (
    find_neighbors,
    neighbor_weights,
    place,
    similarity_weights,
)
from recs.learning.interactions import Floats
from recs.learning.vectors import unit_rows

KNOWN = np.eye(4, 3, dtype=np.float32)  # the last known item has no content
NEW = np.array([[0.8, 0.6, 0.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], np.float32)


def test_neighbours_weigh_by_the_power_of_their_similarity() -> None:
    weights = neighbor_weights(NEW, KNOWN, power=2.0).toarray()
    np.testing.assert_allclose(weights[0], [0.64, 0.36, 0, 0], atol=1e-6)


def test_an_item_that_nothing_resembles_gets_no_weights_and_no_place() -> None:
    weights = neighbor_weights(NEW, KNOWN)
    assert not weights.toarray()[1:].any()
    assert not place(weights, np.ones((4, 2), np.float32))[1:].any()


def test_only_the_nearest_count() -> None:
    np.testing.assert_allclose(
        neighbor_weights(NEW, KNOWN, neighbors=1).toarray()[0], [1, 0, 0, 0], atol=1e-6
    )


def test_a_popular_neighbour_weighs_more_in_the_mean() -> None:
    sold = np.array([1, 2.0**-5, 1, 1], np.float32)  # a tenth power of which is 2 ** -.5
    mean = find_neighbors(NEW, KNOWN, sold).mean.toarray()[0]
    rare = 0.216 * 2**-0.5
    np.testing.assert_allclose(mean[:2], np.array([0.512, rare]) / (0.512 + rare), atol=1e-6)


def test_what_nobody_bought_of_late_weighs_something() -> None:
    mean = find_neighbors(NEW, KNOWN, np.zeros(4, np.float32)).mean.toarray()[0]
    np.testing.assert_allclose(mean[:2], np.array([0.512, 0.216]) / 0.728, atol=1e-6)


def test_an_item_with_the_content_of_another_stands_where_that_one_stands() -> None:
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2)
    placed = place(neighbor_weights(KNOWN[:3], KNOWN), vectors)
    np.testing.assert_allclose(placed, vectors[:3])


@pytest.mark.parametrize("new_items", [0, 1500])
def test_any_number_of_items_can_be_placed(new_items: int) -> None:
    content = np.tile(KNOWN[:1], (new_items, 1))
    assert place(neighbor_weights(content, KNOWN), KNOWN).shape == (new_items, 3)


def test_a_few_items_at_once_find_the_neighbours_that_all_at_once_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content, known, sold = some_content(1, 70), some_content(2, 40), np.ones(40, np.float32)
    whole = find_neighbors(content, known, sold, neighbors=12)
    monkeypatch.setattr("recs.learning.ranking.CELLS", 40 * 9)
    parts = find_neighbors(content, known, sold, neighbors=12)
    np.testing.assert_allclose(parts.mean.toarray(), whole.mean.toarray(), atol=1e-6)
    np.testing.assert_allclose(parts.kriging.toarray(), whole.kriging.toarray(), atol=1e-6)


def test_weights_of_similarities_are_those_of_the_content_that_has_them() -> None:
    content, known = some_content(1, 70), some_content(2, 40)
    np.testing.assert_allclose(
        similarity_weights(np.maximum(content @ known.T, 0), neighbors=12).toarray(),
        neighbor_weights(content, known, neighbors=12).toarray(),
        atol=1e-6,
    )


def test_no_item_is_a_neighbour_of_its_own() -> None:
    everybody = np.vstack([KNOWN, KNOWN])
    numbers = np.arange(8)
    weights = neighbor_weights(
        everybody[2:5], everybody, own=(numbers[2:5], numbers), power=1.0
    ).toarray()
    np.testing.assert_array_equal(weights, np.eye(8)[[6, 6, 0]] * [[1], [0], [1]])


@pytest.mark.parametrize("seed", range(5))
def test_kriging_solves_its_equations_for_the_nearest(seed: int) -> None:
    content, known = some_content(seed, 70), some_content(seed + 100, 40)
    weights = find_neighbors(content, known, np.ones(40, np.float32), neighbors=12).kriging
    for row, vector in zip(weights.toarray(), content.astype(np.float64), strict=True):
        similarity = [max(0.0, float(vector @ other)) for other in known]
        near = sorted(range(40), key=lambda k: -similarity[k])[:12]
        near = [k for k in near if similarity[k] > 0]
        assert set(np.flatnonzero(row)) <= set(near)
        for k in near:
            kernel = [max(0.0, float(known[k] @ known[i])) ** 1.5 for i in near]
            said = 0.5 * row[k] + sum(row[i] * value for i, value in zip(near, kernel, strict=True))
            assert said == pytest.approx(similarity[k] ** 1.5, abs=1e-5)


@pytest.mark.parametrize("copies", [1, 2, 10])
def test_neighbours_that_are_alike_share_what_one_of_them_says(copies: int) -> None:
    known = np.array([[0, 1]] + copies * [[1, 0]], np.float32)
    new = np.array([[0.8, 0.6]], np.float32)
    row = find_neighbors(new, known, np.ones(copies + 1, np.float32)).kriging.toarray()[0]
    assert row[0] == pytest.approx(0.6**1.5 / 1.5)  # whatever else it is like
    np.testing.assert_allclose(row[1:], 0.8**1.5 / (copies + 0.5), rtol=1e-5)


def test_kriging_has_no_weights_for_what_nothing_resembles() -> None:
    assert not find_neighbors(NEW, KNOWN, np.ones(4, np.float32)).kriging.toarray()[1:].any()


def test_no_items_have_no_neighbours() -> None:
    found = find_neighbors(NEW[:0], KNOWN, np.ones(4, np.float32))
    assert found.mean.shape == found.kriging.shape == (0, 4)


def some_content(seed: int, n: int) -> Floats:
    """Draw unit rows that lie about each other as titles do, and a zero one."""
    rows = np.random.default_rng(seed).gamma(0.3, size=(n, 12)) - 0.1
    rows[2] = 0
    return unit_rows(rows.astype(np.float32))
