"""Popularity that fades."""

import math
from dataclasses import replace

import numpy as np

from recs.learning import Interactions
from recs.learning.popularity import popularity
from tests.learning.planted import planted


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


def test_popularity_equals_a_slow_reference_and_the_best_seller_has_one() -> None:
    data = planted(predictability=0.5, n_users=100, with_times=True)
    weight = np.random.default_rng(0).uniform(0.1, 3, len(data)).astype(np.float32)
    data = replace(data, weight=weight)
    sums = [0.0] * data.n_items
    for row in range(len(data)):
        age = data.trained_until - data.last_occurred_at[row]
        sums[data.item[row]] += data.weight[row] * 0.5 ** (age / 90)
    sold = popularity(data, half_life_days=90)
    np.testing.assert_allclose(sold, np.array(sums) / max(sums), rtol=1e-5)
    assert sold.max() == 1


def test_what_sold_in_the_season_ahead_a_year_ago_counts_as_if_sold_now() -> None:
    # Days ago: 500, 400, 300, 200, 100 and none.
    sold = popularity(interactions(100.0), half_life_days=200.0)
    halves = np.array([2.5, 2, 0, 1, 0.5, 0, np.inf])
    np.testing.assert_allclose(sold, 0.5**halves, rtol=1e-6)


def test_what_lasts_as_long_as_a_season_has_one_ahead_from_its_first_day_to_its_last() -> None:
    # Days ago: 385, 245 and none are of the season ahead or of now, 386 and 244 are not.
    ages = np.array([386.0, 385.0, 245.0, 244.0, 0.0])
    data = Interactions.from_pairs(
        np.zeros(5, np.int32),
        np.arange(5, dtype=np.int32),
        n_users=1,
        n_items=5,
        last_occurred_at=1000 - ages,
    )
    faded = 0.5 ** (ages / 140)
    expected = [faded[0], 1, 1, faded[3], 1]
    np.testing.assert_allclose(popularity(data, half_life_days=140.0), expected, rtol=1e-6)
    np.testing.assert_allclose(
        popularity(data, half_life_days=139.9), 0.5 ** (ages / 139.9), rtol=1e-6
    )


def test_what_lasts_less_than_a_season_has_none_ahead() -> None:
    sold = popularity(interactions(100.0), half_life_days=100.0)
    np.testing.assert_allclose(sold, [2.0**-5, 2.0**-4, 2.0**-3, 2.0**-2, 0.5, 1, 0], rtol=1e-6)


def test_a_user_counts_at_the_last_time() -> None:
    # Both items were first taken at day 0; the second one again at day 10.
    data = Interactions.from_pairs(
        np.zeros(2, np.int32),
        np.arange(2, dtype=np.int32),
        n_users=1,
        n_items=2,
        first_occurred_at=np.zeros(2),
        last_occurred_at=np.array([0.0, 10.0]),
    )
    np.testing.assert_allclose(popularity(data, half_life_days=10.0), [0.5, 1])


def test_where_nothing_was_sold_nothing_is_popular() -> None:
    nothing = interactions(10.0).select(np.zeros(120, np.bool_))
    np.testing.assert_array_equal(popularity(nothing, half_life_days=10.0), np.zeros(7))
