"""Popularity that fades, and when it should."""

import math

import numpy as np

from recs.learning import Interactions
from recs.learning.popularity import HALF_LIFE_DAYS, automatic_half_life, popularity


def interactions(days_apart: float) -> Interactions:
    """Make 20 users with 6 items each, so many days apart; item 5 is what they took last."""
    return Interactions.from_pairs(
        np.repeat(np.arange(20), 6).astype(np.int32),
        np.tile(np.arange(6), 20).astype(np.int32),
        n_users=20,
        n_items=7,
        last_occurred_at=np.tile(np.arange(6) * days_apart, 20),
    )


def test_popularity_halves_with_the_half_life() -> None:
    sold = popularity(interactions(10.0), half_life_days=10.0)
    np.testing.assert_allclose(sold, [2.0**-5, 2.0**-4, 2.0**-3, 2.0**-2, 0.5, 1, 0], rtol=1e-6)


def test_without_a_half_life_popularity_counts_users() -> None:
    np.testing.assert_allclose(
        popularity(interactions(10.0), half_life_days=math.inf), [1, 1, 1, 1, 1, 1, 0]
    )


def test_interest_fades_where_users_come_back() -> None:
    assert automatic_half_life(interactions(10.0)) == HALF_LIFE_DAYS


def test_interest_does_not_fade_where_a_history_is_one_sitting() -> None:
    assert automatic_half_life(interactions(0.01)) == math.inf
    assert automatic_half_life(interactions(0.0)) == math.inf


def test_without_a_user_of_enough_items_nothing_fades() -> None:
    one = interactions(10.0)
    assert automatic_half_life(one.select(one.item < 3)) == math.inf
