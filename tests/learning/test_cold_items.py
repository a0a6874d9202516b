"""Placing items that nobody has touched."""

import numpy as np
import pytest

from recs.learning.cold_items import neighbor_weights, place

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


def test_a_popular_neighbour_weighs_more() -> None:
    sold = np.array([0.0625, 1, 1, 1], np.float32)
    weights = neighbor_weights(NEW, KNOWN, popularity=sold, popularity_power=0.25).toarray()[0]
    np.testing.assert_allclose(weights[:2], [0.256 / 0.472, 0.216 / 0.472], atol=1e-6)


def test_an_item_with_the_content_of_another_stands_where_that_one_stands() -> None:
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2)
    placed = place(neighbor_weights(KNOWN[:3], KNOWN), vectors)
    np.testing.assert_allclose(placed, vectors[:3])


@pytest.mark.parametrize("new_items", [0, 1500])
def test_any_number_of_items_can_be_placed(new_items: int) -> None:
    content = np.tile(KNOWN[:1], (new_items, 1))
    assert place(neighbor_weights(content, KNOWN), KNOWN).shape == (new_items, 3)


def test_no_item_is_a_neighbour_of_its_own() -> None:
    everybody = np.vstack([KNOWN, KNOWN])
    numbers = np.arange(8)
    weights = neighbor_weights(
        everybody[2:5], everybody, own=(numbers[2:5], numbers), power=1.0
    ).toarray()
    np.testing.assert_array_equal(weights, np.eye(8)[[6, 6, 0]] * [[1], [0], [1]])
